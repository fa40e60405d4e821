// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestHints(t *testing.T) {
	i := newInside(t, 0)
	other, err := New(Config{Issuer: "https://other.example", Audience: []string{"a"}, Keys: i})
	if err != nil {
		t.Fatal(err)
	}
	both, err := Join(i.v, other)
	if err != nil {
		t.Fatal(err)
	}
	raw := i.token("a")
	digest := sha256.Sum256([]byte(raw))
	accept := func(t *testing.T) {
		t.Helper()
		if tok, err := both.Verify(t.Context(), raw); err != nil || tok.Issuer != "https://i.example" {
			t.Fatal(tok, err)
		}
	}
	t.Run("JV-35/only_verified_tokens_leave_one", func(t *testing.T) {
		bad := raw[:len(raw)-4] + "AAAA"
		if _, err := both.Verify(t.Context(), bad); ClassOf(err) != ErrSignature {
			t.Fatal(err)
		}
		if both.hints.slot(sha256.Sum256([]byte(bad))).Load() != nil {
			t.Error("a forged token left a hint")
		}
	})
	t.Run("JV-35/found_without_being_read", func(t *testing.T) {
		accept(t)
		if name := both.hints.slot(digest).Load(); name == nil || *name != "https://i.example" {
			t.Fatal("no hint was left")
		}
		if tok, is, err := both.seenBefore(t.Context(), digest); tok == nil || is != i.v.only || err != nil {
			t.Error(tok, is, err)
		}
	})
	t.Run("JV-35/anothers_hint_decides_nothing", func(t *testing.T) {
		for _, name := range []string{"https://other.example", "https://unknown.example", ""} {
			both.hints.slot(digest).Store(&name)
			accept(t)
		}
	})
	t.Run("JV-35/withdrawn_key_behind_a_hint", func(t *testing.T) {
		accept(t)
		i.set = &KeySet{}
		if _, err := both.Verify(t.Context(), raw); ClassOf(err) != ErrUnknownKey {
			t.Error(err)
		}
	})
}

// TestHintsOfTenants: a tenant that was given up is refused at once, and nothing is
// asked about a tenant whose hint another token has taken.
func TestHintsOfTenants(t *testing.T) {
	i := newInside(t, 0)
	var asked []string
	given := map[string]bool{}
	v, err := NewTenants(Tenants{
		Accept: func(iss string) bool {
			asked = append(asked, iss)
			return strings.HasSuffix(iss, ".example") && !given[iss]
		},
		Resolve: func(_ context.Context, iss string) (Config, error) {
			return Config{Issuer: iss, Audience: []string{"a"}, Keys: i}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	raw := i.token("a")
	digest := sha256.Sum256([]byte(raw))
	for range 2 {
		if _, err := v.Verify(t.Context(), raw); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("JV-35/asked_at_each_use", func(t *testing.T) {
		if want := []string{"https://i.example", "https://i.example"}; !slices.Equal(asked, want) {
			t.Errorf("asked about %q, want %q", asked, want)
		}
	})
	t.Run("JV-35/anothers_hint_decides_nothing", func(t *testing.T) {
		gone := "https://gone.example"
		given[gone] = true
		v.hints.slot(digest).Store(&gone)
		asked = nil
		if _, err := v.Verify(t.Context(), raw); err != nil || slices.Contains(asked, gone) {
			t.Errorf("%v, asked about %q", err, asked)
		}
	})
	t.Run("JV-35/given_up_behind_a_hint", func(t *testing.T) {
		given["https://i.example"] = true
		if _, err := v.Verify(t.Context(), raw); ClassOf(err) != ErrIssuer {
			t.Error(err)
		}
		given["https://i.example"] = false
		if _, err := v.Verify(t.Context(), raw); err != nil {
			t.Error(err)
		}
	})
}

// TestWrongHintOfTenant: a hint that leads to a tenant that is known and given up says
// nothing about a token of another.
func TestWrongHintOfTenant(t *testing.T) {
	i := newInside(t, 0)
	given := map[string]bool{}
	var events []Event
	at := time.Now()
	v, err := NewTenants(Tenants{
		Accept: func(iss string) bool { return !given[iss] },
		Resolve: func(_ context.Context, iss string) (Config, error) {
			return Config{Issuer: iss, Audience: []string{"a"}, Keys: i, Now: func() time.Time { return at }}, nil
		},
		OnEvent: func(e Event) { events = append(events, e) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	const gone = "https://gone.example"
	raw, other := i.token("a"), i.signAs(gone, `,"jti":"b"`)
	i.v = v
	i.accept(t, other)
	i.accept(t, raw)
	t.Run("JV-35/anothers_tenant_given_up", func(t *testing.T) {
		given[gone] = true
		name := gone
		v.hints.slot(sha256.Sum256([]byte(raw))).Store(&name)
		i.accept(t, raw)
	})
	t.Run("JV-35/refusal_on_a_hit_names_the_tenant", func(t *testing.T) {
		at = at.Add(time.Hour)
		events = nil
		if _, err := v.Verify(t.Context(), raw); ClassOf(err) != ErrExpired {
			t.Fatal(err)
		}
		if len(events) != 1 || events[0].Issuer != "https://i.example" {
			t.Errorf("events %+v", events)
		}
	})
}
