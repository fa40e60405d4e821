// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/verifier"
)

const allocatedRuns = 5

// allocated is the least that f allocated in a few runs: others allocate, too.
func allocated(f func()) uint64 {
	least := ^uint64(0)
	for range allocatedRuns {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// pairs fills size bytes of JSON members with different names of two letters.
func pairs(size int) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'()*+,-./:;<=>?@[]^_{|}~"
	var members []string
	for i := 0; i < size/7; i++ {
		members = append(members, fmt.Sprintf(`"%c%c":1`, letters[i/len(letters)], letters[i%len(letters)]))
	}
	return strings.Join(members, ",")
}

// TestCost holds every shape of token to a bound that a linear reader keeps with ease.
func TestCost(t *testing.T) {
	// A signed token of 16,384 bytes holds so much beside the usual claims, and an
	// unsigned one so much in all.
	const size, whole = 11_500, 12_100
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	cram := func(s string) string { return strings.Repeat(s, whole/len(s)) }
	forged := func(payload string) string { return b64(goodHeader().String()) + "." + b64(payload) + "." + b64("x") }
	for name, raw := range map[string]string{
		"dots":           strings.Repeat(".", 16_384),
		"letters":        strings.Repeat("A", 16_384),
		"junk":           strings.Repeat("A", 8_000) + "." + strings.Repeat("A", 8_000) + ".AA",
		"claims":         forged("{" + pairs(whole) + "}"),
		"header":         b64("{"+pairs(whole)+"}") + ".e30.AA",
		"arrays":         forged(`{"x":[` + cram("[],") + "1]}"),
		"open":           forged(`{"x":` + cram("[")),
		"strings":        forged(`{"x":[` + cram(`"",`) + "1]}"),
		"escapes":        forged(`{"x":"` + cram(`\u0041`) + `"}`),
		"numbers":        forged(`{"x":[` + cram("1,") + "1]}"),
		"scopes":         token(nil, object{"scope": fill("a b c d e ")}),
		"many_scopes":    token(nil, object{"scope": manyScopes(size)}),
		"many_amr":       token(nil, object{"amr": strings.Fields(manyScopes(size - size/3))}),
		"many_roles":     token(nil, object{"roles": strings.Fields(manyScopes(size - size/3))}),
		"many_audiences": token(nil, object{"aud": append(strings.Fields(manyScopes(size-size/3)), audience)}),
		"role_objects":   token(nil, object{"roles": raw(`[` + fill(`{"value":""},`) + `{}]`)}),
		"role_numbers":   token(nil, object{"roles": raw(`[` + fill("1,") + `1]`)}),
		"role_faulty":    token(nil, object{"roles": raw(`[` + fill(`"",`) + `1]`)}),
		"role_empty":     token(nil, object{"roles": raw(`[` + fill(`{},`) + `{}]`)}),
		"empty_amr":      token(nil, object{"amr": raw(`[` + fill(`"",`) + `""]`)}),
		"only_spaces":    token(nil, object{"scope": fill(" ")}),
		"long_claim":     token(nil, object{"x": fill("x")}),
		"long_number":    tokenText(plus(goodClaims().edit(object{"exp": nil}), `"exp":`+fill("1"))),
		"long_zeros":     tokenText(plus(goodClaims().edit(object{"exp": nil}), `"exp":1`+fill("0")+`e-5`)),
		"unknown_kid":    token(object{"kid": strings.Repeat("k", 512)}, object{"x": strings.Repeat("x", size-512)}),
		"nested_actor":   tokenText(plus(goodClaims(), `"act":`+strings.Repeat(`{"act":`, 30)+`{"x":"`+strings.Repeat("x", size)+`"}`+strings.Repeat("}", 30))),
	} {
		t.Run("M4/"+name, func(t *testing.T) {
			if len(raw) > 16_384 {
				t.Fatalf("%d bytes are over the limit", len(raw))
			}
			costs(t, raw, 256<<10)
		})
	}
	t.Run("M4/D46_scopes_in_64_KiB", func(t *testing.T) {
		costs(t, token(nil, object{"scope": manyScopes(48_000)}), 1<<20)
	})
}

// manyScopes are different scopes of at most four characters, size bytes in all.
func manyScopes(size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "%x ", i)
	}
	return b.String()
}

// costs fails if the most frugal of some first verifications took more memory.
func costs(t *testing.T, raw string, memory uint64, edits ...func(*verifier.Config)) {
	t.Helper()
	var fresh []*verifier.Verifier
	for range allocatedRuns {
		limit := func(cfg *verifier.Config) { cfg.MaxTokenBytes = max(len(raw), 1024) }
		fresh = append(fresh, newVerifier(t, append(edits, limit)...))
	}
	i := 0
	spent := allocated(func() {
		_, _ = fresh[i].VerifyBound(t.Context(), raw, func(context.Context, *verifier.Token) error { return nil })
		i++
	})
	if spent > memory {
		t.Errorf("%d KiB allocated, more than %d", spent>>10, memory>>10)
	}
}
