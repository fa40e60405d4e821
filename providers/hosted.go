// SPDX-License-Identifier: Apache-2.0

package providers

import (
	"net/url"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/verifier"
)

// Auth0 is for access tokens of an Auth0 tenant in its default token profile. domain
// is the host name of the tenant, or its custom domain, in lower case. Options.Audience
// is the identifier of the API.
//
// Departures from RFC 9068: typ is JWT, the client is in azp instead of client_id,
// and there is no jti. Where the API is set to the RFC 9068 token profile, which is
// the better choice, set TokenTypes, OptionalClaims and Mapping.ClientID of the
// result to nil. With role-based access control the permissions of the user are an
// array: set Mapping.Scopes to ClaimPath{"permissions"} if they shall count as scopes.
//
// See https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles.
func Auth0(domain string, o Options) (verifier.Config, error) {
	p := preset{function: "Auth0"}
	if !hostName(domain) || !lower(domain) {
		p.fault("domain is not a host name in lower case: give that of the tenant alone, as example.eu.auth0.com, without https:// and slash")
	}
	p.needAudience(o, "the identifier of the API in Auth0")
	issuer := "https://" + domain + "/"
	return p.config(verifier.Config{
		Issuer:         issuer,
		TokenTypes:     []string{"JWT"},
		OptionalClaims: []string{"jti"},
		Mapping:        verifier.Mapping{ClientID: verifier.ClaimPath{"azp"}},
	}, discovered(issuer), o)
}

// Okta is for access tokens of an Okta custom authorization server, such as
// https://example.okta.com/oauth2/default. The tokens of the org authorization
// server, whose issuer has no path, are for Okta itself and cannot be verified by
// anyone else. Options.Audience is the audience of the authorization server.
//
// Departures from RFC 9068: there is no typ, scopes are an array in scp, and the
// client is in cid. Groups come from a claim groups, if one is set up.
//
// See https://developer.okta.com/docs/guides/validate-access-tokens/.
func Okta(issuer string, o Options) (verifier.Config, error) {
	p := preset{function: "Okta"}
	if id, ok := afterHost(issuer, "/oauth2/"); !ok || !only(id, "-_") {
		p.fault("issuer is not that of a custom authorization server: give it as https://example.okta.com/oauth2/default, without a slash at the end")
	}
	p.needAudience(o, "the audience of the authorization server in Okta")
	return p.config(verifier.Config{
		Issuer:     issuer,
		TokenTypes: []string{""},
		Mapping: verifier.Mapping{
			Scopes:   verifier.ClaimPath{"scp"},
			ClientID: verifier.ClaimPath{"cid"},
		},
	}, discovered(issuer), o)
}

// afterHost returns what follows path in an issuer that consists of scheme, host
// and path.
func afterHost(issuer, path string) (rest string, ok bool) {
	u, err := url.Parse(issuer)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.ContainsAny(issuer, "?#%") {
		return "", false
	}
	return strings.CutPrefix(u.Path, path)
}

// Cognito is for access tokens of an Amazon Cognito user pool. userPoolID is the ID
// of the pool, which begins with the region. Options.Clients lists the app clients
// that may call this API.
//
// Departures from RFC 9068: there is no typ and, unless the client asks for a
// resource, no aud, so that ProfileJWT applies with a list of clients: a token of
// any client that is not listed is refused. aud is not looked at: a token that a listed
// client got for another resource is accepted, too. The claim token_use must be access,
// which tells these tokens from ID tokens. Groups are in cognito:groups. Only regions
// under amazonaws.com are supported.
//
// See https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html.
func Cognito(region, userPoolID string, o Options) (verifier.Config, error) {
	p := preset{function: "Cognito"}
	p.pool(region, userPoolID)
	p.needClients(o)
	issuer := "https://cognito-idp." + region + ".amazonaws.com/" + userPoolID
	return p.config(verifier.Config{
		Issuer:  issuer,
		Profile: verifier.ProfileJWT,
		Mapping: verifier.Mapping{
			ClientID: verifier.ClaimPath{"client_id"}, // never azp
			Groups:   verifier.ClaimPath{"cognito:groups"},
		},
		RequiredClaims: []verifier.RequiredClaim{{Path: verifier.ClaimPath{"token_use"}, Values: []string{"access"}}},
	}, discovered(issuer), o)
}

// otherPartitions are how the regions begin that have another domain.
var otherPartitions = []string{"cn-", "us-iso", "eu-iso", "eusc-"}

func (p *preset) pool(region, userPoolID string) {
	switch {
	case !only(region, "-") || !lower(region):
		p.fault("region is not the name of a region in lower case: give it as eu-central-1")
	case slices.ContainsFunc(otherPartitions, func(prefix string) bool { return strings.HasPrefix(region, prefix) }):
		p.fault("region belongs to a partition whose issuers are not under amazonaws.com: give one of the commercial regions or GovCloud, or write the verifier.Config yourself")
	}
	if id, ok := strings.CutPrefix(userPoolID, region+"_"); !ok || !only(id, "") {
		p.fault("userPoolID is not the ID of a user pool of the region: give it as eu-central-1_AbCdEfGhI")
	}
}

// needClients is for providers that have no aud at all.
func (p *preset) needClients(o Options) {
	p.entries(o)
	if len(o.Clients) == 0 {
		p.fault("Options.Clients is empty: set it to the app clients that may call this API, since these tokens name no API")
	}
	if len(o.Audience) > 0 {
		p.fault("Options.Audience is set, but these tokens have no aud: set Clients and leave Audience empty")
	}
}

// Firebase is for the ID tokens of Firebase Authentication, which apps send to their
// own backend. projectID is the ID of the project. Options.Audience must be empty:
// the audience is the project ID.
//
// Departures from RFC 9068: typ is JWT, and there are neither client_id nor jti. These
// are ID tokens, for which the project is the audience: any app of the project can
// call any API of it, and where anonymous sign-in is on, anyone can have a token
// (firebase.sign_in_provider says how the user signed in). There are no scopes; roles
// come from a custom claim roles, if one is set.
//
// See https://firebase.google.com/docs/auth/admin/verify-id-tokens.
func Firebase(projectID string, o Options) (verifier.Config, error) {
	p := preset{function: "Firebase"}
	if !only(projectID, "-") || !lower(projectID) || strings.Trim(projectID, "0123456789") == "" {
		p.fault("projectID is not the ID of a project: give it as my-project-1a2b3, not the display name or the number")
	}
	if len(o.Audience) > 0 || len(o.Clients) > 0 {
		p.fault("Options.Audience or Options.Clients is set, but these tokens have the project ID as their audience: leave both empty")
	}
	issuer := "https://securetoken.google.com/" + projectID
	return p.config(verifier.Config{
		Issuer:         issuer,
		Audience:       []string{projectID},
		TokenTypes:     []string{"JWT"},
		OptionalClaims: []string{"client_id", "jti"},
	}, discovered(issuer), o)
}
