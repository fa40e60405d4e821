// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
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
		st.devices[name] = &deviceGrant{expires: expires.Add(-deviceLifetime - time.Nanosecond)}
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
		"device code": st.devices["expired"] != nil, "jti": !st.seen["expired"].IsZero(),
	} {
		if left {
			t.Errorf("an expired %s is left", what)
		}
	}
	if st.access["good"] == nil || st.refresh["good"] == nil || st.devices["good"] == nil || st.seen["good"].IsZero() {
		t.Error("a good one is gone")
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
