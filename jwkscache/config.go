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
	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/verifier"
)

const (
	defaultCooldown = 30 * time.Second
	minCooldown     = time.Second
	maxCooldown     = 10 * time.Minute

	defaultMaxStale = 24 * time.Hour
	limitMaxStale   = 72 * time.Hour
)

// Config describes where the keys of one issuer come from. Issuer, URL or File is
// required, and one only. [New] copies it and reports every fault at once.
type Config struct {
	// Issuer is the issuer identifier whose metadata is fetched to find the key set
	// (RFC 8414 §2): an https URL without query, fragment or userinfo, equal to
	// verifier.Config.Issuer to the last character.
	Issuer string
	// URL is the address of the key set for issuers without metadata, an https URL
	// without fragment or userinfo. No metadata is fetched.
	URL string
	// File is the path of a file that holds a JWK Set or one public key in PEM form,
	// as [NewStatic] and [NewStaticPEM] take them, up to 512 KiB. While in use it is
	// read every 10 s, and at once for a token with an unknown kid. If it cannot be
	// read, is not complete or holds no usable key, the last keys stay in use for
	// MaxStale. Whoever can write it can forge tokens; its permissions are not checked.
	// Discovery, InsecureHosts, HTTPClient, UnknownKeyCooldown and Snapshots must be left
	// empty beside it.
	File string
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
	// PublicOnly refuses to connect to loopback, link-local, private and all other
	// addresses that are not of the public internet, after name resolution and on
	// every connection, so that who names an issuer cannot make this server ask a
	// host of its own network. Set it for issuers that are added at run time. No proxy
	// is used then, that of the environment included, since a proxy resolves names
	// itself; and of HTTPClient only the TLSClientConfig of its *http.Transport, which
	// must have no proxy and no dial function. A File needs no network, so there it
	// changes nothing. The zero value connects to any address.
	PublicOnly bool
	// Select narrows each set before it is used, where an address publishes keys that are
	// not all this issuer's (see [verifier.KeySet.OfIssuer]). It must give the same answer
	// for the same set always, and leave what it has chosen as it is. A set of which it leaves nothing is one without a usable
	// key: it does not replace keys that may still be served. What it leaves out is
	// reported. Called by one fetch at a time. nil means the whole set.
	Select func(*verifier.KeySet) *verifier.KeySet
	// UnknownKeyCooldown is how long after a successful fetch a token with an unknown
	// kid is refused without another one. 0 means 30 s; from 1 s to 10 min.
	UnknownKeyCooldown time.Duration
	// MaxStale is how long keys stay in use after their freshness ended while every
	// refresh fails (RFC 5861 §4). 0 means 24 h, negative not at all, at most 72 h.
	MaxStale time.Duration
	// Snapshots keeps the last good key set beyond the life of the process, so that one
	// that starts while the issuer is down can serve: with Keys and Ready; Warm reports
	// the failure unless the stored keys are still fresh. After a fetch, in the background
	// and for a set that did not change once a minute, the usable public keys are stored,
	// and nothing else that the issuer published. If that fails, which an event says, it
	// is tried again after a minute and after the next fetch: what is stored can be older
	// than what was fetched last. It is read at first use, and with the next attempts if
	// the store does not answer, checked like a fetched set, narrowed by Select, and used
	// for no longer than it would have been without the restart. It is ignored, with an
	// event, if it is damaged, too old, from the future, or of another issuer or address.
	// nil means that a restarted process depends on the issuer.
	Snapshots SnapshotStore
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
	file      string
	locations []string // of metadata, in the order to be tried
	insecure  insecureHosts
	client    *fetch.Client
	guarded   bool // client connects to public addresses only
	cooldown  time.Duration
	maxStale  time.Duration
	onEvent   func(verifier.Event)
	random    jitter
	choose    func(*verifier.KeySet) *verifier.KeySet // or nil
	snapshots SnapshotStore                           // or nil
	calls     limiter
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
		file:     cfg.File,
		insecure: checkHosts(&f, cfg.InsecureHosts),
		cooldown: cfg.UnknownKeyCooldown,
		maxStale: cfg.MaxStale,
		onEvent:  cfg.OnEvent,
		random:   rand.Uint64N,
		choose:   cfg.Select,
		guarded:  cfg.PublicOnly,
		client:   cfg.newClient(&f),
		calls:    newLimiter(),
	}
	switch {
	case !hook.Nil(cfg.Snapshots):
		s.snapshots = cfg.Snapshots
	case cfg.Snapshots != nil:
		f.add("Snapshots is a nil %T: handle the error of its constructor, or leave the field nil for no store", cfg.Snapshots)
	}
	cfg.checkSource(&f, s.insecure)
	checkDurations(&f, &s)
	cfg.checkFile(&f, &s)
	if len(f) > 0 {
		return settings{}, &verifier.Error{Class: verifier.ErrConfig, Cause: errors.Join(f...)}
	}
	if cfg.Issuer != "" {
		s.locations = cfg.Discovery.locations(cfg.Issuer)
	}
	return s, nil
}

func (cfg Config) newClient(f *faults) *fetch.Client {
	if !cfg.PublicOnly {
		return fetch.NewClient(cfg.HTTPClient)
	}
	c, err := fetch.NewGuardedClient(cfg.HTTPClient)
	if err != nil {
		f.add("HTTPClient cannot be held to what PublicOnly asks: %w; leave it nil, or give an *http.Transport without Proxy and dial functions", err)
	}
	for _, a := range []struct{ field, address string }{{"Issuer", cfg.Issuer}, {"URL", cfg.URL}} {
		if notPublic(a.address) {
			f.add("%s is at an address that is not public, which PublicOnly refuses: correct it, or unset PublicOnly if it is your own choice", a.field)
		}
	}
	return c
}

func (cfg Config) checkSource(f *faults, insecure insecureHosts) {
	switch {
	case cfg.Issuer == "" && cfg.URL == "" && cfg.File == "":
		f.add("Issuer, URL and File are all empty: set Issuer for discovery, URL to the address of the key set, or File to its path")
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
