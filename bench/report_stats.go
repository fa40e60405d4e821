// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"slices"
	"strings"
)

// report is what some passes say.
type report struct {
	passes   []*pass
	profiles map[string]string // what keepProfiles has stored, by file name
}

// turn is a pass of which only the n-th run of each benchmark counts. What is compared
// ran in turn, so that all of a turn met the machine in one mood.
type turn struct {
	*pass
	n int
}

// get is one measured value, or NaN where it was not measured. NaN goes through every
// calculation, so that nothing is made of a value that is not there.
func (p turn) get(name string, procs int, unit string) float64 {
	if runs := p.runs[point{name, procs}]; p.n < len(runs) {
		if v, ok := runs[p.n][unit]; ok {
			return v
		}
	}
	return math.NaN()
}

// value is one on one core. Servers, and those who send them requests, have one each.
func (p turn) value(name, unit string) float64 { return p.get(name, 1, unit) }

// ns is the time of an operation on one core.
func (p turn) ns(name string) float64 { return p.value(name, "ns/op") }

// allocs is the number of allocations of an operation on one core.
func (p turn) allocs(name string) float64 { return p.value(name, "allocs/op") }

// scaling is how many times as many operations two cores do as one.
func (p turn) scaling(name string) float64 { return p.ns(name) / p.get(name, 2, "ns/op") }

// stat is a value over all passes.
type stat struct{ median, least, most float64 }

var unknown = stat{math.NaN(), math.NaN(), math.NaN()}

func (s stat) known() bool { return !math.IsNaN(s.median) }

// over calculates f in each turn, and takes the median of the turns of a pass and then
// that of the passes: both halves of a ratio come from the same turn, so what slowed the
// whole machine down cancels out.
func (r *report) over(f func(p turn) float64) stat {
	return r.overPasses(func(p *pass) float64 { return p.median(f) })
}

// overPasses is over for what is calculated from medians.
func (r *report) overPasses(f func(p *pass) float64) stat {
	var list []float64
	for _, p := range r.passes {
		list = append(list, f(p))
	}
	if len(list) == 0 || slices.ContainsFunc(list, math.IsNaN) {
		return unknown
	}
	return stat{median(list), slices.Min(list), slices.Max(list)}
}

// median is that of f in all turns that have what it needs.
func (p *pass) median(f func(p turn) float64) float64 {
	var list []float64
	for n := range p.most() {
		if v := f(turn{p, n}); !math.IsNaN(v) {
			list = append(list, v)
		}
	}
	return median(list)
}

func median(list []float64) float64 {
	if len(list) == 0 {
		return math.NaN()
	}
	list = slices.Sorted(slices.Values(list))
	n := len(list)
	return (list[(n-1)/2] + list[n/2]) / 2
}

// values lists what stands for key in the names of a benchmark whose other pairs
// include those given, in the order in which they ran: values("Seen", "impl", "tokens=1").
func (r *report) values(benchmark, key string, pairs ...string) []string {
	var list []string
	if len(r.passes) == 0 {
		return nil
	}
	for _, at := range r.passes[0].order {
		parts := strings.Split(at.name, "/")
		if parts[0] != benchmark || !containsAll(parts, pairs) {
			continue
		}
		for _, part := range parts[1:] {
			k, v, _ := strings.Cut(part, "=")
			if k == key && !slices.Contains(list, v) {
				list = append(list, v)
			}
		}
	}
	return list
}

func containsAll(parts, wanted []string) bool {
	for _, w := range wanted {
		if !slices.Contains(parts, w) {
			return false
		}
	}
	return true
}

// fastest is the least time of several benchmarks in one turn, of those it has.
func (p turn) fastest(names []string) float64 {
	least := math.NaN()
	for _, name := range names {
		if v := p.ns(name); math.IsNaN(least) || v < least {
			least = v
		}
	}
	return least
}
