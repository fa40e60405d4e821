// SPDX-License-Identifier: Apache-2.0

package providers_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/bearerguard/bearerguard/providers"
	"github.com/bearerguard/bearerguard/verifier"
)

type (
	options = providers.Options
	path    = verifier.ClaimPath
)

// provider is a row of the table: what to call, and which fields its token fills.
type provider struct {
	name    string // of the shape
	config  func(options) (verifier.Config, error)
	options options
	want    verifier.Token
}

const (
	tenant      = "11111111-1111-4111-8111-111111111111"
	otherTenant = "22222222-2222-4222-8222-222222222222"
	entraAPI    = "33333333-3333-4333-8333-333333333333"
	entraClient = "44444444-4444-4444-8444-444444444444"
	entraGroup  = "55555555-5555-4555-8555-555555555555"
	googleCalls = "shop@example-project.iam.gserviceaccount.com"
)

func audience(list ...string) options { return options{Audience: list} }

func clients(list ...string) options { return options{Clients: list} }

func auth0(o options) (verifier.Config, error) { return providers.Auth0("example.eu.auth0.com", o) }

func okta(o options) (verifier.Config, error) {
	return providers.Okta("https://example.okta.com/oauth2/default", o)
}

func cognito(o options) (verifier.Config, error) {
	return providers.Cognito("eu-central-1", "eu-central-1_Example01", o)
}

func keycloak(o options) (verifier.Config, error) {
	return providers.Keycloak("https://id.example.com/realms/main", "orders-api", o)
}

func zitadel(o options) (verifier.Config, error) {
	return providers.Zitadel("https://example.zitadel.cloud", o)
}

func hydra(o options) (verifier.Config, error) {
	return providers.Hydra("https://auth.example.com/", o)
}

func firebase(o options) (verifier.Config, error) { return providers.Firebase("example-project-1", o) }

func google(o options) (verifier.Config, error) { return providers.Google([]string{googleCalls}, o) }

func github(o options) (verifier.Config, error) {
	return providers.GitHubActions([]string{"example-org"}, o)
}

func entra(o options) (verifier.Config, error) { return providers.Entra(tenant, o) }

func entraV1(o options) (verifier.Config, error) { return providers.EntraV1(tenant, o) }

// kubernetes reads the keys without a token, as from a public address.
func kubernetes(o options) (verifier.Config, error) {
	return providers.Kubernetes("https://kubernetes.default.svc.cluster.local",
		providers.Cluster{KeysURL: "https://kubernetes.default.svc/openid/v1/jwks"}, o)
}

var table = []provider{
	{"auth0", auth0, audience("https://api.example.com"), verifier.Token{
		Subject: "auth0|000000000000000000000001", ClientID: "exampleClientOfAuth0",
		Scopes: []string{"openid", "profile", "read:orders"}}},
	{"okta", okta, audience("api://orders"), verifier.Token{
		Subject: "jane@example.com", ClientID: "0oaexample0001",
		Scopes: []string{"openid", "orders.read"}, Groups: []string{"Everyone", "Sales"}}},
	{"cognito", cognito, clients("exampleappclient0001"), verifier.Token{
		Subject: "00000000-0000-4000-8000-000000000001", ClientID: "exampleappclient0001",
		Scopes: []string{"openid", "orders/read"}, Groups: []string{"editors", "staff"}}},
	{"keycloak", keycloak, audience("orders-api"), verifier.Token{
		Subject: "00000000-0000-4000-8000-000000000003", ClientID: "web-shop", Scopes: []string{"email", "orders"},
		Roles: []string{"offline_access", "default-roles-main", "staff"}, Entitlements: []string{"orders-admin"}}},
	{"zitadel", zitadel, audience("300000000000000003"), verifier.Token{
		Subject: "300000000000000001", ClientID: "300000000000000002", Scopes: []string{"openid", "orders"}}},
	{"hydra", hydra, audience("https://api.example.com"), verifier.Token{
		Subject: "jane", ClientID: "00000000-0000-4000-8000-0000000000c1", Scopes: []string{"openid", "orders.read"}}},
	{"firebase", firebase, options{}, verifier.Token{
		Subject: "exampleUser0001", Roles: []string{"editor"}}},
	{"google", google, audience("https://orders-example.a.run.app"), verifier.Token{
		Subject: "100000000000000000001", ClientID: "100000000000000000001"}},
	{"github_actions", github, audience("https://api.example.com"), verifier.Token{
		Subject: "repo:example-org/shop:environment:production"}},
	{"kubernetes", kubernetes, audience("https://orders.shop.svc"), verifier.Token{
		Subject: "system:serviceaccount:shop:web"}},
	{"entra", entra, audience(entraAPI), verifier.Token{
		Subject: "ZXhhbXBsZS1wYWlyd2lzZQ", ClientID: entraClient, Scopes: []string{"Orders.Read", "Orders.Write"},
		Roles: []string{"Orders.Admin"}, Groups: []string{entraGroup}}},
	{"entra_v1", entraV1, audience("api://" + entraAPI), verifier.Token{
		Subject: "ZXhhbXBsZS1wYWlyd2lzZQ", ClientID: entraClient, Scopes: []string{"Orders.Read", "Orders.Write"},
		Roles: []string{"Orders.Admin"}, Groups: []string{entraGroup}}},
}

// fields are what a preset decides the source of.
func fields(t *verifier.Token) any {
	list := func(s []string) []string { return append([]string{}, s...) }
	return struct {
		Subject, ClientID                   string
		Scopes, Roles, Groups, Entitlements []string
	}{t.Subject, t.ClientID, list(t.Scopes), list(t.Roles), list(t.Groups), list(t.Entitlements)}
}

func TestTokens(t *testing.T) {
	for _, p := range table {
		t.Run("AP-02/"+p.name, func(t *testing.T) {
			w := newWorld(t, p.name)
			tok := accept(t, w.verifier(p.config, p.options), w.token())
			if got, want := fields(tok), fields(&p.want); !reflect.DeepEqual(got, want) {
				t.Errorf("\n got %+v\nwant %+v", got, want)
			}
		})
	}
}

// TestAddresses: the keys are looked for at the documented address, and nowhere else.
func TestAddresses(t *testing.T) {
	for _, p := range table {
		name, want := p.name, []string{}
		if m := load(t, p.name).Metadata; m != nil {
			name, want = "MD-04/"+name, append(want, m.URL)
		}
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, p.name)
			want := append(want, w.Keys.URL)
			accept(t, w.verifier(p.config, p.options), w.token())
			if !slices.Equal(w.asked, want) {
				t.Errorf("asked %q, want %q", w.asked, want)
			}
		})
	}
}

// TestEveryProviderRefuses has what no preset may let through.
func TestEveryProviderRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		edit  edit
		class error
	}{
		{"AL-04/public_key_as_secret_", func(h, _ object) { h["alg"] = "HS256" }, verifier.ErrAlgorithm},
		{"AL-02/none_", func(h, _ object) { h["alg"] = "none" }, verifier.ErrMalformedToken},
		{"JV-15/other_issuer_", claim("iss", "https://id.example.net"), verifier.ErrIssuer},
		{"JV-22/expired_", claim("exp", 1), verifier.ErrExpired},
		{"AP-01/DPoP_proof_", func(h, _ object) { h["typ"] = "dpop+jwt" }, verifier.ErrTokenType},
		{"JV-32/nonce_", claim("nonce", "n"), verifier.ErrTokenType},
		{"JV-32/at_hash_", claim("at_hash", "h"), verifier.ErrTokenType},
		{"JV-32/ID_token_by_use_", claim("token_use", "id"), verifier.ErrTokenType},
	} {
		for _, p := range table {
			t.Run(c.name+p.name, func(t *testing.T) {
				w := newWorld(t, p.name)
				v := w.verifier(p.config, p.options)
				accept(t, v, w.token())
				refuse(t, v, w.token(c.edit), c.class)
			})
		}
	}
}

// TestAudience: every preset but those with a list of clients asks for its own.
func TestAudience(t *testing.T) {
	for _, p := range table {
		if len(p.options.Clients) > 0 {
			continue
		}
		t.Run("JV-17/"+p.name, func(t *testing.T) {
			w := newWorld(t, p.name)
			v := w.verifier(p.config, p.options)
			refuse(t, v, w.token(claim("aud", "https://other.example.com")), verifier.ErrAudience)
			refuse(t, v, w.token(without("aud")), verifier.ErrMissingClaim)
		})
	}
}

func TestProviderRefuses(t *testing.T) {
	for _, c := range []struct {
		name, provider string
		edit           edit
		class          error
	}{
		{"AP-03/client_of_auth0", "auth0", without("azp"), verifier.ErrMissingClaim},
		{"AP-03/client_of_okta_as_in_ID_tokens", "okta", without("cid", "scp"), verifier.ErrMissingClaim},
		{"AP-03/jti_of_okta", "okta", without("jti"), verifier.ErrMissingClaim},
		{"SC-04/scp_of_okta_with_a_number", "okta", claim("scp", []any{"orders.read", 1}), verifier.ErrInvalidClaim},
		{"JV-18/client_of_cognito", "cognito", claim("client_id", "otherappclient0001"), verifier.ErrAudience},
		{"D53/cognito_azp_is_not_read", "cognito", both(without("client_id"), claim("azp", "exampleappclient0001")), verifier.ErrMissingClaim},
		{"token_use_of_cognito_is_missing", "cognito", without("token_use"), verifier.ErrMissingClaim},
		{"pool_of_cognito", "cognito", claim("iss", "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Example02"), verifier.ErrIssuer},
		{"JV-32/keycloak_ID_token", "keycloak", claim("typ", "ID"), verifier.ErrTokenType},
		{"JV-32/keycloak_refresh_token", "keycloak", claim("typ", "Refresh"), verifier.ErrTokenType},
		{"JV-32/keycloak_offline_token", "keycloak", claim("typ", "Offline"), verifier.ErrTokenType},
		{"AP-03/client_of_keycloak", "keycloak", both(without("azp"), claim("client_id", "web-shop")), verifier.ErrMissingClaim},
		{"realm_of_keycloak", "keycloak", claim("iss", "https://id.example.com/realms/master"), verifier.ErrIssuer},
		{"AP-03/client_of_zitadel", "zitadel", without("client_id"), verifier.ErrMissingClaim},
		{"AP-03/client_of_hydra_as_in_ID_tokens", "hydra", both(without("client_id", "scp"), claim("azp", "c")), verifier.ErrMissingClaim},
		{"issuer_of_hydra_without_slash", "hydra", claim("iss", "https://auth.example.com"), verifier.ErrIssuer},
		{"project_of_firebase", "firebase", both(claim("iss", "https://securetoken.google.com/example-project-2"), claim("aud", "example-project-2")), verifier.ErrIssuer},
		{"session_cookie_of_firebase", "firebase", claim("iss", "https://session.firebase.google.com/example-project-1"), verifier.ErrIssuer},
		{"AP-03/user_of_firebase", "firebase", without("sub"), verifier.ErrMissingClaim},
		{"account_of_google", "google", claim("email", "shop@other-project.iam.gserviceaccount.com"), verifier.ErrInvalidClaim},
		{"account_of_google_in_upper_case", "google", claim("email", "Shop@example-project.iam.gserviceaccount.com"), verifier.ErrInvalidClaim},
		{"account_of_google_unverified", "google", claim("email_verified", false), verifier.ErrInvalidClaim},
		{"account_of_google_verified_as_text", "google", claim("email_verified", "true"), verifier.ErrInvalidClaim},
		{"account_of_google_missing", "google", without("email"), verifier.ErrMissingClaim},
		{"user_of_google", "google", claim("email", "jane@example.com"), verifier.ErrInvalidClaim},
		{"owner_of_github", "github_actions", both(claim("repository_owner", "other-org"), claim("repository", "other-org/example-org")), verifier.ErrInvalidClaim},
		{"owner_of_github_in_upper_case", "github_actions", claim("repository_owner", "Example-Org"), verifier.ErrInvalidClaim},
		{"owner_of_github_missing", "github_actions", without("repository_owner"), verifier.ErrMissingClaim},
		{"AP-03/jti_of_github", "github_actions", without("jti"), verifier.ErrMissingClaim},
		{"legacy_token_of_kubernetes", "kubernetes", both(claim("iss", "kubernetes/serviceaccount"), without("exp", "aud")), verifier.ErrIssuer},
		{"JV-22/token_of_kubernetes_without_exp", "kubernetes", without("exp"), verifier.ErrMissingClaim},
		{"v1_token_for_entra", "entra", claim("iss", "https://sts.windows.net/"+tenant+"/"), verifier.ErrIssuer},
		{"v2_token_for_entra_v1", "entra_v1", claim("iss", "https://login.microsoftonline.com/"+tenant+"/v2.0"), verifier.ErrIssuer},
		{"tenant_of_entra", "entra", claim("iss", "https://login.microsoftonline.com/"+otherTenant+"/v2.0"), verifier.ErrIssuer},
		{"AP-03/client_of_entra_as_in_ID_tokens", "entra", without("azp", "scp"), verifier.ErrMissingClaim},
		{"AP-03/client_of_entra_v1", "entra_v1", both(without("appid"), claim("azp", entraClient)), verifier.ErrMissingClaim},
		{"SC-04/scp_of_entra_as_a_number", "entra", claim("scp", 7), verifier.ErrInvalidClaim},
	} {
		t.Run(c.name, func(t *testing.T) {
			i := slices.IndexFunc(table, func(p provider) bool { return p.name == c.provider })
			w := newWorld(t, c.provider)
			v := w.verifier(table[i].config, table[i].options)
			refuse(t, v, w.token(c.edit), c.class)
		})
	}
}
