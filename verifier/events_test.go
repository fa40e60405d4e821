// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

// refusal is a token, the verifier that refuses it, and the class.
type refusal struct {
	raw   string
	want  error
	edits []func(*verifier.Config)
}

func (r refusal) verifier(t testing.TB, edits ...func(*verifier.Config)) *verifier.Verifier {
	return newVerifier(t, append(slices.Clone(r.edits), edits...)...)
}

// refusals is one token for each way in which the verifier can say no; every
// token has these members beside those that are wrong with it.
func refusals(header, claims object) map[string]refusal {
	with := func(all, own object) object { // own may take members away
		both := object{}
		maps.Copy(both, all)
		maps.Copy(both, own)
		return both
	}
	plain := func(h, c object) string { return token(with(header, h), with(claims, c)) }
	down := func(err error) []func(*verifier.Config) {
		return []func(*verifier.Config){withSource(&source{err: err})}
	}
	broken := keysFunc(func(context.Context, *verifier.Miss) (*verifier.KeySet, error) { panic("broken") })
	return map[string]refusal{
		"padded":      {plain(nil, nil) + "=", verifier.ErrMalformedToken, nil},
		"cut":         {strings.Join(strings.Split(plain(nil, nil), ".")[:2], "."), verifier.ErrMalformedToken, nil},
		"encrypted":   {plain(nil, nil) + ".AAAA.AAAA", verifier.ErrMalformedToken, nil},
		"too long":    {plain(nil, object{"pad": strings.Repeat("x", 20_000)}), verifier.ErrMalformedToken, nil},
		"crit":        {plain(object{"crit": []string{"exp"}}, nil), verifier.ErrMalformedToken, nil},
		"not JSON":    {tokenText(goodClaims().edit(claims).String() + "}"), verifier.ErrMalformedToken, nil},
		"issuer":      {plain(nil, object{"iss": "https://x.example"}), verifier.ErrIssuer, nil},
		"no issuer":   {plain(nil, object{"iss": nil}), verifier.ErrMissingClaim, nil},
		"algorithm":   {plain(object{"alg": "none"}, nil), verifier.ErrAlgorithm, nil},
		"type":        {plain(object{"typ": "dpop+jwt"}, nil), verifier.ErrTokenType, nil},
		"key":         {plain(object{"kid": "two"}, nil), verifier.ErrUnknownKey, nil},
		"signature":   {sign(rsaTwo(), "RS256", goodHeader().edit(header).String(), goodClaims().edit(claims).String()), verifier.ErrSignature, nil},
		"audience":    {plain(nil, object{"aud": "x"}), verifier.ErrAudience, nil},
		"expired":     {plain(nil, object{"exp": 1}), verifier.ErrExpired, nil},
		"not yet":     {plain(nil, object{"nbf": noon.Add(time.Hour).Unix()}), verifier.ErrNotYetValid, nil},
		"missing":     {plain(nil, object{"jti": nil}), verifier.ErrMissingClaim, nil},
		"invalid":     {plain(nil, object{"scope": 7}), verifier.ErrInvalidClaim, nil},
		"bound":       {plain(nil, keyBound), verifier.ErrBinding, nil},
		"keys":        {plain(nil, nil), verifier.ErrKeysUnavailable, down(verifier.ErrKeysUnavailable)},
		"metadata":    {plain(nil, nil), verifier.ErrMetadata, down(verifier.ErrMetadata)},
		"source":      {plain(nil, nil), verifier.ErrInternal, down(errors.New("x"))},
		"wrong class": {plain(nil, nil), verifier.ErrInternal, down(verifier.ErrExpired)},
		"broken":      {plain(nil, nil), verifier.ErrInternal, []func(*verifier.Config){withSource(broken)}},
	}
}

// keysFunc makes a source of a function.
type keysFunc func(context.Context, *verifier.Miss) (*verifier.KeySet, error)

func (f keysFunc) Keys(ctx context.Context, miss *verifier.Miss) (*verifier.KeySet, error) {
	return f(ctx, miss)
}

func TestOneEventPerDecision(t *testing.T) {
	for name, c := range refusals(nil, nil) {
		t.Run("SE-08/"+name, func(t *testing.T) {
			var heard recorder
			v := c.verifier(t, heardBy(&heard))
			for range 2 {
				expectOnce(t, v, c.raw, c.want)
				events := heard.take()
				if len(events) != 1 {
					t.Fatalf("events %v, want one", events)
				}
				e := events[0]
				if e.Kind != verifier.EventRefused || e.Class != c.want || e.Cause == nil || e.Issuer != issuerURL {
					t.Errorf("event %+v, want a refusal of class %v with a cause", e, c.want)
				}
			}
		})
	}
	t.Run("SE-08/accepted", func(t *testing.T) {
		var heard recorder
		v := newVerifier(t, heardBy(&heard))
		for range 2 {
			expectOnce(t, v, token(nil, nil), nil)
			want := verifier.Event{Kind: verifier.EventAccepted, Issuer: issuerURL}
			if events := heard.take(); len(events) != 1 || events[0] != want {
				t.Errorf("events %v, want %v", events, want)
			}
		}
	})
	t.Run("SE-08/rule", func(t *testing.T) {
		var heard recorder
		_, err := verifyOnce(t, newVerifier(t, heardBy(&heard)), token(nil, nil), refusing(verifier.ErrInsufficientScope), refusing(errors.New("x")))
		wantClass(t, nil, err, verifier.ErrInsufficientScope)
		if events := heard.take(); len(events) != 1 || events[0].Class != verifier.ErrInsufficientScope {
			t.Errorf("events %v, want one", events)
		}
	})
}

// panics are values that a hook may throw; the last one is the nil that old
// programs still can panic with.
func panics(t *testing.T) []any {
	t.Setenv("GODEBUG", "panicnil=1")
	return []any{"text", errors.New("x"), verifier.ErrExpired, &verifier.Error{Class: verifier.ErrExpired}, 7, (*verifier.Error)(nil), nil}
}

// TestFaultInjection breaks every hook in every way: no token may pass, no panic
// may come out.
func TestFaultInjection(t *testing.T) {
	good := token(nil, nil)
	set := jwks(jwk(rsaOne(), object{"kid": "one"}))
	throw := panics(t)
	t.Run("SE-01/Keys_panics", func(t *testing.T) {
		for _, p := range throw {
			src := keysFunc(func(context.Context, *verifier.Miss) (*verifier.KeySet, error) { panic(p) })
			expect(t, newVerifier(t, withSource(src)), good, verifier.ErrInternal)
		}
	})
	t.Run("SE-01/Keys_panics_on_a_miss", func(t *testing.T) {
		for _, p := range throw {
			src := keysFunc(func(_ context.Context, miss *verifier.Miss) (*verifier.KeySet, error) {
				if miss != nil {
					panic(p)
				}
				return set, nil
			})
			v := newVerifier(t, withSource(src))
			expect(t, v, token(object{"kid": "two"}, nil), verifier.ErrInternal)
			expect(t, v, sign(rsaTwo(), "RS256", goodHeader().String(), goodClaims().String()), verifier.ErrSignature)
		}
	})
	t.Run("SE-01/Keys_panics_on_a_hit", func(t *testing.T) {
		for _, p := range throw {
			broken := false
			src := keysFunc(func(context.Context, *verifier.Miss) (*verifier.KeySet, error) {
				if broken {
					panic(p)
				}
				return set, nil
			})
			v := newVerifier(t, withSource(src))
			expect(t, v, good, nil)
			broken = true
			expect(t, v, good, verifier.ErrInternal)
		}
	})
	for _, tt := range []struct {
		name string
		set  *verifier.KeySet
		err  error
		want error
	}{
		{"SE-01/Keys_nothing", nil, nil, verifier.ErrInternal},
		{"SE-01/Keys_unclassified", nil, errors.New("x"), verifier.ErrInternal},
		{"SE-01/Keys_set_and_error", set, errors.New("x"), verifier.ErrInternal},
		{"SE-01/Keys_set_and_unavailable", set, verifier.ErrKeysUnavailable, verifier.ErrKeysUnavailable},
		{"SE-01/Keys_typed_nil_error", set, (*verifier.Error)(nil), verifier.ErrInternal},
		{"SE-01/Keys_error_without_class", set, &verifier.Error{}, verifier.ErrInternal},
		{"SE-01/Keys_context", nil, context.DeadlineExceeded, verifier.ErrKeysUnavailable},
		{"SE-01/Keys_client_class", nil, verifier.ErrSignature, verifier.ErrInternal},
		{"SE-01/Keys_no_credentials", nil, verifier.ErrNoCredentials, verifier.ErrInternal},
		{"SE-01/Keys_forbidden", nil, &verifier.Error{Class: verifier.ErrForbidden}, verifier.ErrInternal},
		{"ER-20/Keys_metadata", nil, verifier.ErrMetadata, verifier.ErrMetadata},
		{"ER-22/Keys_config", nil, verifier.ErrConfig, verifier.ErrConfig},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cold := keysFunc(func(context.Context, *verifier.Miss) (*verifier.KeySet, error) { return tt.set, tt.err })
			expect(t, newVerifier(t, withSource(cold)), good, tt.want)
			onMiss := keysFunc(func(_ context.Context, miss *verifier.Miss) (*verifier.KeySet, error) {
				if miss == nil {
					return set, nil
				}
				return tt.set, tt.err
			})
			expect(t, newVerifier(t, withSource(onMiss)), token(object{"kid": "two"}, nil), tt.want)
			tok, err := verifyTwice(t, newVerifier(t, withSource(cold)), good)
			wantClass(t, tok, err, tt.want)
			if errors.Is(err, verifier.ErrInvalidToken) {
				t.Errorf("the client is told that its token is bad: %v", err)
			}
		})
	}
	t.Run("SE-01/Now_panics", func(t *testing.T) {
		for _, p := range throw {
			broken := false
			v := newVerifier(t, func(c *verifier.Config) {
				c.Now = func() time.Time {
					if broken {
						panic(p)
					}
					return noon
				}
			})
			expect(t, v, good, nil)
			broken = true
			expect(t, v, good, verifier.ErrInternal)
			expect(t, v, token(nil, object{"jti": "other"}), verifier.ErrInternal)
			expect(t, newVerifier(t, panickingClock), good, verifier.ErrInternal)
		}
	})
	t.Run("SE-01/OnEvent_panics", func(t *testing.T) {
		for _, p := range throw {
			v := newVerifier(t, func(c *verifier.Config) { c.OnEvent = func(verifier.Event) { panic(p) } })
			for range 2 {
				expect(t, v, good, verifier.ErrInternal)
				expect(t, v, token(nil, object{"exp": 1}), verifier.ErrInternal)
				expect(t, v, "x", verifier.ErrInternal)
			}
		}
	})
	t.Run("SE-01/OnEvent_panics_in_New", func(t *testing.T) {
		for _, p := range throw {
			v, err := verifier.New(config(legacy, func(c *verifier.Config) {
				c.Audience, c.UnsafeSkipAudience = nil, true
				c.OnEvent = func(verifier.Event) { panic(p) }
			}))
			if v != nil || err == nil {
				t.Errorf("got %v, %v; want an error", v, err)
			}
		}
	})
	t.Run("SE-01/confirm_panics", func(t *testing.T) {
		for _, p := range throw {
			for _, claims := range []object{nil, keyBound} {
				v := newVerifier(t)
				for range 2 {
					tok, err := verifyBoundTwice(t, v, token(nil, claims), func(_ context.Context, tok *verifier.Token) error {
						tok.Binding.Kind = "dpop"
						panic(p)
					})
					wantClass(t, tok, err, verifier.ErrInternal)
				}
			}
		}
	})
	t.Run("SE-01/Challenge_panics", func(t *testing.T) {
		for _, p := range throw {
			tok, err := verifyTwice(t, newVerifier(t), good, throwing{p})
			wantClass(t, tok, err, verifier.ErrInternal)
		}
	})
}

func panickingClock(c *verifier.Config) { c.Now = func() time.Time { panic("no clock") } }

// throwing refuses, and panics when asked for its challenge.
type throwing struct{ value any }

func (throwing) Check(*verifier.Token) error              { return verifier.ErrForbidden }
func (r throwing) Challenge() (verifier.Challenge, error) { panic(r.value) }

// markers are members whose names and values must never be seen again.
func markers() (secret string, header, claims object) {
	secret = rand.Text()
	claims = object{"sub": secret, "client_id": secret, "jti": secret, "scope": secret, "acr": secret, "email": secret, "c" + secret: secret}
	return secret, object{"x" + secret: secret, "jku": "https://" + secret}, claims
}

// report is what an operator could log of a refusal.
func report(t *testing.T, v *verifier.Verifier, raw string, log *bytes.Buffer, reqs ...verifier.Requirement) string {
	t.Helper()
	_, err := verifyTwice(t, v, raw, reqs...)
	text := fmt.Sprintf("%v|%+v|%s|%q", err, err, err, err)
	for cause := err; cause != nil; {
		var e *verifier.Error
		if !errors.As(cause, &e) {
			break
		}
		text += fmt.Sprintf("|%v|%+v", e.Cause, e.Challenge)
		cause = e.Cause
	}
	return text + log.String()
}

func TestNothingOfATokenIsTold(t *testing.T) {
	leaks := func(t *testing.T, text, secret, raw string) {
		t.Helper()
		for _, part := range append(strings.Split(raw, "."), secret, b64(secret)) {
			if len(part) > 8 && strings.Contains(text, part) {
				t.Errorf("a part of the token is told: %.300s", text)
			}
		}
	}
	secret, header, claims := markers()
	for name, c := range refusals(header, claims) {
		t.Run("SE-02/"+name, func(t *testing.T) {
			var log bytes.Buffer
			hook := verifier.LogEvents(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
			v := c.verifier(t, func(cfg *verifier.Config) { cfg.OnEvent = hook })
			text := report(t, v, c.raw, &log)
			leaks(t, text, secret, c.raw)
			if !strings.Contains(log.String(), c.want.Error()) {
				t.Errorf("the log does not name the class: %s", log.String())
			}
		})
	}
	t.Run("SE-02/kid_alg_typ", func(t *testing.T) {
		for _, member := range []string{"kid", "alg", "typ", "cty", "crit", "b64", "enc"} {
			var log bytes.Buffer
			v := newVerifier(t, func(cfg *verifier.Config) { cfg.OnEvent = verifier.LogEvents(slog.New(slog.NewJSONHandler(&log, nil))) })
			raw := token(object{member: secret}, nil)
			leaks(t, report(t, v, raw, &log), secret, raw)
		}
	})
	t.Run("SE-02/every_claim", func(t *testing.T) {
		for member := range goodClaims().edit(object{"nbf": 0, "cnf": 0, "act": 0, "nonce": 0, "token_use": 0}) {
			for _, value := range []any{secret, []any{secret, 1}, object{secret: secret}} {
				var log bytes.Buffer
				v := newVerifier(t, legacy, func(cfg *verifier.Config) { cfg.OnEvent = verifier.LogEvents(slog.New(slog.NewJSONHandler(&log, nil))) })
				raw := token(nil, object{member: value})
				leaks(t, report(t, v, raw, &log), secret, raw)
			}
		}
	})
	t.Run("SE-02/panic_value", func(t *testing.T) {
		var log bytes.Buffer
		v := newVerifier(t, func(cfg *verifier.Config) { cfg.OnEvent = verifier.LogEvents(slog.New(slog.NewJSONHandler(&log, nil))) })
		for _, value := range []any{secret, errors.New(secret), fmt.Errorf("x: %w", errors.New(secret)), struct{ S string }{secret}} {
			text := report(t, v, token(nil, nil), &log, rule(func(*verifier.Token) error { panic(value) }))
			leaks(t, text, secret, "")
			if !strings.Contains(text, "panic") {
				t.Errorf("the operator is not told of the panic: %s", text)
			}
		}
	})
	t.Run("AP-12/accepted_event", func(t *testing.T) {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		v := newVerifier(t, func(cfg *verifier.Config) { cfg.OnEvent = verifier.LogEvents(logger) })
		raw := token(header, claims)
		expect(t, v, raw, nil)
		leaks(t, log.String(), secret, raw)
		if !strings.Contains(log.String(), string(verifier.EventAccepted)) {
			t.Errorf("log %q", log.String())
		}
	})
}

func TestLogEvents(t *testing.T) {
	t.Run("SE-03/log_injection", func(t *testing.T) {
		var log bytes.Buffer
		v := newVerifier(t, func(cfg *verifier.Config) { cfg.OnEvent = verifier.LogEvents(slog.New(slog.NewTextHandler(&log, nil))) })
		const evil = "x\r\nlevel=ERROR msg=INJECTED \x1b[31m\u202e"
		for _, raw := range []string{
			token(object{"kid": evil}, nil), token(nil, object{"iss": evil}), token(nil, object{"sub": evil, "exp": 1}),
			token(nil, object{"jti": evil, "aud": evil}), token(object{"typ": evil}, nil), evil,
		} {
			if _, err := verifyOnce(t, v, raw); err == nil {
				t.Error("accepted")
			}
		}
		if text := log.String(); strings.Contains(text, "INJECTED") || strings.Count(text, "\n") != 6 {
			t.Errorf("log:\n%s", text)
		}
	})
	t.Run("SE-03/no_token_fields", func(t *testing.T) {
		var log bytes.Buffer
		v := newVerifier(t, func(cfg *verifier.Config) { cfg.OnEvent = verifier.LogEvents(slog.New(slog.NewJSONHandler(&log, nil))) })
		expectOnce(t, v, token(nil, object{"aud": "x"}), verifier.ErrAudience)
		var line map[string]any
		if err := json.Unmarshal(log.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		for name := range line {
			if !slices.Contains([]string{"time", "level", "msg", "event", "issuer", "class", "cause"}, name) {
				t.Errorf("field %s in the log", name)
			}
		}
	})
	t.Run("SE-08/levels", func(t *testing.T) {
		for kind, level := range map[verifier.EventKind]string{
			verifier.EventAccepted: "DEBUG", verifier.EventFetched: "INFO", verifier.EventRefused: "WARN",
			verifier.EventFetchFailed: "WARN", verifier.EventKeySkipped: "WARN", verifier.EventPrivateKey: "WARN",
			verifier.EventStaleKeys: "WARN", verifier.EventWarning: "WARN",
		} {
			var log bytes.Buffer
			verifier.LogEvents(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))(verifier.Event{Kind: kind})
			if text := log.String(); !strings.Contains(text, "level="+level) || !strings.Contains(text, string(kind)) {
				t.Errorf("%s: %s", kind, text)
			}
		}
	})
	t.Run("SE-01/nil_logger", func(t *testing.T) {
		previous := slog.Default()
		t.Cleanup(func() { slog.SetDefault(previous) })
		var log bytes.Buffer
		slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
		verifier.LogEvents(nil)(verifier.Event{Kind: verifier.EventRefused, Class: verifier.ErrExpired, Cause: (*verifier.Error)(nil)})
		if !strings.Contains(log.String(), verifier.ErrExpired.Error()) {
			t.Errorf("log %q", log.String())
		}
	})
}

func TestClockWithoutTime(t *testing.T) {
	t.Run("SE-01/zero_time_accepts_nothing", func(t *testing.T) {
		old := object{"exp": 1, "iat": nil}
		v := newVerifier(t, legacy, func(c *verifier.Config) { c.Now = func() time.Time { return time.Time{} } })
		expect(t, v, token(nil, old), verifier.ErrInternal)
		expect(t, newVerifier(t, legacy), token(nil, old), verifier.ErrExpired)
	})
}

// TestLogFlood: who can send requests must not be able to fill the disk.
func TestLogFlood(t *testing.T) {
	t.Run("SE-03/M6_refusals_are_limited_and_counted", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			hook := verifier.LogEvents(slog.New(slog.NewTextHandler(&log, nil)))
			refused := verifier.Event{Kind: verifier.EventRefused, Class: verifier.ErrSignature}
			for range 10_000 {
				hook(refused)
			}
			hook(verifier.Event{Kind: verifier.EventFetchFailed})
			if n := strings.Count(log.String(), "refused"); n != 100 || !strings.Contains(log.String(), "fetch_failed") {
				t.Errorf("%d refusals in one second are in the log, want 100 beside the failed fetch", n)
			}
			time.Sleep(time.Second)
			log.Reset()
			hook(refused)
			hook(refused)
			if got := log.String(); strings.Count(got, "dropped=9900") != 1 || strings.Count(got, "dropped") != 1 {
				t.Errorf("the next second says %s", got)
			}
		})
	})
	t.Run("SE-01/cause_that_cannot_be_printed", func(t *testing.T) {
		var log bytes.Buffer
		var none *verifier.Error
		for _, cause := range []error{textless{}, none} {
			verifier.LogEvents(slog.New(slog.NewTextHandler(&log, nil)))(verifier.Event{Kind: verifier.EventRefused, Cause: cause})
			_ = (&verifier.Error{Class: verifier.ErrForbidden, Cause: cause}).Error()
		}
		if strings.Count(log.String(), "refused") != 2 {
			t.Errorf("the log is %s", log.String())
		}
	})
	t.Run("SE-03/M6_long_causes_are_cut_and_quoted", func(t *testing.T) {
		var log bytes.Buffer
		hook := verifier.LogEvents(slog.New(slog.NewTextHandler(&log, nil)))
		hook(verifier.Event{Kind: verifier.EventRefused, Cause: errors.New(strings.Repeat("#", 1024) + "%")})
		hook(verifier.Event{Kind: verifier.EventRefused, Cause: errors.New("a\nlevel=ERROR forged=yes")})
		if got := log.String(); strings.Count(got, "#") != 1024 || strings.Contains(got, "%") || strings.Count(got, "\n") != 2 {
			t.Errorf("the log is %s", got)
		}
	})
}

// textless is an error whose text panics.
type textless struct{}

func (textless) Error() string { panic("no text") }
