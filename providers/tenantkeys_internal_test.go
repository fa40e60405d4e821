// SPDX-License-Identifier: Apache-2.0

package providers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"unsafe"

	"github.com/bearerguard/bearerguard/verifier"
)

const (
	tenantA = "11111111-1111-4111-8111-111111111111"
	// The public key of RFC 7517 A.1, which signs nothing here.
	somePoint = `"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"`
)

// setOf is a set of a key for any tenant and one for nobody.
func setOf(t *testing.T, kid string) *verifier.KeySet {
	t.Helper()
	set, skipped, err := verifier.ParseKeySet(fmt.Appendf(nil, `{"keys":[{"kid":%q,"issuer":%q,%s},{"kid":"x",%[3]s}]}`, kid, anyTenant, somePoint))
	if err != nil || len(skipped) > 0 || set.Len() != 2 {
		t.Fatalf("%v, %v", skipped, err)
	}
	return set
}

// scripted is a source whose first answer can be held back, and which notes misses.
type scripted struct {
	current atomic.Pointer[verifier.KeySet]
	hold    chan struct{} // nil: not at all
	calls   atomic.Int32

	mu     sync.Mutex
	misses []*verifier.Miss
}

var errDown = errors.New("down")

func (s *scripted) Keys(_ context.Context, miss *verifier.Miss) (*verifier.KeySet, error) {
	s.mu.Lock()
	s.misses = append(s.misses, miss)
	s.mu.Unlock()
	set := s.current.Load()
	if s.calls.Add(1) == 1 && s.hold != nil {
		<-s.hold
	}
	if set == nil {
		return nil, errDown
	}
	return set, nil
}

func (s *scripted) lastMiss() *verifier.Miss {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.misses[len(s.misses)-1]
}

func (s *scripted) view() *tenantKeys { return &tenantKeys{shared: s, issuer: entraIssuer(tenantA)} }

func kidOf(set *verifier.KeySet) string {
	if set.Len() != 1 {
		return fmt.Sprintf("(%d keys)", set.Len())
	}
	return set.Describe()[0].ID
}

// keysOf fails the test unless the view has exactly the key.
func keysOf(t *testing.T, k *tenantKeys, miss *verifier.Miss, kid string) *verifier.KeySet {
	t.Helper()
	set, err := k.Keys(t.Context(), miss)
	if err != nil || kidOf(set) != kid {
		t.Fatalf("key %s, error %v, want %s", kidOf(set), err, kid)
	}
	return set
}

// TestSlowReader: one who still holds an older set does not bring it back, or the next
// miss would be about a set that the source does not know.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &scripted{hold: make(chan struct{})}
		k, b := source.view(), setOf(t, "b")
		source.current.Store(setOf(t, "a"))
		late := make(chan *verifier.KeySet, 1)
		go func() {
			set, _ := k.Keys(t.Context(), nil)
			late <- set
		}()
		synctest.Wait()
		source.current.Store(b)
		fast := keysOf(t, k, nil, "b")
		close(source.hold)
		if slow := <-late; slow != fast {
			t.Errorf("the slow reader got %s", kidOf(slow))
		}
		if again := keysOf(t, k, &verifier.Miss{Set: fast, KeyID: "c"}, "b"); again != fast {
			t.Error("another version of the same set")
		}
		if miss := source.lastMiss(); miss.Set != b || miss.KeyID != "c" {
			t.Errorf("the source was told of %+v, which is not its set", miss)
		}
	})
}

// TestView: versions and misses of one tenant's part of the shared keys.
func TestView(t *testing.T) {
	source := &scripted{}
	k := source.view()
	a, b := setOf(t, "a"), setOf(t, "b")
	if _, err := k.Keys(t.Context(), nil); err != errDown {
		t.Errorf("error %v", err)
	}
	source.current.Store(a)
	one := keysOf(t, k, nil, "a")
	if keysOf(t, k, nil, "a") != one || keysOf(t, k, &verifier.Miss{Set: one}, "a") != one {
		t.Error("several versions of one set")
	}
	source.current.Store(b)
	two := keysOf(t, k, &verifier.Miss{Set: one}, "b")
	if miss := source.lastMiss(); miss.Set != a {
		t.Error("the source was not told of its own set")
	}
	older := &verifier.Miss{Set: one}
	if keysOf(t, k, older, "b") != two || source.lastMiss() != older {
		t.Error("a miss of an older version was changed")
	}
}

// TestViewTogether: many readers while the set changes see each version once, and no
// reader goes back in time.
func TestViewTogether(t *testing.T) {
	source := &scripted{}
	k := source.view()
	var sets []*verifier.KeySet
	for i := range 20 {
		sets = append(sets, setOf(t, fmt.Sprintf("%02d", i)))
	}
	source.current.Store(sets[0])
	var versions sync.Map // version by kid
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			last := ""
			for last != "19" {
				set, err := k.Keys(t.Context(), nil)
				if kid := kidOf(set); err != nil || kid < last {
					t.Errorf("%s after %s, error %v", kid, last, err)
					return
				}
				last = kidOf(set)
				if first, _ := versions.LoadOrStore(last, set); first != set {
					t.Errorf("two versions of %s", last)
					return
				}
			}
		})
	}
	for _, set := range sets {
		source.current.Store(set)
	}
	wg.Wait()
}

// TestAcceptGetsACopy: what accept keeps must not keep the token in memory.
func TestAcceptGetsACopy(t *testing.T) {
	var got string
	cfg, err := EntraTenants(func(id string) bool { got = id; return true }, Options{Audience: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	issuer := entraIssuer(tenantA)
	if !cfg.Accept(issuer) || got != tenantA {
		t.Fatalf("accept was asked for %q", got)
	}
	if unsafe.StringData(got) == unsafe.StringData(issuer[len(entraHost):]) {
		t.Error("a part of the issuer")
	}
	if err := cfg.OnClose(); err != nil {
		t.Fatal(err)
	}
}
