// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"crypto/sha256"
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
		client: client.ID, scopes: a.scopes, audience: a.audience,
		expires: s.cfg.Now().Add(deviceLifetime), interval: s.cfg.DeviceInterval,
	}
	secret := s.random()
	s.addDevice(secret, d)
	page := s.endpoint("/device")
	return deviceAnswer{
		DeviceCode: secret, UserCode: d.userCode, URI: page, Complete: page + "?user_code=" + d.userCode,
		ExpiresIn: int64(deviceLifetime.Seconds()), Interval: int64(s.cfg.DeviceInterval.Seconds()),
	}, nil, nil
}

// addDevice gives the grant a user code that no other one has.
func (s *Server) addDevice(secret string, d *deviceGrant) {
	now := s.cfg.Now()
	taken := map[string]bool{}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	s.store.sweep(now)
	for _, other := range s.store.devices {
		taken[other.userCode] = true
	}
	for d.userCode = userCode(s.random()); taken[d.userCode]; {
		d.userCode = userCode(s.random())
	}
	s.store.devices[secret] = d
}

// userCode makes eight letters of a random text, "WDJB-MJHT" for example.
func userCode(random string) string {
	var code []byte
	for sum := sha256.Sum256([]byte(random)); ; sum = sha256.Sum256(sum[:]) {
		for _, b := range sum {
			if b >= 240 { // the rest would favour some letters
				continue
			}
			if code = append(code, userCodeLetters[b%20]); len(code) == 8 {
				return string(code[:4]) + "-" + string(code[4:])
			}
		}
	}
}

// deviceTokens answers a poll (RFC 8628 §3.4, §3.5).
func (s *Server) deviceTokens(client Client, form url.Values) (*grant, *refusal, error) {
	if !form.Has("device_code") {
		return nil, invalidRequest("device_code is missing"), nil
	}
	a, audience, refused := s.poll(client, form)
	if refused != nil {
		return nil, refused, nil
	}
	g, err := s.issueWithRefresh(a, a.scopes, audience)
	return g, nil, err
}

// poll returns what a user granted, once.
func (s *Server) poll(client Client, form url.Values) (*authorization, []string, *refusal) {
	now, secret := s.cfg.Now(), form.Get("device_code")
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	d := s.store.devices[secret]
	switch {
	case d == nil || d.client != client.ID:
		return nil, nil, invalidGrant("the device code is unknown, used before, or another client's")
	case !now.Before(d.expires):
		return nil, nil, &refusal{"expired_token", "the device code has expired: start again"}
	case d.denied:
		return nil, nil, &refusal{"access_denied", "the user has refused"}
	case d.authorization == nil:
		return nil, nil, d.wait(now)
	}
	audience, ok := d.narrowAudience(form["resource"])
	if !ok {
		return nil, nil, badResource
	}
	delete(s.store.devices, secret)
	return d.authorization, audience, nil
}

// wait answers while the user has not decided.
func (d *deviceGrant) wait(now time.Time) *refusal {
	early := !d.polled.IsZero() && now.Sub(d.polled) < d.interval
	d.polled = now
	if early {
		d.interval += slowDown
		return &refusal{"slow_down", "wait 5 seconds longer between polls from now on"}
	}
	return &refusal{"authorization_pending", "the user has not decided yet"}
}
