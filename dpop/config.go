// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/verifier"
)

// Config describes a [Verifier]. [New] copies it and reports every fault at once.
type Config struct {
	// Origins are the origins by which clients reach this API, such as
	// https://api.example.com, each with the path prefix that a proxy cuts off, if any:
	// https://api.example.com/orders. Required: what a request says about its own origin
	// can be forged (RFC 9449 §4.3, RFC 9700 §4.13).
	Origins []string
	// Algorithms is the allowlist of proofs, in the order in which clients are told.
	// nil means ES256, PS256, EdDSA and Ed25519. Only asymmetric ones can be listed.
	Algorithms []string
	// MaxAge is how old iat may be while nonces are off (RFC 9449 §11.1). 0 means 60 s;
	// from 5 s to 300 s.
	MaxAge time.Duration
	// MaxFuture is how far iat may lie ahead of this clock while nonces are off. 0 means
	// 30 s, negative none; at most 60 s.
	MaxFuture time.Duration
	// Nonces, if set, demands a nonce of this server in every proof, which then alone
	// decides about freshness (RFC 9449 §9). nil neither sends nor looks at nonces.
	Nonces *Nonces
	// Replays remembers used proofs. nil means a [Memory] of its own with the default
	// size, which protects one process only: replicas need a store that they share.
	Replays ReplayStore
	// InsecureLoopback admits origins with http for loopback hosts, for development.
	InsecureLoopback bool
	// Now is the clock. nil means time.Now. Safe for concurrent use.
	Now func() time.Time
}

const (
	defaultAge    = 60 * time.Second
	defaultFuture = 30 * time.Second
	maxProofBytes = 8192
	maxIDBytes    = 256
)

// usual are the algorithms of proofs unless set.
var usual = []string{"ES256", "PS256", "EdDSA", "Ed25519"}

// Verifier checks proofs. It is immutable and safe for concurrent use. The zero value
// and nil refuse every proof with [verifier.ErrConfig].
type Verifier struct {
	origins    []origin
	algorithms []string
	age        time.Duration
	future     time.Duration
	nonces     *Nonces
	replays    ReplayStore
	now        func() time.Time
}

// origin is one allowed origin: what is put before a path, and the authority by which a
// Host header selects it.
type origin struct{ base, authority string }

// New makes a Verifier. It does no I/O. The error is of class [verifier.ErrConfig] and
// lists every fault, each naming the field and the remedy.
func New(cfg Config) (*Verifier, error) {
	var faults []error
	fault := func(field, format string, args ...any) {
		faults = append(faults, fmt.Errorf("dpop.Config."+field+": "+format, args...))
	}
	v := &Verifier{age: cfg.MaxAge, future: cfg.MaxFuture, nonces: cfg.Nonces, replays: cfg.Replays, now: cfg.Now}
	v.origins = readOrigins(cfg, fault)
	v.algorithms = readAlgorithms(cfg.Algorithms, fault)
	v.readWindow(fault)
	if v.now == nil {
		v.now = time.Now
	}
	switch {
	case cfg.Replays == nil:
		v.replays, _ = newMemory(0, v.now) // fails for sizes out of range only
	case hook.Nil(cfg.Replays):
		fault("Replays", "a nil pointer: set a store, or leave the field out")
	}
	if len(faults) > 0 {
		return nil, &verifier.Error{Class: verifier.ErrConfig, Cause: errors.Join(faults...)}
	}
	return v, nil
}

type faultFunc func(field, format string, args ...any)

func (v *Verifier) readWindow(fault faultFunc) {
	switch {
	case v.age == 0:
		v.age = defaultAge
	case v.age < 5*time.Second || v.age > 300*time.Second:
		fault("MaxAge", "%v is not from 5 s to 300 s", v.age)
	}
	switch {
	case v.future == 0:
		v.future = defaultFuture
	case v.future < 0:
		v.future = 0
	case v.future > 60*time.Second:
		fault("MaxFuture", "%v is more than 60 s", v.future)
	}
}

func readAlgorithms(list []string, fault faultFunc) []string {
	if list == nil {
		return usual
	}
	if len(list) == 0 {
		fault("Algorithms", "empty: list an algorithm, or leave the field out")
	}
	for i, alg := range list {
		switch {
		case !slices.Contains(jose.DefaultAlgorithms(), alg):
			fault("Algorithms", "%q cannot sign a proof: use asymmetric ones of %s (RFC 9449 §4.3)", alg, strings.Join(jose.DefaultAlgorithms(), ", "))
		case slices.Contains(list[:i], alg):
			fault("Algorithms", "%q occurs twice: remove one", alg)
		}
	}
	return slices.Clone(list)
}

func readOrigins(cfg Config, fault faultFunc) []origin {
	if len(cfg.Origins) == 0 {
		fault("Origins", "missing: set it to the origin that clients put into htu, such as https://api.example.com")
	}
	var list []origin
	for i, s := range cfg.Origins {
		o, err := readOrigin(s, cfg.InsecureLoopback)
		if err != nil {
			fault("Origins", "number %d %w", i, err)
			continue
		}
		if slices.ContainsFunc(list, func(other origin) bool { return other.authority == o.authority }) {
			fault("Origins", "number %d has the host and port of another one, so that a request could not tell them apart: remove one, or use two Guards", i)
		}
		list = append(list, o)
	}
	return list
}

func readOrigin(s string, loopback bool) (origin, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || strings.ContainsAny(s, "?#") {
		return origin{}, errors.New("is not an absolute URL without query and fragment: write it as https://api.example.com")
	}
	base, err := normalize(s)
	if err != nil {
		return origin{}, fmt.Errorf("cannot be an origin (%w): write it as https://api.example.com", err)
	}
	base = strings.TrimSuffix(base, "/")
	scheme, rest, _ := strings.Cut(base, "://")
	if scheme != "https" && (!loopback || !isLoopback(u.Hostname())) {
		return origin{}, errors.New("is not https: use https; http is for loopback hosts, with InsecureLoopback (RFC 9700 §2.6)")
	}
	authority, _, _ := strings.Cut(rest, "/")
	return origin{base: base, authority: authority}, nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

// Algorithms returns the allowlist in its order, for algs of a challenge (RFC 9449 §7.1).
func (v *Verifier) Algorithms() []string {
	if v == nil {
		return nil
	}
	return slices.Clone(v.algorithms)
}

// Nonce returns a fresh nonce for the DPoP-Nonce field of a response; "" while nonces are
// off.
func (v *Verifier) Nonce() string {
	if v == nil || v.nonces == nil {
		return ""
	}
	return v.nonces.Make()
}
