// SPDX-License-Identifier: Apache-2.0

package providers

import (
	"net/http"
	"strings"

	"github.com/bearerguard/bearerguard/internal/fetch"
	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// Where a pod finds the API server, and what it needs to speak with it.
const (
	inCluster      = "https://kubernetes.default.svc/openid/v1/jwks"
	inClusterFiles = "/var/run/secrets/kubernetes.io/serviceaccount/"
)

// Cluster says how to reach the keys of a Kubernetes cluster. The zero value is for
// a pod of that very cluster.
type Cluster struct {
	// KeysURL is the address of the key set. "" means that of the API server as pods
	// see it, https://kubernetes.default.svc/openid/v1/jwks; TokenFile and CAFile are
	// then by default the files of the pod's service account.
	KeysURL string
	// TokenFile holds the bearer token that the key endpoint asks for. It is read for
	// every fetch, since it rotates, and sent to the origin of KeysURL only. It must be a
	// regular file, or a link to one, as must CAFile; that both can be read within 2 s is
	// part of a fetch. With a KeysURL, "" means that no token is sent.
	TokenFile string
	// CAFile holds the certificates that the endpoint's must go back to, in PEM form. It
	// is read for every fetch. With a KeysURL, "" means those of the system. Must be
	// empty if Options.Keys.HTTPClient is set: that has its own.
	CAFile string
}

// Kubernetes is for the service account tokens that pods mount with an audience of
// their own (projected volumes). issuer is the value of --service-account-issuer.
// Options.Audience is what the callers name as the audience of their volume.
//
// Departures from RFC 9068: there are neither typ nor client_id, and no jti in the
// tokens of older releases. There are no scopes, and any pod of the cluster can have a
// token for any audience: append to RequiredClaims of the result which of them may
// call, by sub (system:serviceaccount:NAMESPACE:NAME) or
// ClaimPath{"kubernetes.io", "namespace"}, or decide by Token.Subject. A token stays
// valid until exp, also when its pod or account was deleted: only the API server knows.
//
// The key endpoint is open to service accounts only (the cluster role
// system:service-account-issuer-discovery), and its certificate is signed by the
// cluster's own authority, hence [Cluster]. No metadata is fetched: its jwks_uri
// often names an address that pods cannot reach.
//
// See https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery.
func Kubernetes(issuer string, cluster Cluster, o Options) (verifier.Config, error) {
	p := preset{function: "Kubernetes"}
	if _, ok := afterHost(issuer, ""); !ok || !strings.HasPrefix(issuer, "https://") {
		p.fault("issuer is not an https URL without query: give the value of --service-account-issuer, to the letter")
	}
	p.needAudience(o, "the audience of the projected volumes of the callers")
	if o.Keys.PublicOnly {
		p.fault("Options.Keys.PublicOnly is set, but the key endpoint of a cluster is in a private network: leave it unset, since the address is your own choice")
		o.Keys.PublicOnly = false // nothing else is wrong with it
	}
	return p.config(verifier.Config{
		Issuer:         issuer,
		TokenTypes:     []string{""},
		OptionalClaims: []string{"client_id", "jti"},
	}, p.clusterKeys(cluster, o), o)
}

// clusterKeys is a source whose transport has the token. The defaults go together:
// the token of a pod is for its API server, and must not reach another one.
func (p *preset) clusterKeys(c Cluster, o Options) jwkscache.Config {
	client := o.Keys.HTTPClient
	if client != nil && c.CAFile != "" {
		p.fault("Cluster.CAFile and Options.Keys.HTTPClient are both set: put the certificate authorities into the client, or leave the client out")
	}
	if c.KeysURL == "" {
		c.KeysURL = inCluster
		if c.TokenFile == "" {
			c.TokenFile = inClusterFiles + "token"
		}
		if c.CAFile == "" {
			c.CAFile = inClusterFiles + "ca.crt"
		}
	}
	var base http.RoundTripper
	if client != nil {
		base = client.Transport
		if base == nil {
			base = http.DefaultTransport
		}
	}
	bearer, err := fetch.NewBearer(base, c.KeysURL, c.TokenFile, c.CAFile)
	if err != nil {
		p.fault("Cluster.KeysURL is not an https URL: give the address of the key set, or leave it empty inside of the cluster")
	}
	return jwkscache.Config{URL: c.KeysURL, HTTPClient: &http.Client{Transport: bearer}}
}
