// SPDX-License-Identifier: Apache-2.0

package oauthtest_test

import (
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/oauthtest"
)

const asDevice = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&client_id=page"

// startDevice begins a device grant as the public client "page".
func startDevice(t *testing.T, as *oauthtest.Server, form string) (device, user string) {
	t.Helper()
	a := postForm(t, as, "/device_authorization", "client_id=page"+form)
	wantAnswer(t, a, want200, "")
	return textOf(t, a, "device_code"), textOf(t, a, "user_code")
}

func wantPoll(t *testing.T, as *oauthtest.Server, device, code string) answer {
	t.Helper()
	a := tokenRequest(t, as, asDevice+"&device_code="+device)
	status := want400
	if code == "" {
		status = want200
	}
	wantAnswer(t, a, status, code)
	return a
}

func TestDeviceAuthorization(t *testing.T) {
	as := newGrants(t)
	a := postForm(t, as, "/device_authorization", "client_id=page&scope=a")
	wantAnswer(t, a, want200, "")
	t.Run("TA-20/answer", func(t *testing.T) {
		user := textOf(t, a, "user_code")
		if !regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$`).MatchString(user) {
			t.Errorf("user code %q", user)
		}
		if a.json["expires_in"] != float64(600) || a.json["interval"] != float64(5) {
			t.Errorf("answer %s", a.body)
		}
		page := as.Issuer() + "/device"
		if a.json["verification_uri"] != page || a.json["verification_uri_complete"] != page+"?user_code="+user {
			t.Errorf("answer %s", a.body)
		}
	})
	t.Run("TA-20/codes_differ", func(t *testing.T) {
		device, user := startDevice(t, as, "")
		if device == a.json["device_code"] || user == a.json["user_code"] || len(device) < 22 {
			t.Error("the same code twice, or a short one")
		}
	})
	for _, tc := range []struct {
		name, form string
		auth       func(*http.Request)
		status     int
		code       string
	}{
		{"TA-20/confidential_client", "", basic("app", "secret"), want200, ""},
		{"TA-20/unknown_client", "client_id=nobody", noAuth, want401, "invalid_client"},
		{"TA-20/malformed_scope", "client_id=page&scope=%22", noAuth, want400, "invalid_scope"},
		{"TA-15/device_for_unknown_resource", "client_id=page&resource=https://x.test", noAuth, want400, "invalid_target"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wantAnswer(t, postForm(t, as, "/device_authorization", tc.form, tc.auth), tc.status, tc.code)
		})
	}
}

func TestDevicePolling(t *testing.T) {
	t.Run("TA-20/pending_then_slow_down_then_tokens", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			as := newGrants(t)
			device, user := startDevice(t, as, "&scope=a")
			wantPoll(t, as, device, "authorization_pending") // the first may come at once
			for _, step := range []struct {
				wait time.Duration
				code string
			}{
				{5 * time.Second, "authorization_pending"},
				{4500 * time.Millisecond, "authorization_pending"}, // a ticker is not exact
				{4500*time.Millisecond - 1, "slow_down"},           // 10 s from now on
				{9*time.Second - 1, "slow_down"},                   // 15 s
				{13500 * time.Millisecond, "authorization_pending"},
			} {
				time.Sleep(step.wait)
				wantPoll(t, as, device, step.code)
			}
			if err := as.ApproveDevice(user, "alice"); err != nil {
				t.Fatal(err)
			}
			a := wantPoll(t, as, device, "") // soon, but there is nothing to wait for
			if _, claims := parts(t, textOf(t, a, "access_token")); claims["sub"] != "alice" || claims["scope"] != "a" || claims["client_id"] != "page" {
				t.Errorf("claims %v", claims)
			}
			wantAnswer(t, refresh(t, as, textOf(t, a, "refresh_token"), "&client_id=page", noAuth), want200, "")
			wantPoll(t, as, device, "invalid_grant") // once only
			if err := as.ApproveDevice(user); err == nil {
				t.Error("the user code outlives the grant")
			}
		})
	})
}

// TestDeviceTolerance: a tenth of the interval, a quarter of a second at the least.
func TestDeviceTolerance(t *testing.T) {
	for interval, least := range map[time.Duration]time.Duration{
		time.Second: 750 * time.Millisecond, 2 * time.Second: 1750 * time.Millisecond, 3 * time.Second: 2700 * time.Millisecond,
	} {
		t.Run("TA-20/tolerance_of_"+interval.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := newGrants(t, func(c *oauthtest.Config) { c.DeviceInterval = interval })
				device, _ := startDevice(t, as, "")
				wantPoll(t, as, device, "authorization_pending")
				time.Sleep(least)
				wantPoll(t, as, device, "authorization_pending")
				time.Sleep(least - 1)
				wantPoll(t, as, device, "slow_down")
			})
		})
	}
}

// stuck is randomness that stands still for so many draws.
type stuck struct {
	draws int
	counting
}

func (s *stuck) Read(p []byte) (int, error) {
	if s.draws--; s.draws >= 0 {
		clear(p)
		return len(p), nil
	}
	return s.counting.Read(p)
}

// TestDeviceCodesRepeat: codes that are taken are drawn anew, ten times, two draws each.
func TestDeviceCodesRepeat(t *testing.T) {
	for _, tc := range []struct {
		name string
		more int // draws, after those of the first device
		ok   bool
	}{{"TA-20/ninth_draw_repeats", 2 * 9, true}, {"TA-20/tenth_draw_repeats", 2 * 10, false}} {
		t.Run(tc.name, func(t *testing.T) {
			as := newGrants(t, func(c *oauthtest.Config) { c.Random = &stuck{draws: 2 + tc.more} })
			first, _ := startDevice(t, as, "")
			a := postForm(t, as, "/device_authorization", "client_id=page")
			if tc.ok {
				wantAnswer(t, a, want200, "")
			} else if wantAnswer(t, a, http.StatusInternalServerError, "server_error"); !strings.Contains(a.body, "Config.Random repeats itself") {
				t.Errorf("%s", a.body)
			}
			wantPoll(t, as, first, "authorization_pending")
		})
	}
}

// TestDeviceMemory: devices that nobody decides cost a bounded memory.
func TestDeviceMemory(t *testing.T) {
	t.Parallel()
	c := newClock()
	as := newGrants(t, c.in)
	var device, user, denied string
	for i := range 1000 {
		if device, user = startDevice(t, as, ""); i == 0 {
			denied = device
			if err := as.DenyDevice(user); err != nil {
				t.Fatal(err)
			}
		}
	}
	wantPoll(t, as, denied, "access_denied")
	t.Run("TA-20/denied_devices_make_room", func(t *testing.T) {
		device, user = startDevice(t, as, "")
		wantPoll(t, as, denied, "invalid_grant")
	})
	t.Run("TA-20/full", func(t *testing.T) {
		wantAnswer(t, postForm(t, as, "/device_authorization", "client_id=page"), want400, "temporarily_unavailable")
		if err := as.ApproveDevice(user); err != nil {
			t.Error(err)
		}
		wantPoll(t, as, device, "")
		startDevice(t, as, "") // one has gone with its tokens
	})
	t.Run("TA-20/expired_devices_make_room", func(t *testing.T) {
		c.pass(10*time.Minute - time.Second)
		wantAnswer(t, postForm(t, as, "/device_authorization", "client_id=page"), want400, "temporarily_unavailable")
		c.pass(time.Second)
		startDevice(t, as, "")
	})
}

func TestDeviceEnds(t *testing.T) {
	t.Run("TA-20/denied_or_expired", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			as := newGrants(t, func(c *oauthtest.Config) { c.DeviceInterval = time.Second })
			denied, deniedUser := startDevice(t, as, "")
			late, lateUser := startDevice(t, as, "")
			pending, pendingUser := startDevice(t, as, "")
			if err := as.DenyDevice(deniedUser); err != nil {
				t.Fatal(err)
			}
			wantPoll(t, as, denied, "access_denied")
			if err := as.ApproveDevice(lateUser); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10*time.Minute - time.Nanosecond)
			wantPoll(t, as, pending, "authorization_pending")
			time.Sleep(time.Nanosecond)
			wantPoll(t, as, pending, "expired_token")
			wantPoll(t, as, late, "expired_token")
			if err := as.ApproveDevice(pendingUser); err == nil {
				t.Error("approved after the end")
			}
		})
	})
}

func TestDevicePollFaults(t *testing.T) {
	as := newGrants(t)
	device, user := startDevice(t, as, "&resource="+api+"&resource="+secondAPI)
	if err := as.ApproveDevice(user); err != nil {
		t.Fatal(err)
	}
	const asPage2 = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&client_id=page2"
	for _, tc := range []struct{ name, form, code string }{
		{"TA-20/no_device_code", asDevice, "invalid_request"},
		{"TA-20/unknown_device_code", asDevice + "&device_code=x", "invalid_grant"},
		{"TA-20/user_code_is_no_device_code", asDevice + "&device_code=" + user, "invalid_grant"},
		{"TA-20/device_code_of_another_client", asPage2 + "&device_code=" + device, "invalid_grant"},
		{"TA-15/device_resource_not_granted", asDevice + "&device_code=" + device + "&resource=orders-service", "invalid_target"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wantAnswer(t, tokenRequest(t, as, tc.form), want400, tc.code)
		})
	}
	t.Run("TA-15/device_for_one_of_two_resources", func(t *testing.T) {
		a := tokenRequest(t, as, asDevice+"&device_code="+device+"&resource="+secondAPI)
		if _, claims := parts(t, textOf(t, a, "access_token")); claims["aud"] != secondAPI {
			t.Errorf("aud %v", claims["aud"])
		}
	})
}

func TestDeviceInParallel(t *testing.T) {
	as := newGrants(t)
	device, user := startDevice(t, as, "")
	if err := as.ApproveDevice(user); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var granted atomic.Int64
	for range 20 {
		wg.Go(func() {
			if tokenRequest(t, as, asDevice+"&device_code="+device).status == want200 {
				granted.Add(1)
			}
		})
	}
	wg.Wait()
	t.Run("TA-20/parallel_polls_get_one_answer", func(t *testing.T) {
		if granted.Load() != 1 {
			t.Errorf("%d polls were granted", granted.Load())
		}
	})
}

// TestDeviceClockGoesBack: nobody waits for a time to come again that has been.
func TestDeviceClockGoesBack(t *testing.T) {
	t.Run("TA-20/clock_set_back", func(t *testing.T) {
		c := newClock()
		as := newGrants(t, c.in)
		device, _ := startDevice(t, as, "")
		for _, step := range []struct {
			pass time.Duration
			code string
		}{
			{0, "authorization_pending"},
			{-time.Hour, "authorization_pending"},
			{4 * time.Second, "slow_down"}, // the wait begins anew
			{-time.Second, "authorization_pending"},
			{0, "slow_down"},
		} {
			c.pass(step.pass)
			wantPoll(t, as, device, step.code)
		}
	})
}
