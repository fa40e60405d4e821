// SPDX-License-Identifier: Apache-2.0

package providers_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/providers"
	"github.com/bearerguard/bearerguard/verifier"
)

var api = audience("https://api.example.com")

// wantFaults fails unless err is one configuration error with all the parts.
func wantFaults(t *testing.T, err error, parts ...string) {
	t.Helper()
	text := wantClass(t, err, verifier.ErrConfig).Error()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q does not mention %q", text, part)
		}
	}
}

// TestInputs: what becomes part of an issuer or URL is checked; each fault names the
// input, and the remedy after a colon.
func TestInputs(t *testing.T) {
	type call = func(s string) (verifier.Config, error)
	for name, c := range map[string]struct {
		call  call
		input string // what the fault names
		good  []string
		bad   []string
	}{
		"auth0": {func(s string) (verifier.Config, error) { return providers.Auth0(s, api) }, "Auth0: domain",
			[]string{"example.eu.auth0.com", "login.example.com", "a-b.c1", strings.Repeat("a", 63) + ".b", longName},
			[]string{"", "example", "https://example.auth0.com", "example.auth0.com/", "example.auth0.com:443", "a.b@c.d", "a..b", ".a.b", "a.b?c", "a.b\n", "ä.example", "Example.eu.auth0.com", strings.Repeat("a", 64) + ".b", longName + "b"}},
		"okta": {func(s string) (verifier.Config, error) { return providers.Okta(s, api) }, "Okta: issuer",
			[]string{"https://example.okta.com/oauth2/default", "https://example.okta.com/oauth2/aus1_-x"},
			[]string{"", "https://example.okta.com", "https://example.okta.com/oauth2", "https://example.okta.com/oauth2/", "https://example.okta.com/oauth2/default/", "https://example.okta.com/oauth2/a/b", "https://example.okta.com/oauth2/default?x", "https://u@example.okta.com/oauth2/default", "https:///oauth2/default", "https://example.okta.com/oauth2/%61us"}},
		"cognito_region": {func(s string) (verifier.Config, error) {
			return providers.Cognito(s, s+"_Example01", clients("c"))
		}, "Cognito: region",
			[]string{"eu-central-1", "us-gov-west-1"},
			[]string{"", "eu_central_1", "eu-central-1.evil.example/", "eu/", "eu#", "EU-central-1", "cn-north-1", "us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "eusc-de-east-1"}},
		"cognito_pool": {func(s string) (verifier.Config, error) {
			return providers.Cognito("eu-central-1", s, clients("c"))
		}, "Cognito: userPoolID",
			[]string{"eu-central-1_Ab1"},
			[]string{"", "eu-central-1_", "eu-west-1_Ab1", "Ab1", "eu-central-1_a/b", "eu-central-1_a_b"}},
		"keycloak": {func(s string) (verifier.Config, error) { return providers.Keycloak(s, "", api) }, "Keycloak: issuer",
			[]string{"https://id.example.com/realms/main", "https://id.example.com/auth/realms/My%20Realm"},
			[]string{"", "https://id.example.com", "https://id.example.com/realms/", "https://id.example.com/realms/main/", "https://id.example.com/realms/main?a=b", "realms/main"}},
		"zitadel": {func(s string) (verifier.Config, error) { return providers.Zitadel(s, api) }, "Zitadel: issuer",
			[]string{"https://example.zitadel.cloud", "https://id.example.com:8443"},
			[]string{"", "example.zitadel.cloud", "https://example.zitadel.cloud/", "https://example.zitadel.cloud/oauth", "https://u@example.zitadel.cloud"}},
		"hydra": {func(s string) (verifier.Config, error) { return providers.Hydra(s, api) }, "Hydra: issuer",
			[]string{"https://auth.example.com/", "https://auth.example.com", "https://example.com/hydra"},
			[]string{"", "auth.example.com", "https://auth.example.com?x", "https://auth.example.com#x", "https://auth.example.com/%61"}},
		"firebase": {func(s string) (verifier.Config, error) { return providers.Firebase(s, options{}) }, "Firebase: projectID",
			[]string{"example-project-1", "a1"},
			[]string{"", "My Project", "Example", "123456789012", "a/b", "a.b"}},
		"google": {func(s string) (verifier.Config, error) { return providers.Google([]string{s}, api) }, "Google: serviceAccounts",
			[]string{googleCalls, "1-compute@developer.gserviceaccount.com", "p@appspot.gserviceaccount.com"},
			[]string{"", "jane@example.com", "a@b@c.gserviceaccount.com", "gserviceaccount.com", "@c.gserviceaccount.com", "a@evilgserviceaccount.com", "a@c.gserviceaccount.com.example", "*@c.gserviceaccount.com", "Shop@c.gserviceaccount.com", "shop@C.gserviceaccount.com"}},
		"github": {func(s string) (verifier.Config, error) { return providers.GitHubActions([]string{s}, api) }, "GitHubActions: owners",
			[]string{"example-org", "jane_example", "Org1"},
			[]string{"", "example-org/shop", "*", "repo:example-org", "https://github.com/example-org"}},
		"kubernetes_issuer": {func(s string) (verifier.Config, error) {
			return providers.Kubernetes(s, providers.Cluster{}, api)
		}, "Kubernetes: issuer",
			[]string{"https://kubernetes.default.svc.cluster.local", "https://oidc.eks.eu-central-1.amazonaws.com/id/0123"},
			[]string{"", "kubernetes/serviceaccount", "http://kubernetes.default.svc", "https://a?b"}},
		"kubernetes_URL": {func(s string) (verifier.Config, error) {
			return providers.Kubernetes("https://kubernetes.default.svc", providers.Cluster{KeysURL: s}, api)
		}, "Kubernetes: Cluster.KeysURL",
			[]string{"", "https://10.0.0.1:6443/openid/v1/jwks"},
			[]string{"http://10.0.0.1/openid/v1/jwks", "10.0.0.1", "file:///etc/keys"}},
		"entra":    {func(s string) (verifier.Config, error) { return providers.Entra(s, api) }, "Entra: tenantID", goodTenants, badTenants},
		"entra_v1": {func(s string) (verifier.Config, error) { return providers.EntraV1(s, api) }, "EntraV1: tenantID", goodTenants, badTenants},
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range c.good {
				cfg, err := c.call(s)
				if err != nil {
					t.Errorf("%q: %v", s, err)
					continue
				}
				if _, err := verifier.New(cfg); err != nil {
					t.Errorf("%q: the result is refused: %v", s, err)
				}
			}
			for _, s := range c.bad {
				cfg, err := c.call(s)
				wantFaults(t, err, "providers."+c.input, ": give")
				if cfg.Keys != nil || cfg.Issuer != "" {
					t.Errorf("%q: a configuration beside the error", s)
				}
			}
		})
	}
}

// longName is a host name of 253 bytes (RFC 1123 §2.1), the most there can be.
var longName = strings.Repeat("a.", 126) + "b"

var (
	goodTenants = []string{tenant, "9188040d-6c67-4c5b-b112-36a304b66dad"}
	badTenants  = []string{"", "common", "organizations", "consumers", "example.onmicrosoft.com", "{tenantid}",
		strings.ToUpper("aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"), tenant + "/", "11111111111141118111111111111111",
		"11111111-1111-4111-8111-11111111111g", "111111111111-1-4111-8111-11111111111"}
)

// TestNoAudience: no preset can be had without saying whose tokens are meant.
func TestNoAudience(t *testing.T) {
	for _, p := range table {
		if p.name == "firebase" {
			continue
		}
		t.Run("JV-18/"+p.name+"_without_audience_and_clients", func(t *testing.T) {
			_, err := p.config(options{})
			wantFaults(t, err, "empty: set", "Options.")
		})
		t.Run("JV-18/"+p.name+"_with_both", func(t *testing.T) {
			_, err := p.config(options{Audience: []string{"a"}, Clients: []string{"c"}})
			wantFaults(t, err, "Options.")
		})
	}
	for _, p := range table {
		either := slices.Contains([]string{"cognito", "keycloak", "hydra"}, p.name)
		t.Run("JV-18/"+p.name+"_clients", func(t *testing.T) {
			_, err := p.config(clients("c"))
			if (err == nil) != either {
				t.Errorf("error %v", err)
			}
		})
	}
	t.Run("JV-18/tenants_of_entra", func(t *testing.T) {
		_, err := providers.EntraTenants(func(string) bool { return true }, options{})
		wantFaults(t, err, "Options.Audience is empty: set")
	})
	for _, p := range append(table, provider{name: "entra_tenants", config: func(o options) (verifier.Config, error) {
		_, err := providers.EntraTenants(func(string) bool { return true }, o)
		return verifier.Config{}, err
	}}) {
		for field, o := range map[string]options{"Audience": audience("a", ""), "Clients": clients("c", "")} {
			if p.name == "firebase" { // takes neither
				continue
			}
			t.Run("JV-18/"+p.name+"_empty_string_in_"+field, func(t *testing.T) {
				_, err := p.config(o)
				wantFaults(t, err, "Options."+field+" holds an empty string: remove it")
			})
		}
	}
}

func TestFaultsTogether(t *testing.T) {
	t.Run("cognito", func(t *testing.T) {
		_, err := providers.Cognito("", "x", options{Audience: []string{"a"}, Keys: jwkscache.Config{MaxStale: 100 * time.Hour}})
		wantFaults(t, err, "region", "userPoolID", "Options.Clients is empty", "Options.Audience is set", "jwkscache.Config.MaxStale")
	})
	t.Run("google", func(t *testing.T) {
		_, err := providers.Google(nil, options{Keys: jwkscache.Config{URL: "https://x.example"}})
		wantFaults(t, err, "serviceAccounts is empty", "Options.Audience is empty", "Options.Keys has")
	})
	t.Run("github", func(t *testing.T) {
		_, err := providers.GitHubActions(nil, options{})
		wantFaults(t, err, "owners is empty", "Options.Audience is empty")
	})
	t.Run("MD-15/tenants_of_entra", func(t *testing.T) {
		_, err := providers.EntraTenants(nil, options{Clients: []string{"c"}, Keys: jwkscache.Config{Issuer: "https://x.example"}})
		wantFaults(t, err, "accept is nil", "Options.Audience is empty", "Options.Clients is set", "Options.Keys has")
	})
	t.Run("MD-15/names_for_many_tenants", func(t *testing.T) {
		for _, name := range []string{"common", "organizations", "consumers"} {
			_, err := providers.Entra(name, api)
			wantFaults(t, err, "use EntraTenants")
		}
	})
	t.Run("kubernetes", func(t *testing.T) {
		_, err := providers.Kubernetes("https://k.example", providers.Cluster{CAFile: "ca.crt"}, options{Keys: jwkscache.Config{HTTPClient: &http.Client{}}})
		wantFaults(t, err, "Cluster.CAFile and Options.Keys.HTTPClient are both set", "Options.Audience is empty")
	})
	t.Run("KS-04/public_addresses_of_a_cluster", func(t *testing.T) {
		_, err := providers.Kubernetes("https://k.example", providers.Cluster{}, options{Audience: api.Audience, Keys: jwkscache.Config{PublicOnly: true}})
		wantFaults(t, err, "Options.Keys.PublicOnly is set", "leave it unset")
		if text := err.Error(); strings.Contains(text, "HTTPClient") {
			t.Errorf("%q speaks of what was not given", text)
		}
	})
	t.Run("one_class_in_the_text", func(t *testing.T) {
		_, err := providers.Auth0("", options{Keys: jwkscache.Config{MaxStale: 100 * time.Hour}})
		if n := strings.Count(err.Error(), verifier.ErrConfig.Error()); n != 1 {
			t.Errorf("%q names the class %d times", err, n)
		}
	})
	t.Run("SE-01/hook_panics", func(t *testing.T) {
		o := api
		o.Keys.InsecureHosts = []string{"loopback"} // which raises a warning
		o.OnEvent = func(verifier.Event) { panic("broken") }
		_, err := auth0(o)
		wantClass(t, err, verifier.ErrInternal)
	})
}

// TestTemplate: the settings of the key source that a preset decides cannot be given.
func TestTemplate(t *testing.T) {
	for name, keys := range map[string]jwkscache.Config{
		"Issuer":    {Issuer: "https://example.eu.auth0.com/"},
		"URL":       {URL: "https://example.eu.auth0.com/.well-known/jwks.json"},
		"File":      {File: "keys.json"},
		"Discovery": {Discovery: jwkscache.DiscoverOAuth},
	} {
		t.Run(name, func(t *testing.T) {
			o := api
			o.Keys = keys
			_, err := auth0(o)
			wantFaults(t, err, "Options.Keys has Issuer, URL, File or Discovery: leave them empty")
		})
	}
	t.Run("the_rest_is_used", func(t *testing.T) {
		o := api
		o.Keys = jwkscache.Config{UnknownKeyCooldown: time.Hour}
		_, err := auth0(o)
		wantFaults(t, err, "jwkscache.Config.UnknownKeyCooldown")
	})
}

// TestEvents: one hook serves both, unless the keys have their own.
func TestEvents(t *testing.T) {
	for name, own := range map[string]bool{"shared": false, "own_of_the_keys": true} {
		t.Run("SE-08/"+name, func(t *testing.T) {
			w := newWorld(t, "auth0")
			var both, keys []verifier.EventKind
			o := api
			o.Keys = w.keys()
			o.OnEvent = func(e verifier.Event) { both = append(both, e.Kind) }
			if own {
				o.Keys.OnEvent = func(e verifier.Event) { keys = append(keys, e.Kind) }
			}
			cfg, err := auth0(o)
			if err != nil {
				t.Fatal(err)
			}
			accept(t, w.open(cfg), w.token())
			fetched := slices.Contains(both, verifier.EventFetched)
			if fetched == own || slices.Contains(keys, verifier.EventFetched) != own || !slices.Contains(both, verifier.EventAccepted) {
				t.Errorf("verifier %v, keys %v", both, keys)
			}
		})
	}
}

// TestCopies: what the caller does later with its slices changes nothing.
func TestCopies(t *testing.T) {
	for name, c := range map[string]struct {
		lists  [][]string
		config func(lists [][]string, o options) (verifier.Config, error)
	}{
		"google": {[][]string{{googleCalls}, {"https://orders-example.a.run.app"}}, func(lists [][]string, o options) (verifier.Config, error) {
			o.Audience = lists[1]
			return providers.Google(lists[0], o)
		}},
		"github_actions": {[][]string{{"example-org"}, api.Audience}, func(lists [][]string, o options) (verifier.Config, error) {
			o.Audience = lists[1]
			return providers.GitHubActions(lists[0], o)
		}},
		"cognito": {[][]string{{"exampleappclient0001"}}, func(lists [][]string, o options) (verifier.Config, error) {
			o.Clients = lists[0]
			return cognito(o)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, name)
			var lists [][]string
			for _, list := range c.lists {
				lists = append(lists, slices.Clone(list))
			}
			cfg, err := c.config(lists, options{Keys: w.keys()})
			if err != nil {
				t.Fatal(err)
			}
			for _, list := range lists {
				list[0] = "x"
			}
			accept(t, w.open(cfg), w.token())
		})
	}
}

// TestNoFetch: a function of this package does no I/O, nor does a foreign token.
func TestNoFetch(t *testing.T) {
	for _, p := range table {
		t.Run("JV-14/"+p.name, func(t *testing.T) {
			w := newWorld(t, p.name)
			v := w.verifier(p.config, p.options)
			refuse(t, v, w.token(claim("iss", "https://id.example.net")), verifier.ErrIssuer)
			if n := w.fetches(); n != 0 {
				t.Errorf("%d requests", n)
			}
		})
	}
}
