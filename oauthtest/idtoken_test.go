// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"crypto"
	"crypto/sha256"
	_ "crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/verifier"
)

func s256(text string) string {
	hash := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(hash[:])
}

// signedIn is the answer to the exchange of a code, with its ID token.
func signedIn(t *testing.T, as *oauthtest.Server) (a answer, idToken string) {
	t.Helper()
	a = exchange(t, as, approved(t, as, param("nonce", "n/1"), param("acr_values", "gold silver")))
	wantAnswer(t, a, want200, "")
	idToken, _ = a.json["id_token"].(string)
	return a, idToken
}

func TestIDToken(t *testing.T) {
	c := newClock()
	as := newConsent(t, c.in)
	code := approved(t, as, param("nonce", "n/1"), param("acr_values", "gold silver"))
	signIn := c.now()
	c.pass(30 * time.Second)
	a := exchange(t, as, code)
	raw, _ := a.json["id_token"].(string)
	header, claims := parts(t, raw)
	t.Run("header", func(t *testing.T) {
		if header["typ"] != "JWT" || header["alg"] != "ES256" || header["kid"] == nil {
			t.Errorf("%v", header)
		}
	})
	t.Run("claims", func(t *testing.T) {
		access, _ := a.json["access_token"].(string)
		hash := sha256.Sum256([]byte(access))
		want := map[string]any{
			"iss": as.Issuer(), "sub": "user-1", "aud": "web", "email": "ada@example.com",
			"iat": float64(c.now().Unix()), "exp": float64(c.now().Add(10 * time.Minute).Unix()), "auth_time": float64(signIn.Unix()),
			"nonce": "n/1", "acr": "gold", "at_hash": base64.RawURLEncoding.EncodeToString(hash[:16]),
		}
		if !maps.Equal(claims, want) {
			t.Errorf("%v, want %v", claims, want)
		}
	})
	t.Run("TA-16/access_token_says_how_and_when", func(t *testing.T) {
		access, _ := a.json["access_token"].(string)
		if _, claims := parts(t, access); claims["acr"] != "gold" || claims["auth_time"] != float64(signIn.Unix()) {
			t.Errorf("%v", claims)
		}
	})
	t.Run("only_what_was_asked_for", func(t *testing.T) {
		raw, _ := exchange(t, as, approved(t, as)).json["id_token"].(string)
		_, claims := parts(t, raw)
		if got := slices.Sorted(maps.Keys(claims)); !slices.Equal(got, []string{"at_hash", "aud", "auth_time", "email", "exp", "iat", "iss", "sub"}) {
			t.Errorf("%v", got)
		}
	})
}

// TestIDTokenIsNoAccessToken: the same issuer, the same key, and even the audience of
// the API are not enough.
func TestIDTokenIsNoAccessToken(t *testing.T) {
	as := newConsent(t)
	for _, tc := range []struct {
		name    string
		profile verifier.Profile
	}{{"rfc9068", verifier.RFC9068}, {"jwt", verifier.ProfileJWT}} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := as.VerifierConfig("web")
			cfg.Profile = tc.profile
			if _, raw := signedIn(t, as); verdict(newVerifier(t, cfg), raw) == nil {
				t.Error("an API takes an ID token")
			}
		})
	}
}

func TestIDTokenAlgorithms(t *testing.T) {
	for alg, hash := range map[string]crypto.Hash{
		"RS256": crypto.SHA256, "ES256": crypto.SHA256, "ES384": crypto.SHA384, "PS384": crypto.SHA384,
		"ES512": crypto.SHA512, "RS512": crypto.SHA512, "EdDSA": crypto.SHA512, "Ed25519": crypto.SHA512,
	} {
		t.Run(alg, func(t *testing.T) {
			as := newConsent(t, func(c *oauthtest.Config) { c.Algorithm = alg })
			a, raw := signedIn(t, as)
			header, claims := parts(t, raw)
			access, _ := a.json["access_token"].(string)
			h := hash.New()
			h.Write([]byte(access))
			if want := base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:hash.Size()/2]); claims["at_hash"] != want || header["alg"] != alg {
				t.Errorf("at_hash %v, want %s; header %v", claims["at_hash"], want, header)
			}
			wantSigned(t, as, raw)
		})
	}
}

// TestNoIDTokenWithHMAC: its key would be the client's secret (OpenID Connect Core 1.0
// §10.1), so that whoever asks for one hears no.
func TestNoIDTokenWithHMAC(t *testing.T) {
	for _, alg := range []string{"HS256", "HS384", "HS512", "ES256"} {
		as := newConsent(t, legacy, func(c *oauthtest.Config) {
			c.Algorithm, c.Users[0].Password = alg, "pw"
		})
		refused := alg != "ES256"
		for name, description := range openIDRequests(t, as) {
			t.Run(alg+"/"+name, func(t *testing.T) {
				if refused != (description != "") || refused && (!strings.Contains(description, "openid") || !strings.Contains(description, "Config.Algorithm")) {
					t.Errorf("description %q", description)
				}
			})
		}
		t.Run(alg+"/without_openid", func(t *testing.T) {
			a := exchange(t, as, approved(t, as, param("scope", "orders:read openidx")))
			wantAnswer(t, a, want200, "")
			if _, there := a.json["id_token"]; there {
				t.Error("an ID token that nobody asked for")
			}
		})
		t.Run("TA-04/"+alg+"_openid_in_metadata", func(t *testing.T) {
			a := document(t, as)
			_, signing := a.json["id_token_signing_alg_values_supported"]
			if offered := slices.Contains(listOf(a, "scopes_supported"), "openid"); offered == refused || signing == refused || a.json["scopes_supported"] == nil {
				t.Errorf("%s", a.body)
			}
		})
	}
}

// openIDRequests asks for openid in every way, and returns what is said of a refusal.
func openIDRequests(t *testing.T, as *oauthtest.Server) map[string]string {
	t.Helper()
	descriptions := map[string]string{}
	for name, script := range map[string]func() (string, error){
		"code":     func() (string, error) { return as.Approve(consentURL(as)) },
		"implicit": func() (string, error) { return as.Approve(consentURL(as, param("response_type", "token"))) },
	} {
		location, err := script()
		if err != nil {
			t.Fatal(err)
		}
		params, err := url.ParseQuery(location[strings.IndexAny(location, "?#")+1:])
		if err != nil || params.Has("error") && params.Get("error") != "invalid_scope" {
			t.Fatal(location, err)
		}
		descriptions[name] = params.Get("error_description")
	}
	for name, a := range map[string]answer{
		"client_credentials": tokenRequest(t, as, byClientCredentials+"&scope=openid", webClient),
		"password":           tokenRequest(t, as, "grant_type=password&username=user-1&password=pw&scope=orders:read+openid", webClient),
		"device":             postForm(t, as, "/device_authorization", "client_id=native&scope=openid"),
	} {
		if code := a.json["error"]; code != nil && code != "invalid_scope" {
			t.Fatal(a.body)
		}
		descriptions[name], _ = a.json["error_description"].(string)
	}
	return descriptions
}

// wantSigned checks a signature with the published key.
func wantSigned(t *testing.T, as *oauthtest.Server, raw string) {
	t.Helper()
	header, _ := parts(t, raw)
	input, signature := raw[:strings.LastIndexByte(raw, '.')], raw[strings.LastIndexByte(raw, '.')+1:]
	sig, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	alg, _ := header["alg"].(string)
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal([]byte(get(t, as.HTTPClient(), as.Issuer()+"/jwks").body), &set); err != nil {
		t.Fatal(err)
	}
	for _, jwk := range set.Keys {
		key, err := jose.ParseKey(jwk)
		if err != nil {
			t.Fatal(err)
		}
		if key.Verify(alg, []byte(input), sig) {
			return
		}
	}
	t.Errorf("no published key verifies %s", alg)
}
