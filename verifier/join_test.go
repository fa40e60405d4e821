// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/bearerguard/bearerguard/verifier"
)

const otherIssuer = "https://other.example.com"

func issuedBy(iss string) func(*verifier.Config) {
	return func(cfg *verifier.Config) { cfg.Issuer = iss }
}

func join(t testing.TB, vs ...*verifier.Verifier) *verifier.Verifier {
	t.Helper()
	v, err := verifier.Join(vs...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// pair is two issuers whose keys are different but bear the same kid.
type pair struct {
	a, b         *source
	heardA       *recorder
	heardB       *recorder
	both         *verifier.Verifier
	verifyA      *verifier.Verifier
	fromA, fromB string
}

// recorder keeps the events of a hook.
type recorder struct {
	mu     sync.Mutex
	events []verifier.Event
}

func (r *recorder) hook(e verifier.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// take returns the events since the last call.
func (r *recorder) take() []verifier.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := r.events
	r.events = nil
	return events
}

func heardBy(r *recorder) func(*verifier.Config) {
	return func(cfg *verifier.Config) { cfg.OnEvent = r.hook }
}

func newPair(t *testing.T, editsB ...func(*verifier.Config)) *pair {
	p := &pair{
		a: keysOne(), b: &source{current: jwks(jwk(rsaTwo(), object{"kid": "one"}))},
		heardA: &recorder{}, heardB: &recorder{},
		fromA: token(nil, nil),
		fromB: sign(rsaTwo(), "RS256", goodHeader().String(), goodClaims().edit(object{"iss": otherIssuer}).String()),
	}
	p.verifyA = newVerifier(t, withSource(p.a), heardBy(p.heardA))
	b := newVerifier(t, append([]func(*verifier.Config){withSource(p.b), issuedBy(otherIssuer), heardBy(p.heardB)}, editsB...)...)
	p.both = join(t, p.verifyA, b)
	return p
}

func TestJoinKeepsIssuersApart(t *testing.T) {
	t.Run("GO-19/tokens_of_both_pass", func(t *testing.T) {
		p := newPair(t)
		for range 2 {
			if tok := expect(t, p.both, p.fromA, nil); tok.Issuer != issuerURL {
				t.Errorf("issuer %s", tok.Issuer)
			}
			if tok := expect(t, p.both, p.fromB, nil); tok.Issuer != otherIssuer {
				t.Errorf("issuer %s", tok.Issuer)
			}
		}
	})
	t.Run("JV-16/D21_key_of_the_other_issuer", func(t *testing.T) {
		p := newPair(t)
		expect(t, p.both, p.fromA, nil)
		expect(t, p.both, p.fromB, nil)
		forged := token(nil, object{"iss": otherIssuer})
		expect(t, p.both, forged, verifier.ErrSignature)
		back := sign(rsaTwo(), "RS256", goodHeader().String(), goodClaims().String())
		expect(t, p.both, back, verifier.ErrSignature)
	})
	t.Run("JV-16/C38_kid_of_the_other_issuer", func(t *testing.T) {
		p := newPair(t)
		p.b.set(jwks(jwk(rsaTwo(), object{"kid": "two"})))
		expect(t, p.both, token(object{"kid": "two"}, nil), verifier.ErrUnknownKey)
	})
	t.Run("JV-16/D23_audience_per_issuer", func(t *testing.T) {
		p := newPair(t, func(c *verifier.Config) { c.Audience = []string{"https://b.example.com"} })
		expect(t, p.both, p.fromB, verifier.ErrAudience)
		expect(t, p.both, token(nil, object{"aud": "https://b.example.com"}), verifier.ErrAudience)
		expect(t, p.both, p.fromA, nil)
	})
	t.Run("JV-16/algorithms_per_issuer", func(t *testing.T) {
		p := newPair(t, algorithms("PS256"))
		expect(t, p.both, p.fromB, verifier.ErrAlgorithm)
		expect(t, p.both, p.fromA, nil)
		expect(t, p.both, algToken("PS256", rsaOne()), nil)
	})
	t.Run("GO-19/profile_per_issuer", func(t *testing.T) {
		p := newPair(t, legacy)
		plain := goodHeader().edit(object{"typ": nil}).String()
		expect(t, p.both, sign(rsaTwo(), "RS256", plain, goodClaims().edit(object{"iss": otherIssuer}).String()), nil)
		expect(t, p.both, sign(rsaOne(), "RS256", plain, goodClaims().String()), verifier.ErrTokenType)
	})
	t.Run("GO-19/secrets_beside_keys", func(t *testing.T) {
		s, err := verifier.NewSymmetric(symmetricConfig(issuedBy(otherIssuer)), secret256())
		if err != nil {
			t.Fatal(err)
		}
		v := join(t, newVerifier(t), s)
		header := goodHeader().edit(object{"alg": "HS256"}).String()
		expect(t, v, sign(secretOf(32), "HS256", header, goodClaims().edit(object{"iss": otherIssuer}).String()), nil)
		expect(t, v, sign(secretOf(32), "HS256", header, goodClaims().String()), verifier.ErrAlgorithm)
		expect(t, v, token(nil, object{"iss": otherIssuer}), verifier.ErrAlgorithm)
		expect(t, v, token(nil, nil), nil)
	})
	t.Run("GO-19/limits_per_issuer", func(t *testing.T) {
		p := newPair(t, func(c *verifier.Config) { c.MaxTokenBytes = 65_536 })
		long := object{"pad": strings.Repeat("x", 15_000)}
		expect(t, p.both, token(nil, long), verifier.ErrMalformedToken)
		claims := goodClaims().edit(object{"iss": otherIssuer}).edit(long).String()
		expect(t, p.both, sign(rsaTwo(), "RS256", goodHeader().String(), claims), nil)
		huge := goodClaims().edit(object{"iss": otherIssuer, "pad": strings.Repeat("x", 60_000)}).String()
		expect(t, p.both, sign(rsaTwo(), "RS256", goodHeader().String(), huge), verifier.ErrMalformedToken)
	})
	t.Run("GO-19/larger_limit_in_any_place", func(t *testing.T) {
		roomy := newVerifier(t, func(c *verifier.Config) { c.MaxTokenBytes = 65_536 })
		other := newVerifier(t, issuedBy(otherIssuer))
		long := token(nil, object{"pad": strings.Repeat("x", 20_000)})
		expect(t, join(t, roomy, other), long, nil)
		expect(t, join(t, other, roomy), long, nil)
	})
	t.Run("JV-30/D34_one_subject_two_issuers", func(t *testing.T) {
		p := newPair(t)
		a, b := expect(t, p.both, p.fromA, nil), expect(t, p.both, p.fromB, nil)
		if a.Subject != b.Subject || a.Issuer == b.Issuer {
			t.Errorf("principals %s %s and %s %s", a.Issuer, a.Subject, b.Issuer, b.Subject)
		}
	})
	t.Run("GO-19/Implies_per_issuer", func(t *testing.T) {
		p := newPair(t, func(c *verifier.Config) { c.Implies = map[string][]string{"orders:read": {"orders:list"}} })
		if expect(t, p.both, p.fromA, nil).HasScope("orders:list") || !expect(t, p.both, p.fromB, nil).HasScope("orders:list") {
			t.Error("the implication of B counts for A, or not for B")
		}
	})
}

func TestUnknownIssuer(t *testing.T) {
	for _, iss := range []any{
		"https://evil.example", issuerURL + "/", strings.ToUpper(issuerURL), issuerURL + ".evil.example", issuerURL + ":443", "", "x",
	} {
		t.Run(fmt.Sprintf("JV-14/D22_%v", iss), func(t *testing.T) {
			p := newPair(t)
			for range 3 {
				expect(t, p.both, token(nil, object{"iss": iss}), verifier.ErrIssuer)
				expect(t, p.verifyA, token(nil, object{"iss": iss}), verifier.ErrIssuer)
			}
			if p.a.calls+p.b.calls != 0 {
				t.Errorf("%d key look-ups, want none", p.a.calls+p.b.calls)
			}
		})
	}
	t.Run("JV-14/G11_many_issuers", func(t *testing.T) {
		p := newPair(t)
		for i := range 1000 {
			iss := fmt.Sprintf("https://%d.example", i)
			unsigned := b64(goodHeader().String()) + "." + b64(goodClaims().edit(object{"iss": iss}).String()) + ".AAAA"
			expect(t, p.both, unsigned, verifier.ErrIssuer)
		}
		if p.a.calls+p.b.calls != 0 {
			t.Errorf("%d key look-ups, want none", p.a.calls+p.b.calls)
		}
	})
}

func TestJoinOutage(t *testing.T) {
	t.Run("GO-19/K36_keys_of_one_unavailable", func(t *testing.T) {
		p := newPair(t)
		expect(t, p.both, p.fromA, nil)
		p.a.err = verifier.ErrKeysUnavailable
		expect(t, p.both, p.fromA, verifier.ErrKeysUnavailable)
		expect(t, p.both, token(nil, object{"jti": "x"}), verifier.ErrKeysUnavailable)
		expect(t, p.both, p.fromB, nil)
		expect(t, p.both, token(nil, object{"iss": "https://unknown.example"}), verifier.ErrIssuer)
	})
}

func TestJoinRefusals(t *testing.T) {
	a, b := newVerifier(t), newVerifier(t, issuedBy(otherIssuer))
	for _, tt := range []struct {
		name string
		vs   []*verifier.Verifier
		text string
	}{
		{"JV-37/P8_same_issuer", []*verifier.Verifier{a, newVerifier(t)}, issuerURL},
		{"JV-37/same_verifier", []*verifier.Verifier{a, b, a}, issuerURL},
		{"JV-37/inside_a_joined_one", []*verifier.Verifier{join(t, a, b), newVerifier(t, issuedBy(otherIssuer))}, otherIssuer},
		{"GO-19/nothing", nil, "no verifier"},
		{"GO-19/nil", []*verifier.Verifier{a, nil}, "verifier 1"},
		{"GO-19/zero", []*verifier.Verifier{{}, a}, "verifier 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := verifier.Join(tt.vs...)
			if v != nil || !errors.Is(err, verifier.ErrConfig) || !strings.Contains(fmt.Sprint(err), tt.text) {
				t.Errorf("got %v, %v; want a configuration error about %s", v, err, tt.text)
			}
		})
	}
	t.Run("JV-37/different_by_one_slash", func(t *testing.T) {
		v := join(t, a, newVerifier(t, issuedBy(issuerURL+"/"), withKeys(jwks(jwk(rsaTwo(), object{"kid": "one"})))))
		expect(t, v, token(nil, nil), nil)
		expect(t, v, token(nil, object{"iss": issuerURL + "/"}), verifier.ErrSignature)
	})
	t.Run("GO-19/one_and_nested", func(t *testing.T) {
		expect(t, join(t, a), token(nil, nil), nil)
		expect(t, join(t, join(t, a), join(t, b)), token(nil, nil), nil)
		expect(t, join(t, join(t, a), b), token(nil, object{"iss": otherIssuer}), nil)
	})
}

func TestJoinEvents(t *testing.T) {
	p := newPair(t)
	heard := func(t *testing.T, r *recorder, want ...verifier.Event) {
		t.Helper()
		got := r.take()
		if len(got) != len(want) {
			t.Fatalf("events %v, want %v", got, want)
		}
		for i := range got {
			if got[i].Kind != want[i].Kind || got[i].Issuer != want[i].Issuer || got[i].Class != want[i].Class {
				t.Errorf("event %v, want %v", got[i], want[i])
			}
		}
	}
	t.Run("SE-08/event_goes_to_the_issuer_concerned", func(t *testing.T) {
		expectOnce(t, p.both, p.fromB, nil)
		heard(t, p.heardB, verifier.Event{Kind: verifier.EventAccepted, Issuer: otherIssuer})
		expectOnce(t, p.both, token(nil, object{"iss": otherIssuer}), verifier.ErrSignature)
		heard(t, p.heardB, verifier.Event{Kind: verifier.EventRefused, Issuer: otherIssuer, Class: verifier.ErrSignature})
		heard(t, p.heardA)
	})
	t.Run("SE-08/event_of_no_issuer_goes_to_the_first", func(t *testing.T) {
		expectOnce(t, p.both, "x", verifier.ErrMalformedToken)
		expectOnce(t, p.both, token(nil, object{"iss": "x"}), verifier.ErrIssuer)
		heard(t, p.heardA,
			verifier.Event{Kind: verifier.EventRefused, Class: verifier.ErrMalformedToken},
			verifier.Event{Kind: verifier.EventRefused, Class: verifier.ErrIssuer})
		heard(t, p.heardB)
	})
	t.Run("SE-08/panic_in_the_clock_of_the_second", func(t *testing.T) {
		p := newPair(t, func(c *verifier.Config) { c.Now = nil }, panickingClock)
		expectOnce(t, p.both, p.fromB, verifier.ErrInternal)
		heard(t, p.heardB, verifier.Event{Kind: verifier.EventRefused, Issuer: otherIssuer, Class: verifier.ErrInternal})
		heard(t, p.heardA)
	})
}
