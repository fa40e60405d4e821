// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"encoding/json"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/verifier"
)

// heard keeps the events of a cache.
type heard struct {
	mu    sync.Mutex
	kinds map[verifier.EventKind]int
}

func (h *heard) hook(e verifier.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kinds[e.Kind]++
}

func (h *heard) count(k verifier.EventKind) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.kinds[k]
}

// listening is a verifier whose key cache tells what it meets.
func listening(t *testing.T, as *oauthtest.Server) (*verifier.Verifier, *jwkscache.Cache, *heard) {
	t.Helper()
	h := &heard{kinds: map[verifier.EventKind]int{}}
	keys, err := jwkscache.New(jwkscache.Config{Issuer: as.Issuer(), HTTPClient: as.HTTPClient(), OnEvent: h.hook})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close() })
	cfg := as.VerifierConfig(api)
	cfg.Keys = keys
	return newVerifier(t, cfg), keys, h
}

type keys = []map[string]any

// set changes members of the newest key; nil removes one.
func set(changes map[string]any) func(keys) keys {
	return func(ks keys) keys {
		for name, value := range changes {
			if ks[0][name] = value; value == nil {
				delete(ks[0], name)
			}
		}
		return ks
	}
}

// foreign is the public JWK of a server that is never asked.
func foreign(t *testing.T, alg string) map[string]any {
	t.Helper()
	other := oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Algorithm = alg })
	var doc struct{ Keys keys }
	if err := json.Unmarshal(other.KeySet(), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Keys[0]
}

// before puts n copies of jwk in front, under the kid of the good key if it has one.
func before(n int, jwk map[string]any) func(keys) keys {
	return func(ks keys) keys {
		for range n {
			c := maps.Clone(jwk)
			if c["kid"] = ks[len(ks)-1]["kid"]; c["kid"] == nil {
				delete(c, "kid")
			}
			ks = append(keys{c}, ks...)
		}
		return ks
	}
}

func both(f, g func(keys) keys) func(keys) keys {
	return func(ks keys) keys { return g(f(ks)) }
}

// One edit each, and what a verifier with a cold cache makes of the perfect token.
func TestKeyFaults(t *testing.T) {
	rsa, ec := foreign(t, "RS256"), foreign(t, "ES256")
	nameless := set(map[string]any{"kid": nil})
	noKid := oauthtest.NoHeader("kid")
	for _, tc := range []struct {
		name  string
		edit  func(keys) keys
		token oauthtest.Edit
		want  error
		event verifier.EventKind
	}{
		{"TA-22/no_fault", set(nil), nil, nil, ""},
		{"TA-22/KS-14_no_key", func(keys) keys { return nil }, nil, verifier.ErrKeysUnavailable, verifier.EventFetchFailed},
		{"TA-22/KS-15_unknown_kty", set(map[string]any{"kty": "XYZ"}), nil, verifier.ErrUnknownKey, verifier.EventKeySkipped},
		{"TA-22/KS-15_unknown_crv", set(map[string]any{"crv": "secp256k1"}), nil, verifier.ErrUnknownKey, verifier.EventKeySkipped},
		{"TA-22/KS-15_missing_member", set(map[string]any{"y": nil}), nil, verifier.ErrUnknownKey, verifier.EventKeySkipped},
		{"TA-22/KS-15_off_the_curve", set(map[string]any{"x": ec["y"], "y": ec["y"]}), nil, verifier.ErrUnknownKey, verifier.EventKeySkipped},
		{"TA-22/KS-15_beside_a_good_key", before(1, map[string]any{"kty": "XYZ"}), nil, nil, verifier.EventKeySkipped},
		{"TA-22/KS-16_use_enc", set(map[string]any{"use": "enc"}), nil, verifier.ErrUnknownKey, verifier.EventKeySkipped},
		{"TA-22/KS-16_no_use", set(map[string]any{"use": nil}), nil, nil, ""},
		{"TA-22/KS-17_key_ops_encrypt", set(map[string]any{"key_ops": []string{"encrypt"}}), nil, verifier.ErrUnknownKey, verifier.EventKeySkipped},
		{"TA-22/KS-17_key_ops_verify", set(map[string]any{"key_ops": []string{"verify"}}), nil, nil, ""},
		{"TA-22/KS-18_oct", before(1, map[string]any{"kty": "oct", "k": strings.Repeat("A", 43)}), nil, nil, verifier.EventKeySkipped},
		{"TA-22/KS-20_one_kid_two_types", before(1, rsa), nil, nil, ""},
		{"TA-22/KS-20_one_kid_one_type", before(1, ec), nil, nil, ""},
		{"TA-22/KS-20_good_key_is_the_eighth", before(7, ec), nil, nil, ""},
		{"TA-22/KS-20_good_key_is_the_ninth", before(8, ec), nil, verifier.ErrSignature, ""},
		{"TA-22/KS-21_no_kid_anywhere", nameless, noKid, nil, ""},
		{"TA-22/KS-21_eight_without_kid", both(nameless, before(7, ec)), noKid, nil, ""},
		{"TA-22/KS-21_nine_without_kid", both(nameless, before(8, ec)), noKid, verifier.ErrUnknownKey, ""},
		{"TA-22/KS-22_key_without_kid", nameless, nil, verifier.ErrUnknownKey, ""},
		{"TA-22/KS-22_other_kid", set(map[string]any{"kid": "other"}), nil, verifier.ErrUnknownKey, ""},
		{"TA-22/KS-23_certificate_is_ignored", set(map[string]any{"x5c": []string{"AAAA"}, "x5u": "https://evil.test/"}), nil, nil, ""},
		{"TA-22/wrong_alg", set(map[string]any{"alg": "ES384"}), nil, verifier.ErrUnknownKey, verifier.EventKeySkipped},
		{"TA-22/no_alg", set(map[string]any{"alg": nil}), nil, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			as := oauthtest.NewServer(t, es256)
			as.EditKeySet(tc.edit)
			v, _, h := listening(t, as)
			edits := []oauthtest.Edit{longLived}
			if tc.token != nil {
				edits = append(edits, tc.token)
			}
			wantVerdict(t, v, as.Token(edits...), tc.want)
			if tc.event != "" && h.count(tc.event) == 0 || tc.event == "" && h.count(verifier.EventKeySkipped) > 0 {
				t.Errorf("events %v, want %q", h.kinds, tc.event)
			}
		})
	}
}

func TestPrivateKeyPublished(t *testing.T) {
	for _, alg := range []string{"RS256", "ES384", "Ed25519"} {
		t.Run("TA-22/KS-19_private_members_"+alg, func(t *testing.T) {
			as := oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Algorithm = alg })
			as.EditKeySet(func(keys) keys { return keys{as.PrivateJWK()} })
			if !strings.Contains(string(as.KeySet()), `"d":`) {
				t.Fatalf("no private member in %s", as.KeySet())
			}
			v, _, h := listening(t, as)
			wantVerdict(t, v, as.Token(), nil)
			if h.count(verifier.EventPrivateKey) != 1 {
				t.Errorf("events %v", h.kinds)
			}
		})
	}
}

// A set without a usable key does not replace one that has some (KS-14).
func TestWarmCache(t *testing.T) {
	for name, edit := range map[string]func(keys) keys{
		"TA-22/KS-14_warm_no_key":     func(keys) keys { return nil },
		"TA-22/KS-14_warm_all_unfit":  set(map[string]any{"use": "enc"}),
		"TA-22/KS-14_warm_all_unread": set(map[string]any{"kty": "XYZ"}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := oauthtest.NewServer(t, es256)
				v, cache, h := listening(t, as)
				raw := as.Token(longLived)
				wantVerdict(t, v, raw, nil)
				as.EditKeySet(edit)
				time.Sleep(20 * time.Minute)
				wantVerdict(t, v, raw, nil)
				if cache.Status().Failures == 0 || h.count(verifier.EventFetchFailed) == 0 {
					t.Errorf("status %+v, events %v", cache.Status(), h.kinds)
				}
				as.EditKeySet(nil)
				time.Sleep(time.Hour)
				wantVerdict(t, v, raw, nil)
				synctest.Wait() // the old keys may have served, and caused an attempt
				if got := cache.Status().Failures; got != 0 {
					t.Errorf("%d failures after the edit was undone", got)
				}
			})
		})
	}
}

// What JSON objects of a Go map cannot say, a fault's body can.
func TestDuplicateMembersOfKeys(t *testing.T) {
	for _, tc := range []struct {
		name, old, new string
		want           error
	}{
		{"TA-22/KS-24_in_the_key", `{"alg"`, `{"kid":"x","alg"`, verifier.ErrUnknownKey},
		{"TA-22/KS-24_in_the_set", `{"keys"`, `{"keys":[],"keys"`, verifier.ErrKeysUnavailable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			as := oauthtest.NewServer(t, es256)
			body := strings.Replace(string(as.KeySet()), tc.old, tc.new, 1)
			if body == string(as.KeySet()) {
				t.Fatalf("no %s in %s", tc.old, body)
			}
			as.SetFault(oauthtest.EndpointKeySet, oauthtest.Fault{Body: body})
			v, _, _ := listening(t, as)
			wantVerdict(t, v, as.Token(), tc.want)
		})
	}
}
