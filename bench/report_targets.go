// SPDX-License-Identifier: Apache-2.0

package main

import "fmt"

// target is a promise and what was reached.
type target struct {
	what    string
	atLeast bool // else at most
	bound   float64
	format  func(float64) string
	got     stat
}

const (
	targetAlg, targetSize = "RS256", "900"

	maxNoCache, maxCache = 1.08, 1.12
	maxAboveShare        = 0.25
	maxSightAllocs       = 18
	maxSeen              = 1000 // ns
	maxSeenAllocs        = 1
	minFaster            = 25
	minScaling           = 1.8
	maxServerCPU         = 1500 // ns
	minShareOne          = 0.88
	minShareMany         = 0.84
)

var targetAlgs = []string{"RS256", "PS256", "ES256", "ES384", "EdDSA"}

// Targets is the table of all promises.
func (r *report) Targets() string {
	t := newTable(1, "Target", "Promised", "Reached", "")
	var lacking []string
	for _, goal := range r.targets() {
		if !goal.got.known() {
			lacking = append(lacking, goal.what+";")
			continue
		}
		t.row(goal.what, goal.promise(), goal.got.text(goal.format), goal.verdict())
	}
	return t.String() + absent("the targets", lacking)
}

func (g target) promise() string {
	if g.atLeast {
		return "≥ " + g.format(g.bound)
	}
	return "≤ " + g.format(g.bound)
}

// met compares the median itself, not what is printed of it.
func (g target) met() bool { return g.holds(g.got.median) }

func (g target) holds(v float64) bool {
	if g.atLeast {
		return v >= g.bound
	}
	return v <= g.bound
}

// verdict also says where the passes disagree.
func (g target) verdict() string {
	all := g.holds(g.got.least) && g.holds(g.got.most)
	one := g.holds(g.got.least) || g.holds(g.got.most)
	switch {
	case all:
		return "met"
	case g.met():
		return "met, not by each pass"
	case one:
		return "**not met**, but by some passes"
	}
	return "**not met**"
}

func (r *report) targets() []target {
	var list []target
	for _, alg := range targetAlgs {
		list = append(list, r.sightTarget(alg, "bearerguard-nocache", "off", maxNoCache), r.sightTarget(alg, "bearerguard", "on", maxCache))
	}
	for _, impl := range []struct{ name, cache string }{{"bearerguard-nocache", "off"}, {"bearerguard", "on"}} {
		list = append(list,
			target{fmt.Sprintf("first sight, %s, cache %s: time above crypto, of golang-jwt's", targetAlg, impl.cache), false, maxAboveShare, ratio,
				r.overPasses(func(p *pass) float64 { return p.aboveShare(targetAlg, targetSize, impl.name) })},
			target{fmt.Sprintf("first sight, %s, cache %s: allocations", targetAlg, impl.cache), false, maxSightAllocs, grouped,
				r.over(func(p turn) float64 { return p.allocs(sightName(targetAlg, targetSize, impl.name)) })})
	}
	for _, tokens := range []string{"1", "1000"} {
		list = append(list, r.seenTargets(tokens)...)
	}
	for _, framework := range frameworks {
		list = append(list, r.routeTargets(framework, "1", minShareOne)...)
		list = append(list, r.routeTargets(framework, "1000", minShareMany)...)
	}
	return list
}

func (r *report) sightTarget(alg, impl, cache string, bound float64) target {
	return target{fmt.Sprintf("first sight, %s, cache %s: time over crypto", alg, cache), false, bound, ratio,
		r.over(func(p turn) float64 { return p.toCrypto(alg, targetSize, impl) })}
}

func (r *report) seenTargets(tokens string) []target {
	name, peers := seenName(targetAlg, targetSize, tokens, "bearerguard"), r.seenPeers(targetAlg, targetSize, tokens)
	what := fmt.Sprintf("seen before, %s: ", times(tokens, "token"))
	return []target{
		{what + "time", false, maxSeen, nanoseconds, r.over(func(p turn) float64 { return p.ns(name) })},
		{what + "allocations", false, maxSeenAllocs, grouped, r.over(func(p turn) float64 { return p.allocs(name) })},
		{what + "times faster than the fastest peer", true, minFaster, ratio, r.over(func(p turn) float64 { return p.fastest(peers) / p.ns(name) })},
		{what + "two cores over one", true, minScaling, ratio, r.over(func(p turn) float64 { return p.scaling(name) })},
	}
}

func (r *report) routeTargets(framework, tokens string, least float64) []target {
	name, base := routeName("HTTP", framework, tokens, "bearerguard"), unprotectedName("HTTP", framework, tokens)
	what := fmt.Sprintf("request, %s, %s seen before: ", framework, times(tokens, "token"))
	return []target{
		{what + "server CPU above unprotected", false, maxServerCPU, nanoseconds, r.above(name, base, "server-cpu-ns/op")},
		{what + "throughput, of unprotected", true, least, ratio, r.share(name, base, "req/s")},
	}
}
