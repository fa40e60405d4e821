// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/internal/leaktest"
	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// richPart is a source with all the methods that a source may have.
type richPart struct {
	*sourcePart
	issuer func() string
	public func() bool
	closed atomic.Int32
	close  func() error
}

func (p *richPart) Issuer() string   { return p.issuer() }
func (p *richPart) PublicOnly() bool { return p.public() }
func (p *richPart) Close() error {
	p.closed.Add(1)
	return p.close()
}

func rich(issuer string, public bool, closing error) *richPart {
	return &richPart{
		sourcePart: servingPart("one"),
		issuer:     func() string { return issuer },
		public:     func() bool { return public },
		close:      func() error { return closing },
	}
}

func TestJoin(t *testing.T) {
	const other = "https://other.example"
	broken := rich("", true, nil)
	broken.issuer = func() string { panic("canary") }
	for name, c := range map[string]struct {
		parts  []verifier.KeySource
		faults []string
	}{
		"no_source":      {nil, []string{"no source given: pass at least one"}},
		"nil":            {[]verifier.KeySource{nil, servingPart("one")}, []string{"argument 1 is nil: handle"}},
		"typed_nil":      {[]verifier.KeySource{servingPart("one"), (*jwkscache.Cache)(nil)}, []string{"argument 2 is nil"}},
		"two_issuers":    {[]verifier.KeySource{rich(issuer, true, nil), servingPart("one"), rich(other, true, nil)}, []string{"argument 3 is of another issuer"}},
		"Issuer_panics":  {[]verifier.KeySource{broken}, []string{"argument 1: panic in a key source's Issuer"}},
		"several_faults": {[]verifier.KeySource{nil, broken, nil}, []string{"argument 1 is nil", "argument 2: panic", "argument 3 is nil"}},
	} {
		t.Run("GO-02/"+name, func(t *testing.T) {
			j, err := jwkscache.Join(c.parts...)
			wantClass(t, err, verifier.ErrConfig)
			if j != nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("got %v, %v", j, err)
			}
			for _, want := range c.faults {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %v lacks %q", err, want)
				}
			}
		})
	}
	for name, c := range map[string]struct {
		names []string
		want  string
	}{
		"none": {[]string{"", ""}, ""}, "one": {[]string{"", issuer, ""}, issuer}, "the_same": {[]string{issuer, issuer}, issuer},
	} {
		t.Run("joined_issuer_"+name, func(t *testing.T) {
			var parts []verifier.KeySource
			for _, name := range c.names {
				parts = append(parts, rich(name, true, nil))
			}
			j := joinParts(t, parts...)
			if got := j.Issuer(); got != c.want {
				t.Errorf("issuer %q, want %q", got, c.want)
			}
			_, err := verifier.New(verifier.Config{Issuer: other, Audience: []string{audience}, Keys: j})
			if (err != nil) != (c.want != "") {
				t.Errorf("a verifier of another issuer: %v", err)
			}
		})
	}
	t.Run("joined_list_is_copied", func(t *testing.T) {
		parts := []verifier.KeySource{servingPart("one")}
		j := joinParts(t, parts...)
		parts[0] = nil
		wantKeys(t, j, "one")
	})
}

func TestJoinedPublicOnly(t *testing.T) {
	broken := rich("", true, nil)
	broken.public = func() bool { panic("canary") }
	guarded, err := jwkscache.New(jwkscache.Config{URL: jwksURL, PublicOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	open, err := jwkscache.New(jwkscache.Config{URL: jwksURL})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		parts []verifier.KeySource
		want  bool
	}{
		"guarded":         {[]verifier.KeySource{guarded}, true},
		"guarded_static":  {[]verifier.KeySource{guarded, staticPart(t, "one")}, true},
		"one_unguarded":   {[]verifier.KeySource{guarded, open}, false},
		"unguarded_first": {[]verifier.KeySource{open, guarded}, false},
		"panics":          {[]verifier.KeySource{guarded, broken}, false},
		"nested":          {[]verifier.KeySource{guarded, joinParts(t, open)}, false},
	} {
		t.Run("KS-04/"+name, func(t *testing.T) {
			if got := joinParts(t, c.parts...).PublicOnly(); got != c.want {
				t.Errorf("PublicOnly is %v", got)
			}
		})
	}
	if (*jwkscache.Joined)(nil).PublicOnly() {
		t.Error("nil claims to be guarded")
	}
}

func TestJoinedClose(t *testing.T) {
	t.Run("KS-26/closes_its_parts_once", func(t *testing.T) {
		failed := errors.New("failed")
		parts := []*richPart{rich("", true, nil), rich("", true, failed), rich("", true, nil)}
		parts[0].close = func() error { panic("canary") }
		j := joinParts(t, parts[0], staticPart(t, "two"), parts[1], parts[2])
		wantKeys(t, j, "one two")
		for range 2 {
			if err := j.Close(); !errors.Is(err, failed) || strings.Contains(err.Error(), "canary") {
				t.Errorf("error %v", err)
			}
		}
		for i, p := range parts {
			if n := p.closed.Load(); n != 1 {
				t.Errorf("part %d was closed %d times", i, n)
			}
		}
		_, err := j.Keys(t.Context(), nil)
		wantClass(t, err, verifier.ErrKeysUnavailable)
	})
	inWorld(t, "KS-26/ends_all_waiting", byURL, func(w *world) {
		w.on(jwksURL, slow(time.Hour, answer(200, kids("one"))))
		j := joinParts(w, w.cache, hangingPart())
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				_, err := j.Keys(context.Background(), nil)
				wantClass(w, err, verifier.ErrKeysUnavailable)
			})
		}
		synctest.Wait()
		if err := j.Close(); err != nil {
			w.Error(err)
		}
		wg.Wait()
		if w.elapsed() != 0 {
			w.Errorf("took %v", w.elapsed())
		}
		_, err := w.cache.Keys(w.Context(), nil)
		wantClass(w, err, verifier.ErrKeysUnavailable)
	})
}

// TestJoinedSteady: what nearly every request runs costs nothing but the look.
func TestJoinedSteady(t *testing.T) {
	w := newWorld(t, byURL)
	w.warm(w.cache)
	j := joinParts(t, w.cache, staticPart(t, "two"), servingPart("three"))
	m := wantKeys(t, j, "one two three")
	t.Run("KS-25/no_allocation", func(t *testing.T) {
		ctx := t.Context()
		if n := testing.AllocsPerRun(100, func() { j.Keys(ctx, nil) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
	t.Run("KS-25/no_goroutine", func(t *testing.T) {
		before := leaktest.Count()
		during := 0
		watching := &sourcePart{}
		keys := parsed("three")
		watching.keys = func(context.Context, *verifier.Miss) (*verifier.KeySet, error) {
			during = leaktest.Count()
			return keys, nil
		}
		watched := joinParts(t, staticPart(t, "two"), watching)
		for range 3 {
			if wantKeys(t, watched, "two three"); during > before {
				t.Errorf("%d goroutines, %d before", during, before)
			}
		}
	})
	t.Run("KS-26/readers_while_parts_change", func(t *testing.T) {
		sets := []*verifier.KeySet{parsed("one"), parsed("two"), parsed("three")}
		var at atomic.Int32
		turning := &sourcePart{keys: func(context.Context, *verifier.Miss) (*verifier.KeySet, error) {
			if n := int(at.Load()); n < len(sets) {
				return sets[n], nil
			}
			return nil, verifier.ErrKeysUnavailable
		}}
		j := joinParts(t, turning, staticPart(t, "one"))
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for n := range 500 {
					if i == 0 {
						at.Store(int32(n % 4))
					}
					got, err := j.Keys(t.Context(), nil)
					if err != nil || got.Len() < 1 || got.Len() > 2 {
						t.Error(ids(got), err)
						return
					}
					j.Keys(t.Context(), &verifier.Miss{Set: got, KeyID: fmt.Sprint(n)})
				}
			})
		}
		wg.Wait()
		at.Store(1)
		wantKeys(t, j, "two one")
	})
	if wantKeys(t, j, "one two three") != m {
		t.Error("another version")
	}
}
