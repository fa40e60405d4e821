// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"net/url"
	"strconv"
	"testing"
	"time"
)

// TestSweep: what has expired goes, and nothing that is still good.
func TestSweep(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	a := &authorization{}
	st := newStore()
	for name, expires := range map[string]time.Time{"expired": now, "good": now.Add(time.Nanosecond)} {
		st.access[name] = &accessToken{authorization: a, expires: expires}
		st.refresh[name] = &refreshToken{authorization: a, expires: expires}
		d := &deviceGrant{userCode: name, expires: expires.Add(-deviceLifetime - time.Nanosecond)}
		st.devices[name], st.shown[name] = d, d
		st.seen[name] = expires
	}
	for range sweepEvery - 1 {
		st.sweep(now)
	}
	if len(st.access) != 2 {
		t.Errorf("swept before its time: %d left", len(st.access))
	}
	st.sweep(now)
	for what, left := range map[string]bool{
		"access token": st.access["expired"] != nil, "refresh token": st.refresh["expired"] != nil,
		"device code": st.devices["expired"] != nil, "user code": st.shown["expired"] != nil, "jti": !st.seen["expired"].IsZero(),
	} {
		if left {
			t.Errorf("an expired %s is left", what)
		}
	}
	if st.access["good"] == nil || st.refresh["good"] == nil || st.devices["good"] == nil || st.shown["good"] == nil || st.seen["good"].IsZero() {
		t.Error("a good one is gone")
	}
}

// TestRevokedStays: what was revoked does not come back when the clock is set back, neither
// alone nor with its family.
func TestRevokedStays(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for _, tc := range []struct {
		name  string
		other int // tokens that are good
		left  bool
	}{{"last_with_room", maxRevoked - 2, true}, {"no_room", maxRevoked - 1, false}} {
		t.Run("TA-19/"+tc.name, func(t *testing.T) {
			st := newStore()
			st.access["alone"] = &accessToken{authorization: &authorization{}, expires: now, revoked: true}
			st.access["family"] = &accessToken{authorization: &authorization{root: &authorization{revoked: true}}, expires: now}
			for i := range tc.other {
				st.access[strconv.Itoa(i)] = &accessToken{authorization: &authorization{}, expires: now.Add(time.Second)}
			}
			st.added = sweepEvery - 1
			st.sweep(now)
			want := tc.other
			if tc.left {
				want += 2
			}
			if len(st.access) != want || (st.access["alone"] != nil) != tc.left || (st.access["family"] != nil) != tc.left {
				t.Errorf("%d tokens, want %d", len(st.access), want)
			}
		})
	}
	t.Run("TA-19/clock_set_back", func(t *testing.T) {
		s := NewServer(t, func(c *Config) {
			c.Algorithm, c.Audience, c.Now = "ES256", []string{"https://api.test"}, func() time.Time { return now }
		})
		client := s.cfg.Clients[0]
		raw := map[bool]string{true: s.Token(ClientID(client.ID)), false: s.Token(ClientID(client.ID))}
		if _, refused, err := s.revoke(client, url.Values{"token": {raw[true]}}); refused != nil || err != nil {
			t.Fatal(refused, err)
		}
		s.store.added = sweepEvery - 1
		s.store.sweep(now.Add(time.Hour)) // and the clock says now again
		for revoked, raw := range raw {
			if _, ok := s.active(raw); ok == revoked {
				t.Errorf("revoked %t, active %t", revoked, ok)
			}
		}
	})
}

// TestRoomForCode: used codes go in the order of their use, and only for want of room.
func TestRoomForCode(t *testing.T) {
	now, st := time.Unix(1_700_000_000, 0), newStore()
	for i := range maxCodes {
		st.codes[strconv.Itoa(i)] = &code{authorization: &authorization{}, expires: now.Add(time.Minute)}
	}
	if st.roomForCode(now) {
		t.Error("room among codes that all wait")
	}
	for _, name := range []string{"7", "3"} {
		st.spend(name)
	}
	for _, name := range []string{"7", "3"} {
		if st.codes[name] == nil || !st.codes[name].used {
			t.Errorf("code %s is gone, or not used", name)
		}
		for range 2 { // the second time there is room already
			if !st.roomForCode(now) {
				t.Error("no room in place of a used code")
			}
		}
		if st.codes[name] != nil {
			t.Errorf("code %s is still there", name)
		}
		st.codes["new "+name] = &code{authorization: &authorization{}, expires: now.Add(time.Minute)}
	}
	if st.roomForCode(now) || len(st.codes) != maxCodes {
		t.Errorf("room again, %d codes", len(st.codes))
	}
	st.spend("8")
	if !st.roomForCode(now.Add(time.Minute)) || len(st.codes) != 0 || len(st.spent) != 0 {
		t.Errorf("%d codes and %d names of used ones are left of what has expired", len(st.codes), len(st.spent))
	}
}

// TestMemoryIsBounded: a server that only issues does not grow for ever.
func TestMemoryIsBounded(t *testing.T) {
	now, st := time.Unix(1_700_000_000, 0), newStore()
	for i := range 10 * sweepEvery {
		st.addAccess(strconv.Itoa(i), &accessToken{authorization: &authorization{}, expires: now.Add(time.Second)}, now)
		now = now.Add(time.Second)
	}
	if len(st.access) > sweepEvery+1 {
		t.Errorf("%d tokens are kept", len(st.access))
	}
}
