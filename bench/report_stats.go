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

// get is one measured value, or NaN where it was not measured. NaN goes through every
// calculation, so that nothing is made of a value that is not there.
func (p *pass) get(name string, procs int, unit string) float64 {
	if v, ok := p.values[point{name, procs}][unit]; ok {
		return v
	}
	return math.NaN()
}

// ns is the time of an operation on one core.
func (p *pass) ns(name string) float64 { return p.get(name, 1, "ns/op") }

// allocs is the number of allocations of an operation on one core.
func (p *pass) allocs(name string) float64 { return p.get(name, 1, "allocs/op") }

// scaling is how many times as many operations two cores do as one.
func (p *pass) scaling(name string) float64 { return p.ns(name) / p.get(name, 2, "ns/op") }

// served is a value of a server in its own process, on one core whatever the client had.
func (p *pass) served(name, unit string) float64 {
	if v := p.get(name, 1, unit); !math.IsNaN(v) {
		return v
	}
	return p.get(name, 2, unit)
}

// stat is a value over all passes.
type stat struct{ median, least, most float64 }

var unknown = stat{math.NaN(), math.NaN(), math.NaN()}

func (s stat) known() bool { return !math.IsNaN(s.median) }

// over calculates f in each pass and then takes the median: both halves of a ratio
// come from the same pass, so what slowed the whole machine down cancels out.
func (r *report) over(f func(p *pass) float64) stat {
	var list []float64
	for _, p := range r.passes {
		v := f(p)
		if math.IsNaN(v) {
			return unknown
		}
		list = append(list, v)
	}
	if len(list) == 0 {
		return unknown
	}
	slices.Sort(list)
	n := len(list)
	return stat{(list[(n-1)/2] + list[n/2]) / 2, list[0], list[n-1]}
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

// fastest is the least time of several benchmarks in one pass, of those it has.
func (p *pass) fastest(names []string) float64 {
	least := math.NaN()
	for _, name := range names {
		if v := p.ns(name); math.IsNaN(least) || v < least {
			least = v
		}
	}
	return least
}
