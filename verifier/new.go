// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/internal/scopetoken"
)

const (
	defaultLeeway   = 30 * time.Second
	maxLeeway       = 300 * time.Second
	defaultMaxBytes = 16_384
	minMaxBytes     = 1_024
	maxMaxBytes     = 65_536
	defaultEntries  = 4_096
	maxEntries      = 1_000_000
	bytesPerEntry   = 4_096
	minCacheBytes   = 65_536
)

// faults collects everything that is wrong with a configuration, so that it can
// be mended in one go.
type faults []error

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Errorf(format, args...)) }

// field adds a fault of a field of Config, whose name format begins with.
func (f *faults) field(format string, args ...any) { f.add("verifier.Config."+format, args...) }

func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return &Error{Class: ErrConfig, Cause: errors.Join(f...)}
}

func newIssuer(cfg Config) (*issuer, error) {
	var f faults
	checkAlgorithms(&f, cfg.Algorithms)
	return buildIssuer(&f, cfg, jose.DefaultAlgorithms())
}

// buildIssuer checks the rest of cfg and makes the issuer; defaults are the
// algorithms if cfg names none.
func buildIssuer(f *faults, cfg Config, defaults []string) (*issuer, error) {
	checkIssuerName(f, cfg)
	checkAudience(f, cfg)
	checkProfile(f, cfg)
	checkNumbers(f, cfg)
	checkMapping(f, cfg.Mapping)
	checkRequired(f, cfg.RequiredClaims)
	names := namesOf(cfg.Mapping)
	algorithms := cfg.Algorithms
	if len(algorithms) == 0 {
		algorithms = defaults
	}
	name := strings.Clone(cfg.Issuer)
	is := &issuer{
		name:          cfg.Issuer,
		hint:          &name,
		keys:          cfg.Keys,
		algorithms:    algorithmSet(algorithms),
		types:         types(cfg),
		marks:         marks(cfg),
		audience:      setOf(cfg.Audience),
		skipAud:       cfg.UnsafeSkipAudience,
		unsafeBinding: cfg.UnsafeAcceptUnverifiedBinding,
		revoked:       cfg.Revoked,
		required:      paths(required(cfg), names),
		names:         names,
		demands:       copyDemands(cfg.RequiredClaims),
		leeway:        orDefault(cfg.Leeway, defaultLeeway),
		maxBytes:      orDefault(cfg.MaxTokenBytes, defaultMaxBytes),
		now:           cfg.Now,
		onEvent:       cfg.OnEvent,
		cache:         tokenCache{entries: orDefault(cfg.CacheEntries, defaultEntries), bytes: cacheBytes(cfg)},
	}
	if len(cfg.Clients) > 0 {
		is.clients = setOf(cfg.Clients)
	}
	is.implies = checkImplies(f, cfg.Implies)
	checkKeys(f, cfg, is.algorithms)
	if err := f.err(); err != nil {
		return nil, err
	}
	return is, warn(cfg)
}

// orDefault reads a number whose zero value is the default and whose negative
// values mean none.
func orDefault[T int | time.Duration](v, def T) T {
	switch {
	case v == 0:
		return def
	case v < 0:
		return 0
	}
	return v
}

func cacheBytes(cfg Config) int {
	entries := orDefault(cfg.CacheEntries, defaultEntries)
	return orDefault(cfg.CacheBytes, min(entries, math.MaxInt/bytesPerEntry)*bytesPerEntry)
}

// anyAlgorithm is what issuers without a list of their own share.
var anyAlgorithm = setOf(jose.DefaultAlgorithms())

func algorithmSet(list []string) map[string]bool {
	if slices.Equal(list, jose.DefaultAlgorithms()) {
		return anyAlgorithm
	}
	return setOf(list)
}

func setOf(list []string) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, s := range list {
		set[s] = true
	}
	return set
}

// warn reports the settings that switch a check off, once.
func warn(cfg Config) error {
	for _, w := range []struct {
		set  bool
		text string
	}{
		{cfg.UnsafeSkipAudience, "UnsafeSkipAudience is set: tokens that the issuer made for other APIs are accepted here"},
		{cfg.UnsafeAcceptUnverifiedBinding, "UnsafeAcceptUnverifiedBinding is set: a stolen token that is bound to a key or certificate is accepted where nothing checks the binding"},
	} {
		if !w.set {
			continue
		}
		if err := emit(cfg.OnEvent, Event{Kind: EventWarning, Issuer: cfg.Issuer, Cause: errors.New(w.text)}); err != nil {
			return err
		}
	}
	return nil
}

// checkIssuerName: an issuer identifier is an https URL without query or fragment
// (RFC 8414 §2). What a discovering source has checked itself need not be checked
// again; what is only compared may be any string, but only under ProfileJWT.
func checkIssuerName(f *faults, cfg Config) {
	switch {
	case cfg.Issuer == "":
		f.field("Issuer is empty: set it to the iss of the issuer's tokens")
		return
	case strings.ContainsAny(cfg.Issuer, "{}"):
		f.field("Issuer is a template: give the identifier of one issuer; use Join for several")
		return
	case sourceIssuer(cfg.Keys) == cfg.Issuer, cfg.Profile == ProfileJWT:
		return
	}
	u, err := url.Parse(cfg.Issuer)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(cfg.Issuer, "?#") {
		f.field("Issuer is not an https URL without userinfo, query and fragment: correct it; for http in development give jwkscache.Config its Issuer and InsecureHosts; for an issuer older than RFC 9068 set Profile to ProfileJWT, which loosens the checks of claims as well")
	}
}

func sourceIssuer(keys KeySource) string {
	if hook.Nil(keys) {
		return ""
	}
	src, ok := keys.(interface{ Issuer() string })
	if !ok {
		return ""
	}
	return src.Issuer()
}

func checkAudience(f *faults, cfg Config) {
	if slices.Contains(cfg.Audience, "") {
		f.field("Audience holds an empty string: remove it (an unset environment variable?)")
	}
	if slices.Contains(cfg.Clients, "") {
		f.field("Clients holds an empty string: remove it (an unset environment variable?)")
	}
	relaxed := len(cfg.Clients) > 0 || cfg.UnsafeSkipAudience
	switch {
	case relaxed && cfg.Profile != ProfileJWT:
		f.field("Clients and UnsafeSkipAudience need Profile ProfileJWT: RFC 9068 tokens have an aud")
	case len(cfg.Clients) > 0 && cfg.UnsafeSkipAudience, relaxed && len(cfg.Audience) > 0:
		f.field("Audience, Clients and UnsafeSkipAudience exclude each other: set one of them")
	case !relaxed && len(cfg.Audience) == 0:
		f.field("Audience is empty: set it to the identifier of this API that the issuer puts into aud")
	}
}

func checkAlgorithms(f *faults, algorithms []string) {
	for i, alg := range algorithms {
		switch {
		case jose.HMAC(alg):
			f.field("Algorithms holds %q: symmetric algorithms need verifier.NewSymmetric and cannot be mixed with public keys", alg)
		case !slices.Contains(jose.DefaultAlgorithms(), alg):
			f.field("Algorithms holds %q: use one of %s", alg, strings.Join(jose.DefaultAlgorithms(), ", "))
		case slices.Contains(algorithms[:i], alg):
			f.field("Algorithms holds %q twice: remove one", alg)
		}
	}
}

// optional lists the claims that an issuer may be allowed to leave out.
var optional = []string{"sub", "client_id", "iat", "jti"}

func required(cfg Config) []string {
	if cfg.Profile == ProfileJWT {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(optional), func(name string) bool {
		return slices.Contains(cfg.OptionalClaims, name)
	})
}

// kindMarks are the claims by which other kinds of JWT give themselves away:
// OpenID Connect ID tokens, security events, introspection responses, status
// lists, DPoP proofs (RFC 8725 §3.12, RFC 9701 §8.1).
var kindMarks = []string{
	"nonce", "at_hash", "c_hash", "s_hash", "events", "token_introspection",
	"status_list", "htm", "htu", "token_use", "typ",
}

func marks(cfg Config) []string {
	if cfg.Profile != ProfileJWT && len(cfg.TokenTypes) == 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(kindMarks), func(name string) bool {
		return slices.Contains(cfg.AllowedMarks, name)
	})
}

// strictTypes is what all issuers of RFC 9068 share: there can be thousands.
var strictTypes = map[string]bool{"at+jwt": true}

func types(cfg Config) map[string]bool {
	if cfg.Profile == RFC9068 && len(cfg.TokenTypes) == 0 {
		return strictTypes
	}
	accepted := map[string]bool{"at+jwt": true}
	if cfg.Profile == ProfileJWT {
		accepted["jwt"], accepted[""] = true, true
	}
	for _, typ := range cfg.TokenTypes {
		accepted[mediaType(typ)] = true
	}
	return accepted
}

// foreignTypes name kinds of JWT that are never access tokens.
var foreignTypes = map[string]bool{
	"dpop+jwt": true, "token-introspection+jwt": true, "logout+jwt": true, "secevent+jwt": true,
	"oauth-authz-req+jwt": true, "entity-statement+jwt": true, "statuslist+jwt": true, "id_token+jwt": true,
}

func checkProfile(f *faults, cfg Config) {
	if cfg.Profile != RFC9068 && cfg.Profile != ProfileJWT {
		f.field("Profile has no such value: use verifier.RFC9068 or verifier.ProfileJWT")
	}
	for _, typ := range cfg.TokenTypes {
		switch kind := mediaType(typ); {
		case foreignTypes[kind]:
			f.field("TokenTypes holds %q, which marks another kind of token: remove it", typ)
		case kind == "" && typ != "", strings.ContainsAny(kind, " \t\r\n;,"):
			f.field("TokenTypes holds %q, which is not one media type without parameters: correct it, or use \"\" for no typ", typ)
		}
	}
	for _, name := range cfg.OptionalClaims {
		if !slices.Contains(optional, name) {
			f.field("OptionalClaims holds %q: only %s can be optional", name, strings.Join(optional, ", "))
		}
	}
	for _, name := range cfg.AllowedMarks {
		if !slices.Contains(kindMarks, name) {
			f.field("AllowedMarks holds %q: the list has only %s", name, strings.Join(kindMarks, ", "))
		}
	}
}

func checkNumbers(f *faults, cfg Config) {
	if cfg.Leeway > maxLeeway {
		f.field("Leeway is over %v: set at most that, and correct the clocks", maxLeeway)
	}
	if n := cfg.MaxTokenBytes; n != 0 && (n < minMaxBytes || n > maxMaxBytes) {
		f.field("MaxTokenBytes is outside %d to %d: choose a value inside, or 0 for %d", minMaxBytes, maxMaxBytes, defaultMaxBytes)
	}
	if cfg.CacheEntries > maxEntries {
		f.field("CacheEntries is over %d: choose a smaller value, or 0 for %d", maxEntries, defaultEntries)
	}
	if n := cfg.CacheBytes; n != 0 && n < minCacheBytes {
		f.field("CacheBytes is below %d: choose a larger value, or 0 for %d for each of CacheEntries; a negative CacheEntries turns the cache off", minCacheBytes, bytesPerEntry)
	}
}

func checkImplies(f *faults, implies map[string][]string) implied {
	for _, broad := range slices.Sorted(maps.Keys(implies)) {
		for _, s := range append([]string{broad}, implies[broad]...) {
			if !scopetoken.Valid(s) {
				f.field("Implies holds %q, which is not a scope (RFC 6749 §3.3): correct it", s)
			}
		}
	}
	closed, cycle := closeOver(implies)
	if cycle != "" {
		f.field("Implies goes in a circle at %q: remove one of the steps", cycle)
	}
	return closed
}

// checkKeys looks at what the source says about itself; it does no I/O.
func checkKeys(f *faults, cfg Config, algorithms map[string]bool) {
	if hook.Nil(cfg.Keys) {
		f.field("Keys is nil: set it to a jwkscache.Cache or another source of the issuer's keys")
		return
	}
	if name := sourceIssuer(cfg.Keys); name != "" && name != cfg.Issuer {
		f.field("Keys are those of issuer %q and not of Issuer: use the same identifier in both, to the letter", name)
	}
	fixed, ok := cfg.Keys.(interface{ KeySet() *KeySet })
	if !ok {
		return
	}
	if set := fixed.KeySet(); set.Len() == 0 {
		f.field("Keys has no usable key: check the key's type, size and use")
	} else if !set.fits(algorithms) {
		f.field("Keys has no key for any of Algorithms: configure a matching key or algorithm")
	}
}
