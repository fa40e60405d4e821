// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// inside is a verifier whose cache can be looked into.
type inside struct {
	v   *Verifier
	key ed25519.PrivateKey
	set *KeySet
}

func (i *inside) Keys(context.Context, *Miss) (*KeySet, error) { return i.set, nil }

func (i *inside) newSet(t *testing.T, kid string) *KeySet {
	t.Helper()
	x := base64.RawURLEncoding.EncodeToString(i.key.Public().(ed25519.PublicKey))
	set, _, err := ParseKeySet(fmt.Appendf(nil, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":%q,"x":%q}]}`, kid, x))
	if err != nil || set.Len() != 1 {
		t.Fatal(set.Len(), err)
	}
	return set
}

func (i *inside) token(jti string) string {
	return i.sign(fmt.Sprintf(`,"jti":%q`, jti))
}

// sign makes a token with more claims.
func (i *inside) sign(more string) string { return i.signAs("https://i.example", more) }

// signAs makes a token of another issuer.
func (i *inside) signAs(iss, more string) string {
	now := time.Now().Unix()
	claims := fmt.Sprintf(`{"iss":%q,"aud":"a","sub":"s","client_id":"c","iat":%d,"exp":%d%s}`, iss, now, now+60, more)
	input := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"Ed25519","typ":"at+jwt","kid":"one"}`)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(claims))
	return input + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(i.key, []byte(input)))
}

func newInside(t *testing.T, entries int) *inside {
	t.Helper()
	i := &inside{key: ed25519.NewKeyFromSeed(make([]byte, 32))}
	i.set = i.newSet(t, "one")
	v, err := New(Config{Issuer: "https://i.example", Audience: []string{"a"}, Keys: i, CacheEntries: entries})
	if err != nil {
		t.Fatal(err)
	}
	i.v = v
	return i
}

func (i *inside) accept(t *testing.T, raw string) {
	t.Helper()
	if _, err := i.v.Verify(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
}

// keys are the digests in the cache.
func (c *tokenCache) keys() (list []digest) {
	for i := range c.shards {
		list = append(list, c.shards[i].lru.Keys()...)
	}
	return list
}

func TestCacheInside(t *testing.T) {
	t.Run("JV-35/keyed_by_digest", func(t *testing.T) {
		i := newInside(t, 0)
		raw := i.token("a")
		i.accept(t, raw)
		keys := i.v.only.cache.keys()
		if len(keys) != 1 || keys[0] != sha256.Sum256([]byte(raw)) {
			t.Errorf("keys %x, want the SHA-256 of the token", keys)
		}
	})
	t.Run("JV-35/no_second_verification_after_a_refresh", func(t *testing.T) {
		i := newInside(t, 0)
		raw := i.token("a")
		i.accept(t, raw)
		before, _ := i.v.only.cache.get(sha256.Sum256([]byte(raw)))
		i.set = i.newSet(t, "renamed")
		i.accept(t, raw)
		after, _ := i.v.only.cache.get(sha256.Sum256([]byte(raw)))
		if &after.texts[0] != &before.texts[0] || after.key != before.key {
			t.Error("the token was read or verified again")
		}
		if before.set == i.set || after.set != i.set {
			t.Error("the entry does not follow the current set")
		}
	})
	t.Run("JV-35/only_accepted_tokens", func(t *testing.T) {
		i := newInside(t, 0)
		raw := i.token("a")
		for _, bad := range []string{"x", raw + "A", raw[:len(raw)-86] + i.token("b")[len(raw)-86:]} {
			if _, err := i.v.Verify(t.Context(), bad); err == nil {
				t.Fatal("accepted")
			}
		}
		if n := len(i.v.only.cache.keys()); n != 0 {
			t.Errorf("%d entries of refused tokens", n)
		}
	})
	t.Run("JV-35/withdrawn_key_frees_the_entry", func(t *testing.T) {
		i := newInside(t, 0)
		raw := i.token("a") // made once: a second later it would be another token
		i.accept(t, raw)
		i.set = &KeySet{}
		if _, err := i.v.Verify(t.Context(), raw); ClassOf(err) != ErrUnknownKey {
			t.Fatal(err)
		}
		if n := len(i.v.only.cache.keys()); n != 0 {
			t.Errorf("%d entries whose key is gone", n)
		}
	})
	for _, tt := range []struct {
		name          string
		setting, want int
	}{
		{"JV-35/M8_default_4096", 0, 4096},
		{"JV-35/M8_smallest", 1, 1},
		{"JV-35/M8_own_size", 10, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &newInside(t, tt.setting).v.only.cache
			for n := range 5000 {
				c.put(sha256.Sum256(fmt.Append(nil, n)), seen{})
			}
			if n := len(c.keys()); n != tt.want {
				t.Errorf("%d entries, want %d", n, tt.want)
			}
		})
	}
	t.Run("JV-35/off", func(t *testing.T) {
		i := newInside(t, -1)
		i.accept(t, i.token("a"))
		if i.v.only.cache.shards != nil {
			t.Error("a cache was made")
		}
	})
	t.Run("JV-35/made_on_first_use", func(t *testing.T) {
		i := newInside(t, 0)
		if i.v.only.cache.shards != nil {
			t.Error("made by New")
		}
		i.accept(t, i.token("a"))
		if i.v.only.cache.shards == nil {
			t.Error("not made by Verify")
		}
	})
}

// growing is a faulty source that adds a key to the set it already gave out.
type growing struct{ set, with *KeySet }

func (g growing) Keys(_ context.Context, miss *Miss) (*KeySet, error) {
	if miss != nil {
		g.set.keys = g.with.keys
	}
	return g.set, nil
}

func TestSameSetIsNotTriedAgain(t *testing.T) {
	t.Run("SE-07/M3_no_second_try_with_the_set_that_failed", func(t *testing.T) {
		i := &inside{key: ed25519.NewKeyFromSeed(make([]byte, 32))}
		v, err := New(Config{Issuer: "https://i.example", Audience: []string{"a"}, Keys: growing{&KeySet{}, i.newSet(t, "one")}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(t.Context(), i.token("x")); ClassOf(err) != ErrUnknownKey {
			t.Errorf("%v, want an unknown key", err)
		}
	})
}

// load makes a cache of so many entries and bytes, and puts tokens of so many claims'
// bytes into it.
func load(entries, bytes, tokens, size int) *tokenCache {
	c := &tokenCache{entries: entries, bytes: bytes}
	for n := range tokens {
		c.put(sha256.Sum256(fmt.Append(nil, n)), seen{payload: strings.Repeat("x", size)})
	}
	return c
}

func (c *tokenCache) heldBytes() (held, sum int) {
	for i := range c.shards {
		held += c.shards[i].held
		for _, e := range c.shards[i].lru.Values() {
			sum += e.size()
		}
	}
	return held, sum
}

func TestCacheBytes(t *testing.T) {
	for _, tt := range []struct {
		name                           string
		entries, bytes, tokens, size   int
		atLeast, atMost, shards, bound int
	}{
		{"JV-35/M8_small_tokens_fill_the_entries", 64, 1 << 20, 1000, 1024, 64, 64, 1, 1 << 20},
		{"JV-35/M8_large_tokens_fill_the_bytes", 64, 65_536, 1000, 4096, 10, 10, 1, 65_536},
		{"JV-35/M8_shards_share_the_bytes", 4096, 1 << 20, 5000, 1024, 470, 480, 4, 1 << 20},
		{"JV-35/M8_one_that_fits_just", 64, 65_536, 1, (65_536 - entryBytes) / 5 * 4, 1, 1, 1, 65_536},
		{"JV-35/M8_one_too_large", 64, 65_536, 1, (65_536-entryBytes)/5*4 + 1, 0, 0, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := load(tt.entries, tt.bytes, tt.tokens, tt.size)
			if n := len(c.keys()); n < tt.atLeast || n > tt.atMost {
				t.Errorf("%d tokens, want %d to %d", n, tt.atLeast, tt.atMost)
			}
			held, sum := c.heldBytes()
			if held != sum || held > tt.bound || len(c.shards) != tt.shards {
				t.Errorf("%d bytes are counted for %d in %d shards, want at most %d in %d", held, sum, len(c.shards), tt.bound, tt.shards)
			}
		})
	}
	t.Run("JV-35/M8_a_token_that_grew_too_large_is_gone", func(t *testing.T) {
		c := load(64, 65_536, 1, 10)
		c.put(sha256.Sum256([]byte("0")), seen{payload: strings.Repeat("x", 65_536)})
		if held, _ := c.heldBytes(); held != 0 || len(c.keys()) != 0 {
			t.Errorf("%d bytes in %d entries", held, len(c.keys()))
		}
	})
	t.Run("JV-35/M8_texts_beside_the_payload_count", func(t *testing.T) {
		text := strings.Repeat("x", 1000)
		if beside, inside := (seen{extra: text}).size(), (seen{payload: text}).size(); beside != inside {
			t.Errorf("%d bytes, want %d", beside, inside)
		}
	})
	t.Run("JV-35/M8_dropped_bytes_are_given_back", func(t *testing.T) {
		c := load(64, 65_536, 3, 100)
		for n := range 3 {
			c.drop(sha256.Sum256(fmt.Append(nil, n)))
		}
		if held, _ := c.heldBytes(); held != 0 {
			t.Errorf("%d bytes of no entry", held)
		}
	})
	t.Run("JV-35/M8_the_last_used_stay", func(t *testing.T) {
		c := load(2, 65_536, 2, 10)
		c.get(sha256.Sum256([]byte("0")))
		c.put(sha256.Sum256([]byte("2")), seen{})
		_, first := c.get(sha256.Sum256([]byte("0")))
		_, second := c.get(sha256.Sum256([]byte("1")))
		if !first || second {
			t.Errorf("used lately: %v, not used: %v", first, second)
		}
	})
}

// TestCacheAccounting: what an entry is said to take is no less than what it takes.
func TestCacheAccounting(t *testing.T) {
	for name, claims := range map[string]string{
		"short":            `"x":1`,
		"long":             `"x":"` + strings.Repeat("x", 4000) + `"`,
		"escapes":          `"acr":"` + strings.Repeat(`\u0041`, 500) + `"`,
		"lists":            `"roles":["` + strings.Repeat(`r","`, 300) + `"],"amr":["a","b","c"]`,
		"one_over":         `"roles":["` + strings.Repeat(`r","`, 257) + `"]`,
		"same_scope_often": `"scope":"` + strings.Repeat("a ", 5000) + `"`,
	} {
		t.Run("JV-35/M8_"+name, func(t *testing.T) {
			const tokens = 500
			i := newInside(t, tokens)
			i.v.only.cache.bytes = 64 << 20
			raws := make([]string, tokens)
			for n := range raws {
				raws[n] = i.sign(fmt.Sprintf(`,"jti":"%d",%s`, n, claims))
			}
			i.accept(t, raws[0]) // opens the cache and the desk
			before := inUse()
			for _, raw := range raws[1:] {
				i.accept(t, raw)
			}
			taken := inUse() - before
			if held, _ := i.v.only.cache.heldBytes(); taken > held {
				t.Errorf("%d bytes are in use, and %d are counted", taken, held)
			}
			if len(i.v.only.cache.keys()) != tokens {
				t.Error("some tokens were not kept")
			}
			runtime.KeepAlive(raws)
		})
	}
}

// TestCacheAccountingWithChurn: the map of a shard grows while entries come and go.
func TestCacheAccountingWithChurn(t *testing.T) {
	for _, tokens := range []int{70, 100, 195} { // of which the last two fill a map badly
		t.Run(fmt.Sprintf("JV-35/M8_%d_tokens", tokens), func(t *testing.T) {
			before := inUse()
			c := &tokenCache{entries: maxEntries, bytes: tokens * entryBytes}
			for n := range 2_300 * tokens { // later it grows no more
				c.put(sha256.Sum256(binary.LittleEndian.AppendUint64(nil, uint64(n))), seen{})
				if n%(50*tokens) != 0 {
					continue
				}
				if taken := inUse() - before; taken > c.bytes {
					t.Fatalf("%d bytes are in use after %d tokens, and %d may be", taken, n, c.bytes)
				}
			}
			if held, _ := c.heldBytes(); held != c.bytes || len(c.shards) != 1 {
				t.Errorf("%d bytes are counted in %d shards, want %d in one", held, len(c.shards), c.bytes)
			}
		})
	}
}

func inUse() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestDeskIsWiped: what lies on the desk would be enough to make the token again.
func TestDeskIsWiped(t *testing.T) {
	i := newInside(t, 0)
	for name, raw := range map[string]string{
		"SE-12/accepted":      i.token("a"),
		"SE-12/bad_signature": i.token("b")[:200] + i.token("c")[200:],
		"SE-12/not_base64":    i.token("d") + "!",
		"SE-12/two_segments":  "a.b",
		"SE-12/many_claims":   i.sign(`,"jti":"e"` + strings.Repeat(`,"x":0`, 1) + manyMembers(100)),
	} {
		t.Run(name, func(t *testing.T) {
			d := desks.New().(*desk)
			u, err := d.parse(raw, new(heads))
			if err == nil {
				_, _ = i.set.verify(u)
			}
			d.clear()
			for _, b := range d.sig {
				if b != 0 {
					t.Fatal("a byte was left")
				}
			}
			if d.input != "" || d.segment != "" || d.signature != nil || d.payload != "" || d.header != (header{}) || !reflect.ValueOf(d.head).IsZero() || !reflect.ValueOf(d.claims).IsZero() {
				t.Error("a part of the token was left")
			}
		})
	}
}

// The verifier itself panics while the desk is out; hooks have guards of their own.
func TestDeskIsWipedAfterAPanic(t *testing.T) {
	i := newInside(t, -1)
	raw := i.token("a")
	var out *desk
	defer func() { desks = sync.Pool{New: func() any { return new(desk) }} }()
	desks = sync.Pool{New: func() any { out = new(desk); return out }}
	i.v.only.names = nil
	if _, err := i.v.Verify(t.Context(), raw); ClassOf(err) != ErrInternal {
		t.Fatal(err)
	}
	if out == nil || out.sig != [usualSig]byte{} || !reflect.ValueOf(out.unverified).IsZero() || !reflect.ValueOf(out.claims).IsZero() {
		t.Error("SE-12: a part of the token was left")
	}
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":%d`, i, i)
	}
	return b.String()
}

// TestCloneHasNoRoomToSpare: what a handler appends to one list reaches no other.
func TestCloneHasNoRoomToSpare(t *testing.T) {
	for _, n := range []int{1, 2, 3, 42, 2731} { // in each of six lists
		t.Run(fmt.Sprintf("JV-35/%d_strings", n), func(t *testing.T) {
			list := slices.Repeat([]string{"x"}, n)
			c := (&Token{Audience: list, Scopes: list, AMR: list, Roles: list, Groups: list, Entitlements: list}).clone()
			for _, l := range []*[]string{&c.Audience, &c.Scopes, &c.AMR, &c.Roles, &c.Groups, &c.Entitlements} {
				*l = append(*l, "evil")
			}
			for _, l := range [][]string{c.Audience, c.Scopes, c.AMR, c.Roles, c.Groups, c.Entitlements} {
				if !slices.Equal(l[:n], list) {
					t.Error("an append to one list changed another")
				}
			}
		})
	}
}

func TestCacheBytesSetting(t *testing.T) {
	i := newInside(t, 0)
	for _, tt := range []struct {
		name                 string
		entries, bytes, want int // 0: refused
	}{
		{"JV-35/M8_negative", 0, -1, 0},
		{"JV-35/M8_below_the_least", 0, minCacheBytes - 1, 0},
		{"JV-35/M8_the_least", 0, minCacheBytes, minCacheBytes},
		{"JV-35/M8_largest_number", 0, math.MaxInt, math.MaxInt},
		{"JV-35/M8_default", 0, 0, defaultEntries * bytesPerEntry},
		{"JV-35/M8_by_entries", 100, 0, 100 * bytesPerEntry},
		{"JV-35/M8_most_entries", maxEntries, 0, min(maxEntries, math.MaxInt/bytesPerEntry) * bytesPerEntry},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := New(Config{Issuer: "https://i.example", Audience: []string{"a"}, Keys: i, CacheEntries: tt.entries, CacheBytes: tt.bytes})
			if tt.want == 0 {
				if ClassOf(err) != ErrConfig {
					t.Errorf("%v, want a faulty configuration", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := v.only.cache.bytes; got != tt.want || got <= 0 {
				t.Errorf("%d bytes, want %d", got, tt.want)
			}
			i.v = v
			i.accept(t, i.token("a"))
			if n := len(v.only.cache.keys()); n != 1 {
				t.Errorf("%d entries", n)
			}
		})
	}
}

// TestNoRoomToSpareWithoutCache: the Token that was read is handed out itself then.
func TestNoRoomToSpareWithoutCache(t *testing.T) {
	t.Run("GO-03/append", func(t *testing.T) {
		i := newInside(t, -1)
		tok, err := i.v.Verify(t.Context(), i.sign(`,"jti":"a","scope":"s","amr":["m"],"roles":["r"],"groups":["g"],"entitlements":["e"]`))
		if err != nil {
			t.Fatal(err)
		}
		lists := []*[]string{&tok.Audience, &tok.Scopes, &tok.AMR, &tok.Roles, &tok.Groups, &tok.Entitlements}
		for _, l := range lists {
			*l = append(*l, "evil")
		}
		for n, l := range lists {
			if want := string("asmrge"[n]); (*l)[0] != want {
				t.Errorf("list %d begins with %q, want %q", n, (*l)[0], want)
			}
		}
	})
}
