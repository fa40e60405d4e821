// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"net/url"
	"testing"
	"time"
)

// TestUserCodeLetters: every letter comes of as many bytes, so that none is likelier.
func TestUserCodeLetters(t *testing.T) {
	count := map[byte]int{}
	refused := 0
	for b := range 256 {
		if letter, ok := userCodeLetter(byte(b)); ok {
			count[letter]++
		} else {
			refused++
		}
	}
	t.Run("TA-20/letters_are_equally_likely", func(t *testing.T) {
		if len(count) != len(userCodeLetters) || refused != 16 {
			t.Errorf("%d letters, %d bytes without", len(count), refused)
		}
		for _, letter := range []byte(userCodeLetters) {
			if count[letter] != 12 {
				t.Errorf("%c: %d bytes", letter, count[letter])
			}
		}
	})
}

// TestAddDevice: neither code may be one that another device has.
func TestAddDevice(t *testing.T) {
	now, st := time.Unix(1_700_000_000, 0), newStore()
	for _, tc := range []struct {
		name, secret, userCode string
		added                  bool
	}{
		{"first", "a", "BBBB-BBBB", true},
		{"same_device_code", "a", "CCCC-CCCC", false},
		{"same_user_code", "b", "BBBB-BBBB", false},
		{"both_new", "b", "CCCC-CCCC", true},
	} {
		t.Run("TA-20/"+tc.name, func(t *testing.T) {
			d := &deviceGrant{userCode: tc.userCode, expires: now.Add(time.Minute)}
			if full, added := st.addDevice(tc.secret, d, now); full || added != tc.added {
				t.Errorf("full %v, added %v", full, added)
			}
		})
	}
}

// TestDeviceIsForgotten: nothing of a device stays behind when its tokens are out.
func TestDeviceIsForgotten(t *testing.T) {
	s := NewServer(t, func(c *Config) { c.Algorithm, c.Audience = "ES256", []string{"https://api.test"} })
	d := &deviceGrant{client: "test-client", expires: time.Now().Add(time.Minute)}
	secret, refused, err := s.addDevice(d)
	if refused != nil || err != nil {
		t.Fatal(refused, err)
	}
	if err := s.ApproveDevice(d.userCode); err != nil {
		t.Fatal(err)
	}
	if _, _, refused := s.poll(Client{ID: "test-client"}, url.Values{"device_code": {secret}}); refused != nil {
		t.Fatal(refused)
	}
	if len(s.store.devices)+len(s.store.shown) != 0 {
		t.Errorf("%d device codes and %d user codes are left", len(s.store.devices), len(s.store.shown))
	}
}
