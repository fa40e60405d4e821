// SPDX-License-Identifier: Apache-2.0

package providers

import (
	"context"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// The names under which the global cloud of Microsoft issues tokens and keys.
const (
	entraHost   = "https://login.microsoftonline.com/"
	entraV1Host = "https://sts.windows.net/"
	// What a key names that may sign for every tenant.
	anyTenant   = entraHost + "{tenantid}/v2.0"
	anyTenantV1 = entraV1Host + "{tenantid}/"
)

func entraIssuer(tenantID string) string { return entraHost + tenantID + "/v2.0" }

// Entra is for v2.0 access tokens of one Microsoft Entra ID tenant. tenantID is its
// directory ID. The version follows from the app registration of this API
// (accessTokenAcceptedVersion, requestedAccessTokenVersion), not from the endpoint that
// a client uses; for null and 1 use [EntraV1]. Options.Audience is the application
// (client) ID of this API.
//
// Departures from RFC 9068: typ is JWT, scopes are in scp, the client is in azp, and
// there is no jti. Roles are in roles, for users and for applications. Groups are
// object IDs, and absent for users who are in more than 200. A key that names a tenant
// is used for no other, unless no key names any.
//
// The ID tokens of users who sign in to this API's own registration have the same aud;
// what they lack is the client, so never add client_id to OptionalClaims. An
// application of the tenant can have a token without any role: require a scope or a
// role on every route. Only the global cloud is supported.
//
// See https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference.
func Entra(tenantID string, o Options) (verifier.Config, error) {
	p := preset{function: "Entra"}
	p.tenant(tenantID)
	p.needAudience(o, "the application (client) ID of this API")
	issuer := entraIssuer(tenantID)
	source := discovered(issuer)
	source.Select = ownKeys(issuer, anyTenant)
	return p.config(entraTokens(issuer, "azp"), source, o)
}

// EntraV1 is for v1.0 access tokens of one Microsoft Entra ID tenant, whose issuer is
// https://sts.windows.net/TENANT/. Options.Audience is the application ID URI of this
// API, or its application (client) ID: list both if clients use both. All else is as
// for [Entra], except that the client is in appid.
//
// See https://learn.microsoft.com/entra/identity-platform/access-tokens#token-formats.
func EntraV1(tenantID string, o Options) (verifier.Config, error) {
	p := preset{function: "EntraV1"}
	p.tenant(tenantID)
	p.needAudience(o, "the application ID URI of this API, such as api://CLIENT-ID")
	issuer := entraV1Host + tenantID + "/"
	return p.config(entraTokens(issuer, "appid"), jwkscache.Config{
		URL:    entraHost + tenantID + "/discovery/keys", // the issuer's host has no documented metadata
		Select: ownKeys(issuer, entraIssuer(tenantID), anyTenant, anyTenantV1),
	}, o)
}

// entraTokens are the departures that all functions for Microsoft Entra ID share.
func entraTokens(issuer, client string) verifier.Config {
	return verifier.Config{
		Issuer:         issuer,
		TokenTypes:     []string{"JWT"},
		OptionalClaims: []string{"jti"},
		Mapping: verifier.Mapping{
			Scopes:   verifier.ClaimPath{"scp"},
			ClientID: verifier.ClaimPath{client},
		},
	}
}

// ownKeys selects the keys that name one of the issuers. The key endpoint of a single
// tenant need not say whose keys these are, but if it does, it is taken at its word.
func ownKeys(issuers ...string) func(*verifier.KeySet) *verifier.KeySet {
	accept := signsFor(issuers...)
	return func(set *verifier.KeySet) *verifier.KeySet {
		if set.OfIssuer(func(string) bool { return true }).Len() == 0 {
			return set
		}
		return set.OfIssuer(accept)
	}
}

// signsFor tells whether a key that names issuer is meant for one of the names.
func signsFor(names ...string) func(issuer string) bool {
	return func(issuer string) bool { return slices.Contains(names, issuer) }
}

// EntraTenants is for v2.0 access tokens of many Microsoft Entra ID tenants
// (accounts in any organizational directory). accept says whether the tenant of a
// token, which has not been verified yet, may use this API; it gets the directory ID
// in lower case, is called often and by many goroutines at once, and must be quick: a
// look into a list. It is the only thing that keeps other tenants out. Pass the result
// to verifier.NewTenants.
//
// All tenants share one key set, fetched when the first token asks for it. A key of it
// verifies the tokens of the tenant that it names, or of every tenant if it says so; a
// key that names none is not used. The keys stay in memory whatever accept says
// meanwhile, and go with Close of the verifier: make one verifier of the result.
// Departures from RFC 9068 are those of [Entra]. To change the configuration of the
// tenants, wrap Resolve of the result.
//
// See https://learn.microsoft.com/entra/identity-platform/access-tokens#validate-the-issuer.
func EntraTenants(accept func(tenantID string) bool, o Options) (verifier.Tenants, error) {
	p := preset{function: "EntraTenants"}
	if accept == nil {
		p.fault("accept is nil: give a function that tells your tenants from others")
	}
	p.needAudience(o, "the application (client) ID of this API")
	o.Audience = slices.Clone(o.Audience) // kept for tenants to come
	keys := p.cache(jwkscache.Config{
		URL:    entraHost + "common/discovery/v2.0/keys",
		Select: func(set *verifier.KeySet) *verifier.KeySet { return set.OfIssuer(ofAnyTenant) },
	}, o)
	if err := p.err(); err != nil {
		return verifier.Tenants{}, err
	}
	return verifier.Tenants{
		Accept: func(issuer string) bool {
			tenantID, ok := tenantOf(issuer)
			return ok && accept(strings.Clone(tenantID)) // a part would keep all of the token in memory
		},
		Resolve: func(_ context.Context, issuer string) (verifier.Config, error) {
			cfg := entraTokens(issuer, "azp")
			cfg.Keys = &tenantKeys{shared: keys, issuer: issuer}
			return completed(cfg, o), nil
		},
		OnClose: keys.Close,
		OnEvent: o.OnEvent,
	}, nil
}

// ofAnyTenant leaves out the keys that no tenant could use, so that a set with only
// such keys does not replace a good one.
func ofAnyTenant(issuer string) bool {
	_, one := tenantOf(issuer)
	return one || issuer == anyTenant
}

// tenantOf takes the whole of a v2.0 issuer apart: nothing may stand before, between
// or after its parts (OpenID Connect Core 1.0 §3.1.3.7, exact comparison).
func tenantOf(issuer string) (tenantID string, ok bool) {
	tenantID, v2 := strings.CutSuffix(issuer, "/v2.0")
	tenantID, ours := strings.CutPrefix(tenantID, entraHost)
	return tenantID, v2 && ours && directoryID(tenantID)
}

// tenant checks a directory ID. The names of groups of tenants are in no issuer.
func (p *preset) tenant(tenantID string) {
	switch {
	case tenantID == "common", tenantID == "organizations", tenantID == "consumers":
		p.fault("tenantID %q stands for many tenants: give the directory ID of one, or use EntraTenants", tenantID)
	case !directoryID(tenantID):
		p.fault("tenantID is not a directory ID: give the GUID in lower case, as 00000000-0000-0000-0000-000000000000, not a domain name")
	}
}

// directoryID: a GUID (RFC 9562 §4) in the one spelling that issuers have.
func directoryID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		switch {
		case i == 8, i == 13, i == 18, i == 23:
			if c != '-' {
				return false
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return false
		}
	}
	return true
}
