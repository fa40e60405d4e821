// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"crypto/sha256"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"time"
)

const (
	deviceGrantType = "urn:ietf:params:oauth:grant-type:device_code"
	deviceLifetime  = 10 * time.Minute
	// slowDown is what every poll that comes too early adds to the interval (RFC 8628
	// §3.5).
	slowDown = 5 * time.Second
	// userCodeLetters have no vowels, so that no code is a word (RFC 8628 §6.1).
	userCodeLetters = "BCDFGHJKLMNPQRSTVWXZ"
)

// deviceAnswer tells a device what to show (RFC 8628 §3.2).
type deviceAnswer struct {
	DeviceCode string `json:"device_code"`
	UserCode   string `json:"user_code"`
	URI        string `json:"verification_uri"`
	Complete   string `json:"verification_uri_complete"`
	ExpiresIn  int64  `json:"expires_in"`
	Interval   int64  `json:"interval"`
}

func (s *Server) serveDevice(w http.ResponseWriter, r *http.Request) {
	s.serveForm(w, r, s.startDevice)
}

func (s *Server) startDevice(client Client, form url.Values) (any, *refusal, error) {
	a, refused := s.requested(client, form)
	if refused != nil {
		return nil, refused, nil
	}
	d := &deviceGrant{
		client: client.ID, scopes: a.scopes, audience: a.audience, details: a.details,
		expires: s.cfg.Now().Add(deviceLifetime), interval: s.cfg.DeviceInterval,
	}
	secret, refused, err := s.addDevice(d)
	if secret == "" {
		return nil, refused, err
	}
	page := s.endpoint("/device")
	return deviceAnswer{
		DeviceCode: secret, UserCode: d.userCode, URI: page, Complete: page + "?user_code=" + d.userCode,
		ExpiresIn: int64(deviceLifetime.Seconds()), Interval: int64(s.cfg.DeviceInterval.Seconds()),
	}, nil, nil
}

// drawings is how often codes are drawn before the randomness is to blame.
const drawings = 10

// addDevice gives the grant codes that no other one has.
func (s *Server) addDevice(d *deviceGrant) (secret string, refused *refusal, err error) {
	now := s.cfg.Now()
	for range drawings { // not under mu: Random may be the test's own
		secret, d.userCode = s.random(), userCode(s.random())
		switch full, added := s.store.addDevice(secret, d, now); {
		case full:
			return "", &refusal{"temporarily_unavailable", "too many devices wait for a decision"}, nil
		case added:
			return secret, nil, nil
		}
	}
	return "", nil, errors.New("oauthtest: Config.Random repeats itself: give each draw other bytes")
}

func (st *store) addDevice(secret string, d *deviceGrant, now time.Time) (full, added bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.sweep(now)
	if len(st.devices) >= maxPending {
		st.forgetDevices(func(d *deviceGrant) bool { return d.denied || !now.Before(d.expires) })
	}
	shown := plainCode(d.userCode)
	switch {
	case len(st.devices) >= maxPending:
		return true, false
	case st.devices[secret] != nil || st.shown[shown] != nil:
		return false, false
	}
	st.devices[secret], st.shown[shown] = d, d
	return false, true
}

// forgetDevices ends grants that need no answer any more. The caller holds mu.
func (st *store) forgetDevices(gone func(*deviceGrant) bool) {
	maps.DeleteFunc(st.devices, func(_ string, d *deviceGrant) bool { return gone(d) })
	maps.DeleteFunc(st.shown, func(_ string, d *deviceGrant) bool { return gone(d) })
}

// userCode makes eight letters of a random text, "WDJB-MJHT" for example.
func userCode(random string) string {
	var code []byte
	for sum := sha256.Sum256([]byte(random)); ; sum = sha256.Sum256(sum[:]) {
		for _, b := range sum {
			letter, ok := userCodeLetter(b)
			if !ok {
				continue
			}
			if code = append(code, letter); len(code) == 8 {
				return string(code[:4]) + "-" + string(code[4:])
			}
		}
	}
}

// userCodeLetter leaves out the bytes that would favour some letters.
func userCodeLetter(b byte) (letter byte, ok bool) {
	return userCodeLetters[b%20], b < 240
}

// deviceTokens answers a poll (RFC 8628 §3.4, §3.5).
func (s *Server) deviceTokens(client Client, form url.Values) (*grant, *refusal, error) {
	if !form.Has("device_code") {
		return nil, invalidRequest("device_code is missing"), nil
	}
	a, use, refused := s.poll(client, form)
	if refused != nil {
		return nil, refused, nil
	}
	g, err := s.issueWithRefresh(a, use)
	return g, nil, err
}

// poll returns what a user granted, once.
func (s *Server) poll(client Client, form url.Values) (a *authorization, use narrowed, refused *refusal) {
	now, secret := s.cfg.Now(), form.Get("device_code")
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	d := s.store.devices[secret]
	switch {
	case d == nil || d.client != client.ID:
		return nil, use, invalidGrant("the device code is unknown, used before, or another client's")
	case !now.Before(d.expires):
		return nil, use, &refusal{"expired_token", "the device code has expired: start again"}
	case d.denied:
		return nil, use, &refusal{"access_denied", "the user has refused"}
	case d.authorization == nil:
		return nil, use, d.wait(now)
	}
	if use, refused = d.narrow(form); refused != nil {
		return nil, use, refused
	}
	delete(s.store.devices, secret)
	delete(s.store.shown, plainCode(d.userCode))
	return d.authorization, use, nil
}

// wait answers while the user has not decided. Most devices poll by a ticker, which
// shakes, so that a little less than the interval is enough. If the clock was set back
// meanwhile, nobody knows how long the device has waited.
func (d *deviceGrant) wait(now time.Time) *refusal {
	least := d.interval - max(d.interval/10, 250*time.Millisecond)
	waited := now.Sub(d.polled)
	early := !d.polled.IsZero() && waited >= 0 && waited < least
	d.polled = now
	if early {
		d.interval += slowDown
		return &refusal{"slow_down", "wait 5 seconds longer between polls from now on"}
	}
	return &refusal{"authorization_pending", "the user has not decided yet"}
}
