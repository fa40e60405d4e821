// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/MicahParks/jwkset"
	"github.com/auth0/go-jwt-middleware/v3/jwks"
	"github.com/go-jose/go-jose/v4"

	"github.com/bearerguard/bearerguard/oauthtest"
)

func joseReads(key []byte) error { return new(jose.JSONWebKey).UnmarshalJSON(key) }

func jwksetReads(key []byte) error {
	_, err := jwkset.NewJWKFromRawJSON(key, jwkset.JWKMarshalOptions{Private: true}, jwkset.JWKValidateOptions{})
	return err
}

// auth0Reads asks its provider, for which one key has to be a set.
func auth0Reads(key []byte) error {
	at := &url.URL{Scheme: "https", Host: "issuer.test", Path: "/jwks"}
	provider, err := jwks.NewProvider(jwks.WithIssuerURL(at), jwks.WithCustomJWKSURI(at), jwks.WithCustomClient(&http.Client{Transport: oneKey(key)}))
	if err != nil {
		return err
	}
	_, err = provider.KeyFunc(context.Background())
	return err
}

// oneKey answers every request with a set of one key.
type oneKey []byte

func (k oneKey) RoundTrip(r *http.Request) (*http.Response, error) {
	body := slices.Concat([]byte(`{"keys":[`), k, []byte(`]}`))
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}

// readable keeps those keys from a set-up with which it could read none of the set.
type readable struct {
	http.RoundTripper
	reads func(jwk []byte) error
}

func (rt readable) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := rt.RoundTripper.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.HasSuffix(r.URL.Path, "/jwks") {
		return resp, err
	}
	defer resp.Body.Close()
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil {
		return nil, err
	}
	set.Keys = slices.DeleteFunc(set.Keys, func(key json.RawMessage) bool { return rt.reads(key) != nil })
	body, err := json.Marshal(set)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, err
}

// neighbours are keys that an issuer may publish beside the one it signs with.
var neighbours = []struct {
	title string
	key   map[string]any
}{
	{"of a key type that came later (`AKP`)", map[string]any{"kty": "AKP", "alg": "ML-DSA-65", "kid": "new", "pub": "AAAA"}},
	{"of an algorithm that came later (`alg`)", map[string]any{"kty": "EC", "crv": "P-256", "alg": "ES999", "kid": "new", "x": x256, "y": y256}},
	{"of a curve that came later (`crv`)", map[string]any{"kty": "EC", "crv": "P-999", "kid": "new", "x": x256, "y": y256}},
	{"with a number as `kid`", map[string]any{"kty": "EC", "crv": "P-256", "kid": 7, "x": x256, "y": y256}},
	{"without one of its coordinates", map[string]any{"kty": "EC", "crv": "P-256", "kid": "new", "x": x256}},
	{"that is not on its curve", map[string]any{"kty": "EC", "crv": "P-256", "kid": "new", "x": x256, "y": x256}},
}

// The public key of RFC 7517 appendix A.1.
const (
	x256 = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"
	y256 = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
)

// keySets says whether a good token passes while such a key stands beside its own.
func keySets(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("## One more key in the key set\n\nWhat becomes of a good token while the issuer also publishes a key\n\n")
	head(&b, "")
	for _, n := range neighbours {
		fmt.Fprintf(&b, "| %s |", n.title)
		for _, p := range peers {
			fmt.Fprintf(&b, " %s |", map[bool]string{true: "passes", false: "refused"}[passesBeside(t, p, n.title, n.key)])
		}
		b.WriteString("\n")
	}
	return b.String() + "\n"
}

func passesBeside(t *testing.T, p peer, title string, key map[string]any) (passes bool) {
	t.Helper()
	t.Run(p.name+" beside a key "+title, func(t *testing.T) {
		as := oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Audience = []string{ordersAPI} })
		as.EditKeySet(func(keys []map[string]any) []map[string]any { return append(keys, key) })
		h, err := p.start(t.Context(), t, as, as.HTTPClient())
		if err != nil {
			return // it does not even start
		}
		passes = send(t, &http.Client{Transport: serve(t, h)}, as.Token(oauthtest.Scope(scope))).StatusCode == http.StatusOK
	})
	return passes
}
