// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/verifier"
)

// faultyCalls say of each call whether what it returned is good for nothing.
var faultyCalls = map[string]struct {
	edit func(*oauthtest.Config)
	call func(*oauthtest.Server) bool
}{
	"Token_without_audience": {es256, func(as *oauthtest.Server) bool { return as.Token() == "" }},
	"Token_with_nil_edit":    {es256, func(as *oauthtest.Server) bool { return as.Token(oauthtest.Audience(api), nil) == "" }},
	"VerifierConfig": {hs256, func(as *oauthtest.Server) bool {
		_, err := verifier.New(as.VerifierConfig(api))
		return err != nil
	}},
	"VerifierConfig_of_an_odd_issuer": {func(c *oauthtest.Config) { c.Issuer = "https://issuer.test/a b" }, func(as *oauthtest.Server) bool {
		_, err := verifier.New(as.VerifierConfig(api))
		return err != nil
	}},
	"SymmetricConfig": {es256, func(as *oauthtest.Server) bool {
		_, err := verifier.NewSymmetric(as.SymmetricConfig(api))
		return err != nil
	}},
	"EditKeySet": {es256, func(as *oauthtest.Server) bool {
		before := string(as.KeySet())
		as.EditKeySet(func(keys []map[string]any) []map[string]any { keys[0]["x"] = func() {}; return keys })
		return string(as.KeySet()) == before
	}},
	"EditKeySet_of_HMAC": {hs256, func(as *oauthtest.Server) bool { as.EditKeySet(nil); return as.KeySet() == nil }},
	"SetFault": {es256, func(as *oauthtest.Server) bool {
		as.SetFault(oauthtest.EndpointKeySet, oauthtest.Fault{Status: 99})
		as.SetFault("none", oauthtest.Fault{Status: 500})
		resp, err := as.HTTPClient().Get(as.Issuer() + "/jwks")
		return err == nil && resp.Body.Close() == nil && resp.StatusCode == want200
	}},
	"Hostile": {es256, func(as *oauthtest.Server) bool {
		for range as.Hostile() {
			return false
		}
		return true
	}},
	"Hostile_with_nil_edit": {withAudience, func(as *oauthtest.Server) bool {
		for range as.Hostile(nil) {
			return false
		}
		return true
	}},
	"HostileToken":               {withAudience, func(as *oauthtest.Server) bool { return as.HostileToken("Z1.x") == oauthtest.HostileToken{} }},
	"HostileToken_without_scope": {withAudience, func(as *oauthtest.Server) bool { return as.HostileToken("D36.no_scope").Token == "" }},
	"HostileToken_with_nil_edit": {withAudience, func(as *oauthtest.Server) bool { return as.HostileToken("C1.none_lower", nil).Token == "" }},
	"Tenant": {withAudience, func(as *oauthtest.Server) bool {
		stray := as.Tenant("/")
		v, err := verifier.New(stray.VerifierConfig(api))
		return err == nil && verdict(v, stray.Token()) != nil && verdict(v, as.Token()) != nil && stray.Close() == nil
	}},
}

func hs256(c *oauthtest.Config)        { c.Algorithm = "HS256" }
func withAudience(c *oauthtest.Config) { c.Algorithm, c.Audience = "ES256", []string{api} }

// A call that is at fault fails the test, and returns: it may be a subtest that calls,
// which cannot end its parent.
func TestFaultyCalls(t *testing.T) {
	for name, tc := range faultyCalls {
		t.Run("TA-01/fault_in_"+name, func(t *testing.T) {
			useless := false
			got := failureOf(func(t testing.TB) { useless = tc.call(oauthtest.NewServer(t, tc.edit)) })
			if !strings.Contains(got, "oauthtest: ") || !useless {
				t.Errorf("failure %q; good for nothing: %t", got, useless)
			}
		})
		t.Run("TA-01/panic_without_a_test_in_"+name, func(t *testing.T) {
			cfg := oauthtest.Config{}
			if tc.edit(&cfg); cfg.Issuer != "" {
				t.Skip("Listen does not take it")
			}
			as := listen(t, cfg)
			defer func() {
				if got, _ := recover().(string); !strings.Contains(got, "oauthtest: ") {
					t.Errorf("panic %q", got)
				}
			}()
			tc.call(as)
		})
	}
	t.Run("TA-01/fault_of_the_config_ends_the_test", func(t *testing.T) {
		after := false
		got := failureOf(func(t testing.TB) {
			oauthtest.NewServer(t, func(c *oauthtest.Config) { c.Algorithm = "none" })
			after = true
		})
		if got == "" || after {
			t.Errorf("failure %q; went on: %t", got, after)
		}
	})
}

// TestFaultOnPurpose is for TestFaultInASubtest, which runs it in a process of its own.
func TestFaultOnPurpose(t *testing.T) {
	if os.Getenv("OAUTHTEST_FAULTY") == "" {
		t.Skip("it fails on purpose: TestFaultInASubtest runs it")
	}
	as := oauthtest.NewServer(t, es256)
	t.Run("plain", func(*testing.T) { as.Token() })
	t.Run("parallel", func(t *testing.T) { t.Parallel(); as.Tenant("/") })
	t.Run("sibling", func(t *testing.T) { t.Parallel(); t.Log("the sibling ran") })
}

func TestFaultInASubtest(t *testing.T) {
	t.Run("TA-01/subtests_do_not_end_the_process", func(t *testing.T) {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^TestFaultOnPurpose$")
		cmd.Env = append(os.Environ(), "OAUTHTEST_FAULTY=1")
		output, err := cmd.CombinedOutput()
		text := string(output)
		if err == nil || strings.Contains(text, "panic") || strings.Contains(text, "Goexit") {
			t.Errorf("%v: %s", err, text)
		}
		for _, want := range []string{"--- FAIL: TestFaultOnPurpose", "Token does not know its audience", `"/" is not one like`, "the sibling ran"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in %s", want, text)
			}
		}
		if lines := strings.Count(text, "server_fault_test.go:"); lines != 3 { // of the test, not of the kit
			t.Errorf("%d lines of the test in %s", lines, text)
		}
	})
}

// Inside the target no method of f may be called, not even Helper.
func FuzzServerOfAFuzzTarget(f *testing.F) {
	as := oauthtest.NewServer(f, es256)
	v, err := verifier.New(as.VerifierConfig(api))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("user-1")
	f.Fuzz(func(t *testing.T, plan string) {
		wantVerdict(t, v, as.Token(oauthtest.Claim("plan", plan)), nil)
		as.Rotate()
		defer func() {
			if got, _ := recover().(string); !strings.Contains(got, "oauthtest: edit 1 is nil") {
				t.Errorf("panic %q", got)
			}
		}()
		as.Token(nil)
	})
}
