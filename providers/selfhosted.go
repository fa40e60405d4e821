// SPDX-License-Identifier: Apache-2.0

package providers

import (
	"net/url"
	"strings"

	"github.com/bearerguard/bearerguard/verifier"
)

// Keycloak is for access tokens of a Keycloak realm; issuer is the address of the
// realm, as https://id.example.com/realms/main. client is the ID of the client whose
// roles become Token.Entitlements, usually that of this API. With "" these come from a
// claim entitlements, as RFC 9068 has it, if a mapper makes one.
//
// Options.Audience is the value of an audience mapper, usually the same client ID.
// Where no mapper puts the API into aud, set Options.Clients instead; ProfileJWT then
// applies, and the client in azp must be one of them. aud is not looked at then: a
// token that a listed client got for another API is accepted, too.
//
// Departures from RFC 9068: typ is JWT, unless the client is set to at+jwt, and the
// client is in azp. Token.Roles are the realm roles (realm_access.roles),
// Token.Entitlements the roles of client (resource_access). ID tokens are told by their
// claim typ. Access tokens of releases before 24 can have a nonce: set AllowedMarks of
// the result to nonce for those.
//
// See https://www.keycloak.org/docs/latest/server_admin/#_audience.
func Keycloak(issuer, client string, o Options) (verifier.Config, error) {
	p := preset{function: "Keycloak"}
	if !realm(issuer) {
		p.fault("issuer is not the address of a realm: give it as https://id.example.com/realms/main, without a slash at the end")
	}
	cfg := verifier.Config{
		Issuer:     issuer,
		TokenTypes: []string{"JWT"},
		Mapping: verifier.Mapping{
			ClientID: verifier.ClaimPath{"azp"},
			Roles:    verifier.ClaimPath{"realm_access", "roles"},
		},
	}
	if client != "" {
		cfg.Mapping.Entitlements = verifier.ClaimPath{"resource_access", client, "roles"}
	}
	p.needEither(o, &cfg, "the value of the audience mapper for this API")
	return p.config(cfg, discovered(issuer), o)
}

// realm: the path ends with realms and one name; what stands before them depends on
// how the server is set up.
func realm(issuer string) bool {
	u, err := url.Parse(issuer)
	if err != nil || u.Hostname() == "" || strings.ContainsAny(issuer, "?#") {
		return false
	}
	_, name, ok := strings.Cut(u.Path, "/realms/")
	return ok && name != "" && !strings.Contains(name, "/")
}

// Zitadel is for access tokens of a Zitadel instance, for applications and service
// users whose token type is JWT; opaque ones need introspection. issuer is the address
// of the instance without path. Options.Audience is the ID of the project (or of the
// application) that this API belongs to.
//
// Any client of the instance can ask for any project as audience, by a scope. So the
// audience says what a token is for, and not that its client may call: append to
// RequiredClaims of the result which clients those are (client_id), or decide by the
// roles, which have to be granted.
//
// Departures from RFC 9068: typ is JWT or absent. Roles are an object with a member
// per role in urn:zitadel:iam:org:project:roles, which no field of a token takes: read
// it with Token.Decode. ID tokens of the project have the same aud; what they lack is
// jti, so never make that optional. Set OptionalClaims of the result to client_id for
// instances that do not send it yet.
//
// See https://zitadel.com/docs/apis/openidoauth/claims.
func Zitadel(issuer string, o Options) (verifier.Config, error) {
	p := preset{function: "Zitadel"}
	if path, ok := afterHost(issuer, ""); !ok || path != "" {
		p.fault("issuer is not the address of an instance: give it as https://example.zitadel.cloud, without a slash at the end")
	}
	p.needAudience(o, "the ID of the project of this API in Zitadel")
	return p.config(verifier.Config{
		Issuer:     issuer,
		TokenTypes: []string{"JWT", ""},
	}, discovered(issuer), o)
}

// Hydra is for access tokens of Ory Hydra with the access token strategy jwt. issuer
// is urls.self.issuer of its configuration, with a slash at the end if that has one.
//
// Options.Audience is a value that the clients ask for by the parameter audience.
// Where they do not, aud is empty: set Options.Clients instead; ProfileJWT then
// applies, and client_id must be one of them. aud is not looked at then: a token that a
// listed client got for another API is accepted, too.
//
// Departures from RFC 9068: typ is JWT, and scopes are an array in scp; set
// Mapping.Scopes of the result to nil if strategies.jwt.scope_claim is string. What the
// consent app adds to a token is in ext, unless it is set up to be at the top: set
// Mapping.Roles to ClaimPath{"ext", "roles"}, for example.
//
// See https://www.ory.com/docs/oauth2-oidc/jwt-access-token.
func Hydra(issuer string, o Options) (verifier.Config, error) {
	p := preset{function: "Hydra"}
	if _, ok := afterHost(issuer, ""); !ok {
		p.fault("issuer is not an absolute URL without query: give urls.self.issuer of the Hydra configuration, to the letter")
	}
	cfg := verifier.Config{
		Issuer:     issuer,
		TokenTypes: []string{"JWT"},
		Mapping: verifier.Mapping{
			Scopes:   verifier.ClaimPath{"scp"},
			ClientID: verifier.ClaimPath{"client_id"}, // never azp
		},
	}
	p.needEither(o, &cfg, "an audience that the clients ask for")
	return p.config(cfg, discovered(issuer), o)
}
