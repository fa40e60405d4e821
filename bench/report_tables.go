// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Known rows, in the order of the tables. Others that were measured come after them.
var (
	sightImpls   = []string{"crypto", "stdlib", "bearerguard", "bearerguard-nocache", "golang-jwt", "go-jose", "go-oidc", "auth0", "jwx-verify", "jwx-parse"}
	seenImpls    = []string{"crypto", "digest", "stdlib", "bearerguard", "golang-jwt", "go-jose"}
	frameworks   = []string{"nethttp", "echo", "gin"}
	routeImpls   = []string{"unprotected", "bearerguard", "auth0", "mcp-go-sdk", "echo-jwt"}
	refusalKinds = []string{"none", "oversized", "malformed", "encrypted", "wrong_alg", "unknown_kid", "wrong_issuer", "bad_signature", "expired", "wrong_scope", "good_new", "good_seen"}
	floodKinds   = []string{"good", "none", "good_new", "oversized", "malformed", "unknown_kid", "bad_signature"}
)

// orderRows sorts what was measured by the known order and lists what is absent.
func orderRows(known, measured []string) (rows, lacking []string) {
	for _, name := range known {
		if slices.Contains(measured, name) {
			rows = append(rows, name)
		} else {
			lacking = append(lacking, name)
		}
	}
	for _, name := range measured {
		if !slices.Contains(known, name) {
			rows = append(rows, name)
		}
	}
	return rows, lacking
}

// notMeasured stands where a whole table would.
func notMeasured(benchmark string) string {
	return fmt.Sprintf("Not measured: `Benchmark%s`.\n", benchmark)
}

func sightName(alg, size, impl string) string {
	return "FirstSight/alg=" + alg + "/size=" + size + "/impl=" + impl
}

func seenName(alg, size, tokens, impl string) string {
	return "Seen/alg=" + alg + "/size=" + size + "/tokens=" + tokens + "/impl=" + impl
}

// toCrypto is how long a first sight takes, in bare signature checks.
func (p turn) toCrypto(alg, size, impl string) float64 {
	return p.ns(sightName(alg, size, impl)) / p.ns(sightName(alg, size, "crypto"))
}

// aboveShare is the time beside the signature check, in that of golang-jwt. Where the latter
// drowns in the noise, there is nothing to compare with.
func (p *pass) aboveShare(alg, size, impl string) float64 {
	above := func(impl string) float64 {
		return p.median(func(p turn) float64 { return p.toCrypto(alg, size, impl) }) - 1
	}
	if whole := above("golang-jwt"); whole > 0 {
		return above(impl) / whole
	}
	return math.NaN()
}

// FirstSight is a table for each size: bare signature checks, then ratios to them.
func (r *report) FirstSight() string {
	return r.bySize(func(size, impl, alg string) string {
		if impl == "crypto" {
			return r.over(func(p turn) float64 { return p.ns(sightName(alg, size, impl)) }).text(nanoseconds)
		}
		return r.over(func(p turn) float64 { return p.toCrypto(alg, size, impl) }).text(ratio)
	})
}

// FirstSightAllocs is the same for allocations.
func (r *report) FirstSightAllocs() string {
	return r.bySize(func(size, impl, alg string) string {
		return r.over(func(p turn) float64 { return p.allocs(sightName(alg, size, impl)) }).text(grouped)
	})
}

// FirstSightAbove is the same for the time above the signature check.
func (r *report) FirstSightAbove() string {
	return r.bySize(func(size, impl, alg string) string {
		if impl == "crypto" || impl == "golang-jwt" {
			return ""
		}
		return r.overPasses(func(p *pass) float64 { return p.aboveShare(alg, size, impl) }).text(ratio)
	})
}

// bySize writes a table of implementations and algorithms for each size of token. A
// cell "" leaves its row out.
func (r *report) bySize(cell func(size, impl, alg string) string) string {
	algs := r.values("FirstSight", "alg")
	if len(algs) == 0 {
		return notMeasured("FirstSight")
	}
	var parts []string
	for _, size := range r.values("FirstSight", "size") {
		t := newTable(1, append([]string{"Tokens of " + size + " bytes"}, algs...)...)
		impls, lacking := orderRows(sightImpls, r.values("FirstSight", "impl", "size="+size))
		for _, impl := range impls {
			cells := []string{impl}
			for _, alg := range algs {
				cells = append(cells, cell(size, impl, alg))
			}
			if cells[1] != "" {
				t.row(cells...)
			}
		}
		parts = append(parts, t.String()+absent("implementations", lacking))
	}
	return strings.Join(parts, "\n")
}

// FirstSightScaling is the same for how many times as many tokens two cores see.
func (r *report) FirstSightScaling() string {
	return r.bySize(func(size, impl, alg string) string {
		return r.over(func(p turn) float64 { return p.scaling(sightName(alg, size, impl)) }).text(ratio)
	})
}

// Seen is the table of tokens that were verified before.
func (r *report) Seen() string {
	t := newTable(3, "Token", "Tokens", "Fastest peer", "Its time", "Bare signature check", "SHA-256 of the token", "This library", "Allocations", "Times faster than the peer", "Two cores over one", "The same of the bare check")
	measured := r.values("Seen", "impl")
	if len(measured) == 0 {
		return notMeasured("Seen")
	}
	for _, alg := range r.values("Seen", "alg") {
		for _, size := range r.values("Seen", "size", "alg="+alg) {
			for _, tokens := range r.values("Seen", "tokens", "alg="+alg, "size="+size) {
				t.row(r.seenRow(alg, size, tokens)...)
			}
		}
	}
	_, lacking := orderRows(seenImpls, measured)
	return t.String() + absent("implementations", lacking)
}

func (r *report) seenRow(alg, size, tokens string) []string {
	name, peers := seenName(alg, size, tokens, "bearerguard"), r.seenPeers(alg, size, tokens)
	fastest := func(p turn) float64 { return p.fastest(peers) }
	crypto := seenName(alg, size, tokens, "crypto")
	return []string{
		alg + ", " + count(size) + " bytes", count(tokens), r.fastestOf(peers),
		r.over(fastest).text(nanoseconds),
		r.one(crypto, "ns/op").text(nanoseconds),
		r.one(seenName(alg, size, tokens, "digest"), "ns/op").text(nanoseconds),
		r.one(name, "ns/op").text(nanoseconds),
		r.over(func(p turn) float64 { return p.allocs(name) }).text(grouped),
		r.over(func(p turn) float64 { return fastest(p) / p.ns(name) }).text(ratio),
		r.over(func(p turn) float64 { return p.scaling(name) }).text(ratio),
		r.over(func(p turn) float64 { return p.scaling(crypto) }).text(ratio),
	}
}

// fastestOf names the implementation with the least median.
func (r *report) fastestOf(names []string) string {
	best, least := missing, unknown
	for _, name := range names {
		if s := r.one(name, "ns/op"); s.known() && (!least.known() || s.median < least.median) {
			best, least = name[strings.LastIndex(name, "=")+1:], s
		}
	}
	return best
}

// seenPeers are the benchmarks of everything that accepts or refuses a whole token:
// all but this library, the bare signature check and the bare digest.
func (r *report) seenPeers(alg, size, tokens string) []string {
	var names []string
	for _, impl := range r.values("Seen", "impl", "alg="+alg, "size="+size, "tokens="+tokens) {
		if impl != "crypto" && impl != "digest" && !strings.HasPrefix(impl, "bearerguard") {
			names = append(names, seenName(alg, size, tokens, impl))
		}
	}
	return names
}

// Refusals compares what is refused with what is accepted.
func (r *report) Refusals() string {
	const kindOf = "Refusal/kind="
	kinds, lacking := orderRows(refusalKinds, r.values("Refusal", "kind"))
	if len(kinds) == 0 {
		return notMeasured("Refusal")
	}
	t := newTable(1, "Request", "Time", "Allocations", "Of good, seen before", "Of good, new")
	for _, kind := range kinds {
		name := kindOf + kind + "/impl=bearerguard"
		beside := func(other string) string {
			return r.over(func(p turn) float64 { return p.ns(name) / p.ns(kindOf+other+"/impl=bearerguard") }).text(ratio)
		}
		t.row(kind,
			r.over(func(p turn) float64 { return p.ns(name) }).text(nanoseconds),
			r.over(func(p turn) float64 { return p.allocs(name) }).text(grouped),
			beside("good_seen"), beside("good_new"))
	}
	return t.String() + absent("kinds of requests", lacking)
}
