// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// brokenSource is a mistake with the check that must find it.
type brokenSource struct {
	check string
	keys  func(s *source, ctx context.Context, miss *verifier.Miss) (*verifier.KeySet, error)
}

// source is a key source that spoils what a good one does.
type source struct {
	*jwkscache.Cache
	as   *Server
	keys func(s *source, ctx context.Context, miss *verifier.Miss) (*verifier.KeySet, error)

	mu      mutex
	last    *verifier.KeySet
	part    *verifier.KeySet // that last was merged of
	at      time.Time
	failure error
	flight  chan struct{}
	never   map[string]bool // kids that were unknown once
}

// mutex is one that a bubble can wait for: its clock stands still while a goroutine
// waits for a sync.Mutex.
type mutex chan struct{}

func (m mutex) Lock()   { m <- struct{}{} }
func (m mutex) Unlock() { <-m }
func (m mutex) TryLock() bool {
	select {
	case m <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s *source) Keys(ctx context.Context, miss *verifier.Miss) (*verifier.KeySet, error) {
	return s.keys(s, ctx, miss)
}

func (b brokenSource) open(t testing.TB, as *Server) verifier.KeySource {
	c, err := jwkscache.New(jwkscache.Config{Issuer: as.Issuer(), HTTPClient: as.HTTPClient()})
	if err != nil {
		t.Fatal(err)
	}
	return &source{Cache: c, as: as, keys: b.keys, mu: make(mutex, 1), never: map[string]bool{}}
}

// fetch asks the issuer, without anything around it.
func (s *source) fetch(ctx context.Context) (*verifier.KeySet, error) {
	unavailable := func(err error) error { return &verifier.Error{Class: verifier.ErrKeysUnavailable, Cause: err} }
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.as.Issuer()+"/jwks", nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.as.HTTPClient().Do(req)
	if err != nil {
		return nil, unavailable(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		return nil, unavailable(errors.Join(err, errors.New(resp.Status)))
	}
	set, _, err := verifier.ParseKeySet(body)
	return set, err
}

// remembered keeps a fetched set for so long.
func (s *source) remembered(ctx context.Context, fresh time.Duration) (*verifier.KeySet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last != nil && time.Since(s.at) < fresh {
		return s.last, nil
	}
	set, err := s.fetch(ctx)
	if err != nil {
		return nil, err
	}
	if s.at = time.Now(); !slices.Equal(set.Describe(), s.last.Describe()) {
		s.last = set
	}
	return s.last, nil
}

// shared lets all callers wait for one fetch that has no timeout.
func (s *source) shared(ctx context.Context) (*verifier.KeySet, error) {
	s.mu.Lock()
	if s.last != nil && time.Since(s.at) < time.Hour {
		defer s.mu.Unlock()
		return s.last, nil
	}
	flight := s.flight
	if flight == nil {
		flight = make(chan struct{})
		s.flight = flight
		go func() {
			defer close(flight)
			set, err := s.fetch(context.Background())
			s.mu.Lock()
			defer s.mu.Unlock()
			s.last, s.failure, s.at, s.flight = set, err, time.Now(), nil
		}()
	}
	s.mu.Unlock()
	select {
	case <-flight:
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.last, s.failure
	case <-ctx.Done():
		return nil, &verifier.Error{Class: verifier.ErrKeysUnavailable, Cause: ctx.Err()}
	}
}

// lenient takes what cannot be read for a set without keys.
func (s *source) lenient(set *verifier.KeySet, err error) (*verifier.KeySet, error) {
	if err != nil {
		return &verifier.KeySet{}, nil
	}
	return set, nil
}

const year = 365 * 24 * time.Hour

type ctx = context.Context

// brokenSources are mistakes that sources make.
var brokenSources = map[string]brokenSource{
	"neither_set_nor_error": {"no_keys_is_an_error_that_ends/503", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		set, _ := s.Cache.Keys(c, m)
		return set, nil
	}},
	"panics_without_keys": {"no_keys_is_an_error_that_ends/503", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		set, err := s.Cache.Keys(c, m)
		if err != nil {
			panic(err)
		}
		return set, nil
	}},
	"plain_errors": {"no_keys_is_an_error_that_ends/503", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		set, err := s.Cache.Keys(c, m)
		if err != nil {
			return nil, errors.New("no keys")
		}
		return set, nil
	}},
	"first_failure_stays": {"no_keys_is_an_error_that_ends/503", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.failure != nil {
			return nil, s.failure
		}
		set, err := s.Cache.Keys(c, m)
		s.failure = err
		return set, err
	}},
	"empty_set_in_an_outage": {"outage_serves_old_keys_or_none/503", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		set, err := s.Cache.Keys(c, m)
		if err != nil {
			return &verifier.KeySet{}, nil
		}
		return set, nil
	}},
	"old_keys_for_ever": {"outage_serves_old_keys_or_none/503", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		set, err := s.Cache.Keys(c, m)
		s.mu.Lock()
		defer s.mu.Unlock()
		if err != nil && s.last != nil {
			return s.last, nil
		}
		s.last = set
		return set, err
	}},
	"old_keys_for_too_long": {"outage_serves_old_keys_or_none/503", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		return s.serving(freshLimit+staleLimit+2*time.Hour, c, m)
	}},
	"unknown_once_is_unknown_for_ever": {"key_published_late_is_found", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		s.mu.Lock()
		never := m != nil && s.never[m.KeyID]
		s.mu.Unlock()
		if never {
			m = nil
		}
		before := s.as.Fetches()
		set, err := s.Cache.Keys(c, m)
		if m != nil && err == nil && s.as.Fetches() > before && !hasKid(set, m.KeyID) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.never[m.KeyID] = true
		}
		return set, err
	}},
	"deaf_to_misses_without_a_kid": {"miss_without_a_kid_brings_the_new_key", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		if m != nil && m.KeyID == "" {
			m = nil
		}
		return s.Cache.Keys(c, m)
	}},
	"deaf_to_misses_of_a_kid_that_is_there": {"miss_of_a_kid_that_is_there_brings_the_new_key", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		if m != nil && hasKid(m.Set, m.KeyID) {
			m = nil
		}
		return s.Cache.Keys(c, m)
	}},
	"waits_for_ever": {"outage_serves_old_keys_or_none/hang", func(s *source, c ctx, _ *verifier.Miss) (*verifier.KeySet, error) {
		return s.shared(c)
	}},
	"waits_for_ever_for_the_first_keys": {"no_keys_is_an_error_that_ends/hang", func(s *source, c ctx, _ *verifier.Miss) (*verifier.KeySet, error) {
		return s.shared(c)
	}},
	"takes_an_empty_set": {"outage_serves_old_keys_or_none/empty_set", func(s *source, c ctx, _ *verifier.Miss) (*verifier.KeySet, error) {
		return s.remembered(c, time.Hour)
	}},
	"takes_an_empty_set_for_the_first_keys": {"no_keys_is_an_error_that_ends/empty_set", func(s *source, c ctx, _ *verifier.Miss) (*verifier.KeySet, error) {
		return s.remembered(c, time.Hour)
	}},
	"takes_a_web_page_for_no_keys": {"outage_serves_old_keys_or_none/web_page", func(s *source, c ctx, _ *verifier.Miss) (*verifier.KeySet, error) {
		return s.lenient(s.remembered(c, time.Hour))
	}},
	"takes_half_a_set_for_no_keys": {"no_keys_is_an_error_that_ends/truncated", func(s *source, c ctx, _ *verifier.Miss) (*verifier.KeySet, error) {
		return s.lenient(s.remembered(c, time.Hour))
	}},
	"blames_the_token": {"miss_in_an_outage_is_an_error", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		set, err := s.Cache.Keys(c, m)
		if err != nil && m != nil {
			return m.Set, nil
		}
		return set, err
	}},
	"merges": {"set_is_replaced_as_a_whole", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if m != nil && m.Set == s.last {
			m = &verifier.Miss{Set: s.part, KeyID: m.KeyID}
		}
		set, err := s.Cache.Keys(c, m)
		if err == nil && set != s.part {
			s.last, s.part = verifier.MergeKeySets(s.last, set), set
		}
		return s.last, err
	}},
	"deaf_to_misses": {"miss_brings_the_new_key", func(s *source, c ctx, _ *verifier.Miss) (*verifier.KeySet, error) {
		return s.Cache.Keys(c, nil)
	}},
	"hands_back_the_old_set": {"newer_set_at_once_for_a_miss_of_an_old_one", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		now, err := s.Cache.Keys(c, nil)
		if err == nil && m != nil && now != m.Set {
			return m.Set, nil
		}
		return s.Cache.Keys(c, m)
	}},
	"fetches_for_a_miss_of_an_old_set": {"newer_set_at_once_for_a_miss_of_an_old_one", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		if m != nil {
			return s.remembered(c, 0)
		}
		return s.remembered(c, time.Minute)
	}},
	"new_pointer_each_time": {"same_set_while_nothing_changes", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		set, err := s.Cache.Keys(c, m)
		return verifier.MergeKeySets(set), err
	}},
	"refreshes_on_misses_only": {"withdrawn_key_leaves_without_a_miss", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		if m != nil {
			return s.remembered(c, 30*time.Second)
		}
		return s.remembered(c, year)
	}},
	"fetches_for_every_miss": {"unknown_kids_cause_few_fetches", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		if m != nil {
			return s.fetch(c)
		}
		return s.Cache.Keys(c, nil)
	}},
	"no_back_off": {"outage_causes_few_fetches", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		return s.remembered(c, time.Minute)
	}},
	"everybody_fetches_first": {"first_callers_share_a_fetch", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		s.mu.Lock()
		last := s.last
		s.mu.Unlock()
		if last != nil {
			return s.Cache.Keys(c, m)
		}
		set, err := s.fetch(c)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.last = set
		return set, err
	}},
	"ignores_the_context": {"cancelled_context_returns_promptly", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		return s.Cache.Keys(context.WithoutCancel(c), m)
	}},
	"fetches_with_the_first_context": {"who_leaves_disturbs_nobody", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		s.mu.Lock()
		flight := s.flight
		if flight == nil {
			flight = make(chan struct{})
			s.flight = flight
			go func() {
				defer close(flight)
				s.last, s.failure = s.fetch(c)
			}()
		}
		s.mu.Unlock()
		<-flight
		return s.last, s.failure
	}},
	"no_keys_while_it_fetches": {"complete_sets_during_a_rotation", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		if !s.mu.TryLock() {
			return nil, &verifier.Error{Class: verifier.ErrKeysUnavailable}
		}
		defer s.mu.Unlock()
		time.Sleep(time.Millisecond)
		return s.Cache.Keys(c, m)
	}},
	"newest_key_only": {"complete_sets_during_a_rotation", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		set, err := s.Cache.Keys(c, m)
		if err != nil || set.Len() < 2 {
			return set, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.part != set {
			s.part, s.last = set, s.halved()
		}
		return s.last, nil
	}},
	"serves_on_when_closed": {"closed_source_serves_nothing", func(s *source, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
		return s.remembered(c, time.Minute)
	}},
}

// serving keeps the last good set for so long.
func (s *source) serving(long time.Duration, c ctx, m *verifier.Miss) (*verifier.KeySet, error) {
	set, err := s.Cache.Keys(c, m)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		if set != s.last {
			s.last, s.at = set, time.Now()
		}
		return set, nil
	}
	if m == nil && s.last != nil && time.Since(s.at) < long {
		return s.last, nil
	}
	return nil, err
}

func hasKid(set *verifier.KeySet, kid string) bool {
	return slices.ContainsFunc(set.Describe(), func(k verifier.KeyInfo) bool { return k.ID == kid })
}

// halved leaves out all but the first key that the issuer publishes.
func (s *source) halved() *verifier.KeySet {
	var doc struct{ Keys []json.RawMessage }
	_ = json.Unmarshal(s.as.KeySet(), &doc)
	set, _, _ := verifier.ParseKeySet([]byte(`{"keys":[` + string(doc.Keys[0]) + `]}`))
	return set
}
