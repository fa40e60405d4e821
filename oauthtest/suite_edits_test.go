// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/verifier"
)

// TestVerifierThatAsksForMore: without the edits that it needs, every check says so, and
// none panics.
func TestVerifierThatAsksForMore(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(*verifier.Config){
		"required_claim": func(c *verifier.Config) {
			c.RequiredClaims = []verifier.RequiredClaim{{Path: verifier.ClaimPath{"tenant"}, Values: []string{"t1"}}}
		},
		"mapped_scopes": func(c *verifier.Config) { c.Mapping.Scopes = verifier.ClaimPath{"scp"} },
		"algorithm":     func(c *verifier.Config) { c.Algorithms = []string{"RS256"} },
	} {
		open := func(t testing.TB, as *Server, audience string) middleware.TokenVerifier {
			cfg := as.VerifierConfig(audience)
			ask(&cfg)
			v, err := verifier.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		t.Run(name, func(t *testing.T) {
			for _, c := range verifierChecks {
				text := failed(t, c.name, func(t testing.TB) { c.play(t, open, nil) })
				if strings.Contains(text, "panic") {
					t.Errorf("%s: %s", c.name, text)
				}
				if c.name == "good_token_is_accepted" && !strings.Contains(text, "TestTokenVerifier") {
					t.Errorf("does not name the remedy: %s", text)
				}
			}
		})
	}
}

// TestLiberties: what a configuration may do otherwise excuses nothing else.
func TestLiberties(t *testing.T) {
	mapped := liberties{mapped: []string{"scope"}}
	optional := liberties{optional: []string{"client_id"}}
	profile := liberties{anyType: true}
	for _, tc := range []struct {
		name string
		free liberties
		id   string
		want bool
	}{
		{"nothing_without_liberties", liberties{}, "D41.number", false},
		{"mapped", mapped, "D41.number", true},
		{"mapped_other_claim", mapped, "D58.client_id_number", false},
		{"mapped_and_forged", mapped, "C1.none_lower", false},
		{"optional", optional, "D32.no_client_id", true},
		{"optional_but_not_of_any_type", optional, "D58.client_id_number", false},
		{"optional_other_claim", optional, "D32.no_sub", false},
		{"any_type", profile, "D32.no_client_id", true},
		{"any_type_but_not_any_token", profile, "D41.number", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			as := NewServer(t, func(c *Config) { c.Algorithm = "ES256" })
			h := as.HostileToken(tc.id, Audience(suiteAPI), Scope("a", "b"))
			if got := tc.free.take(h); got != tc.want {
				t.Errorf("%s may pass: %t", tc.id, got)
			}
		})
	}
}
