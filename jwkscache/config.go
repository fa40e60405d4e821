// SPDX-License-Identifier: Apache-2.0

package jwkscache

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/internal/fetch"
	"github.com/bearerguard/bearerguard/verifier"
)

const (
	defaultCooldown = 30 * time.Second
	minCooldown     = time.Second
	maxCooldown     = 10 * time.Minute

	defaultMaxStale = 24 * time.Hour
	limitMaxStale   = 72 * time.Hour
)

// Config describes where the keys of one issuer come from. Either Issuer or URL
// is required. [New] copies it and reports every fault at once.
type Config struct {
	// Issuer is the issuer identifier whose metadata is fetched to find the key set
	// (RFC 8414 §2): an https URL without query, fragment or userinfo, equal to
	// verifier.Config.Issuer to the last character.
	Issuer string
	// URL is the address of the key set for issuers without metadata, an https URL
	// without fragment or userinfo. No metadata is fetched.
	URL string
	// Discovery says which metadata document is asked for. The zero value,
	// DiscoverAny, tries all locations in turn. Only with Issuer.
	Discovery Discovery
	// InsecureHosts lists host names and IP addresses, without port, for which http
	// is accepted instead of https; "loopback" stands for localhost, 127.0.0.0/8 and
	// ::1. Whoever can change the traffic to such a host can forge tokens: it is for
	// development, and for networks that encrypt below HTTP. Reported as a warning
	// event. nil means that https is always required.
	InsecureHosts []string
	// HTTPClient sends the requests; set one for a proxy, private certificate
	// authorities or client credentials. Only its Transport is used, not its redirect
	// policy, cookie jar or timeout: redirects are never followed, and every request
	// ends within 5 s. nil means a client of the cache's own with TLS 1.2 or later,
	// the system's certificate authorities and the proxy of the environment.
	HTTPClient *http.Client
	// UnknownKeyCooldown is how long after a successful fetch a token with an unknown
	// kid is refused without another one. 0 means 30 s; from 1 s to 10 min.
	UnknownKeyCooldown time.Duration
	// MaxStale is how long keys stay in use after their freshness ended while every
	// refresh fails (RFC 5861 §4). 0 means 24 h, negative not at all, at most 72 h.
	MaxStale time.Duration
	// OnEvent is called with every fetch, faulty or suspect key, use of stale keys,
	// and warning. It is called synchronously, by requests and by background
	// fetches, possibly by many goroutines at once; it must be quick and must not
	// call Close. A panic in it denies the request, or is contained in the
	// background. nil means none.
	OnEvent func(verifier.Event)
}

// settings is the checked form of a Config.
type settings struct {
	issuer    string
	url       string
	locations []string // of metadata, in the order to be tried
	insecure  insecureHosts
	client    *fetch.Client
	cooldown  time.Duration
	maxStale  time.Duration
	onEvent   func(verifier.Event)
	random    jitter
}

// faults collects everything that is wrong, so that it can be mended in one go.
type faults []error

// add notes a fault of a field of Config, whose name format begins with.
func (f *faults) add(format string, args ...any) {
	*f = append(*f, fmt.Errorf("jwkscache.Config."+format, args...))
}

// check returns the settings of cfg, or one error that lists all its faults.
func (cfg Config) check() (settings, error) {
	var f faults
	s := settings{
		issuer:   cfg.Issuer,
		url:      cfg.URL,
		insecure: checkHosts(&f, cfg.InsecureHosts),
		cooldown: cfg.UnknownKeyCooldown,
		maxStale: cfg.MaxStale,
		onEvent:  cfg.OnEvent,
		random:   rand.Uint64N,
	}
	cfg.checkSource(&f, s.insecure)
	checkDurations(&f, &s)
	if len(f) > 0 {
		return settings{}, &verifier.Error{Class: verifier.ErrConfig, Cause: errors.Join(f...)}
	}
	if cfg.Issuer != "" {
		s.locations = cfg.Discovery.locations(cfg.Issuer)
	}
	s.client = fetch.NewClient(cfg.HTTPClient)
	return s, nil
}

func (cfg Config) checkSource(f *faults, insecure insecureHosts) {
	switch {
	case cfg.Issuer == "" && cfg.URL == "":
		f.add("Issuer and URL are both empty: set Issuer for discovery, or URL to the address of the key set")
	case cfg.Issuer != "" && cfg.URL != "":
		f.add("Issuer and URL are both set: keep Issuer for discovery, or URL for a known address")
	}
	if cfg.Issuer != "" {
		if reason := issuerFault(cfg.Issuer, insecure); reason != "" {
			f.add("Issuer %s", reason)
		}
	}
	if cfg.URL != "" {
		if reason := addressFault(cfg.URL, insecure); reason != "" {
			f.add("URL %s", reason)
		}
	}
	switch {
	case cfg.Discovery < DiscoverAny || cfg.Discovery > DiscoverOpenIDInserted:
		f.add("Discovery has no such value: use one of the Discover… constants")
	case cfg.Discovery != DiscoverAny && cfg.Issuer == "":
		f.add("Discovery is set without Issuer: remove it, or set Issuer instead of URL")
	}
}

// issuerFault: what is fetched for an issuer must follow from its identifier
// alone (RFC 8414 §2), and a pattern would let others name themselves.
func issuerFault(issuer string, insecure insecureHosts) string {
	switch {
	case strings.ContainsAny(issuer, "{}*"):
		return "is a template: give the identifier of one issuer; there is no pattern matching"
	case slices.ContainsFunc([]byte(issuer), notInURI):
		return "holds a character that no URL has: correct it"
	case strings.Contains(issuer, "?"):
		return "has a query: remove it (RFC 8414 §2)"
	}
	return addressFault(issuer, insecure)
}

// notInURI reports bytes outside the characters of RFC 3986 §2.
func notInURI(b byte) bool {
	return b <= ' ' || b >= 0x7f || strings.IndexByte("\"<>\\^`|", b) >= 0
}

func checkDurations(f *faults, s *settings) {
	switch {
	case s.cooldown == 0:
		s.cooldown = defaultCooldown
	case s.cooldown < minCooldown || s.cooldown > maxCooldown:
		f.add("UnknownKeyCooldown is not between %v and %v: correct it, or set 0 for %v", minCooldown, maxCooldown, defaultCooldown)
	}
	switch {
	case s.maxStale == 0:
		s.maxStale = defaultMaxStale
	case s.maxStale < 0:
		s.maxStale = 0
	case s.maxStale > limitMaxStale:
		f.add("MaxStale is over %v: correct it, or set 0 for %v", limitMaxStale, defaultMaxStale)
	}
}

// warnings are settings that are accepted but deserve a second look.
func (cfg Config) warnings() []string {
	var list []string
	if len(cfg.InsecureHosts) > 0 {
		list = append(list, "InsecureHosts is set: http is accepted for "+strings.Join(cfg.InsecureHosts, ", "))
	}
	if text := fetch.Inspect(cfg.HTTPClient); text != "" {
		list = append(list, "HTTPClient: "+text)
	}
	return list
}
