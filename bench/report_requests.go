// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
)

// routeName is one benchmark of whole requests: Middleware or HTTP.
func routeName(benchmark, framework, tokens, impl string) string {
	return benchmark + "/framework=" + framework + "/tokens=" + tokens + "/impl=" + impl
}

// unprotectedName is the benchmark of the same handler without a guard.
func unprotectedName(benchmark, framework, tokens string) string {
	return routeName(benchmark, framework, tokens, "unprotected")
}

// above is what a protected route costs more than the unprotected one.
func (r *report) above(name, base, unit string) stat {
	return r.over(func(p turn) float64 { return p.value(name, unit) - p.value(base, unit) })
}

// share is a value in that of another benchmark.
func (r *report) share(name, base, unit string) stat {
	return r.over(func(p turn) float64 { return p.value(name, unit) / p.value(base, unit) })
}

func (r *report) one(name, unit string) stat {
	return r.over(func(p turn) float64 { return p.value(name, unit) })
}

// Middleware is the table of requests without a network.
func (r *report) Middleware() string {
	heads := []string{"In process", "Tokens", "Guard", "Time", "Above unprotected", "Allocations above"}
	return r.routes("Middleware", heads, func(name, base string) []string {
		return []string{
			r.one(name, "ns/op").text(nanoseconds),
			r.above(name, base, "ns/op").text(nanoseconds),
			r.above(name, base, "allocs/op").text(grouped),
		}
	})
}

// busy is the share of its core that a server was using. Well below 1, it waited for
// requests, and its throughput says less about it than about those who sent them.
func (p turn) busy(name string) float64 {
	return p.value(name, "req/s") * p.value(name, "server-cpu-ns/op") / 1e9
}

// HTTP is the table of requests to a server in its own process.
func (r *report) HTTP() string {
	heads := []string{"Over HTTP", "Tokens", "Guard", "Requests/s", "Of unprotected", "Server CPU", "Above unprotected", "Core in use", "Allocations above"}
	return r.routes("HTTP", heads, func(name, base string) []string {
		return []string{
			r.one(name, "req/s").text(grouped),
			r.share(name, base, "req/s").text(ratio),
			r.one(name, "server-cpu-ns/op").text(nanoseconds),
			r.above(name, base, "server-cpu-ns/op").text(nanoseconds),
			r.over(func(p turn) float64 { return p.busy(name) }).text(ratio),
			r.above(name, base, "allocs/op").text(grouped),
		}
	})
}

// routes writes one row for each framework, number of tokens and guard. The cells of
// the unprotected rows that compare are left empty.
func (r *report) routes(benchmark string, heads []string, cells func(name, base string) []string) string {
	found, lacking := orderRows(frameworks, r.values(benchmark, "framework"))
	if len(found) == 0 {
		return notMeasured(benchmark)
	}
	t := newTable(3, heads...)
	for _, framework := range found {
		for _, tokens := range r.values(benchmark, "tokens", "framework="+framework) {
			impls, _ := orderRows(routeImpls, r.values(benchmark, "impl", "framework="+framework, "tokens="+tokens))
			base := unprotectedName(benchmark, framework, tokens)
			for _, impl := range impls {
				name := routeName(benchmark, framework, tokens, impl)
				row := cells(name, base)
				for i, head := range heads[3:] {
					if name == base && (strings.Contains(head, "bove") || strings.HasPrefix(head, "Of ")) {
						row[i] = ""
					}
				}
				t.row(slices.Concat([]string{framework, tokens, impl}, row)...)
			}
		}
	}
	_, guards := orderRows(routeImpls, r.values(benchmark, "impl"))
	return t.String() + absent("frameworks", lacking) + absent("guards", guards)
}

// Floods compares the good requests that a server answers while half of all
// connections send garbage with those it answers beside harmless ones.
func (r *report) Floods() string {
	kinds, lacking := orderRows(floodKinds, r.values("Flood", "kind"))
	if len(r.values("Flood", "kind")) == 0 {
		return notMeasured("Flood")
	}
	t := newTable(2, "The other half sends", "Guard", "Good requests/s", "Of those beside good tokens", "Of those beside no credentials", "Others answered/s")
	for _, kind := range kinds {
		impls, _ := orderRows(routeImpls, r.values("Flood", "impl", "kind="+kind))
		for _, impl := range impls {
			name := floodName(kind, impl)
			beside := func(other string) string { return r.share(name, floodName(other, impl), "req/s").text(ratio) }
			t.row(kind, impl, r.one(name, "req/s").text(grouped), beside("good"), beside("none"), r.one(name, "flood-req/s").text(grouped))
		}
	}
	return t.String() + absent("kinds of floods", lacking)
}

func floodName(kind, impl string) string { return "Flood/kind=" + kind + "/impl=" + impl }
