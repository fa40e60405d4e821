// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"
)

// growths are the sizes that grow, with the words of tables and charts.
var growths = []struct{ by, title string }{
	{"bytes", "Bytes of the token"},
	{"keys", "Keys in the set"},
	{"issuers", "Issuers joined"},
	{"scopes", "Scopes in the token"},
	{"cached", "Tokens in the cache"},
}

func growthName(by, path, n string) string { return "Growth/by=" + by + "/path=" + path + "/n=" + n }

// Growth is one table for each size that grows.
func (r *report) Growth() string {
	measured := r.values("Growth", "by")
	if len(measured) == 0 {
		return notMeasured("Growth")
	}
	var parts, lacking []string
	for _, g := range growths {
		if sizes := r.values("Growth", "n", "by="+g.by); len(sizes) > 0 {
			parts = append(parts, r.growthTable(g.by, g.title, sizes))
		} else {
			lacking = append(lacking, g.by)
		}
	}
	return strings.Join(parts, "\n") + absent("growth by", lacking)
}

func (r *report) growthTable(by, title string, sizes []string) string {
	paths := r.values("Growth", "path", "by="+by)
	heads := []string{title}
	for _, path := range paths {
		heads = append(heads, pathTitle(path), "Of the first row")
	}
	heap := len(r.points(by, "seen", "heap-B/token")) > 0
	if heap {
		heads = append(heads, "Heap per token, bytes")
	}
	t := newTable(1, heads...)
	for _, n := range sizes {
		cells := []string{count(n)}
		for _, path := range paths {
			name, first := growthName(by, path, n), growthName(by, path, sizes[0])
			cells = append(cells, r.one(name, "ns/op").text(nanoseconds), r.share(name, first, "ns/op").text(ratio))
		}
		if heap {
			cells = append(cells, r.one(growthName(by, "seen", n), "heap-B/token").text(grouped))
		}
		t.row(cells...)
	}
	return t.String()
}

func pathTitle(path string) string {
	switch path {
	case "first":
		return "First sight"
	case "seen":
		return "Seen before"
	}
	return path
}

// count writes the n of a name with commas.
func count(n string) string {
	v, err := strconv.ParseFloat(n, 64)
	if err != nil {
		return n
	}
	return grouped(v)
}

// growthChart is the picture of all tables of [report.Growth].
func (r *report) growthChart() chart {
	var panels []panel
	for _, g := range growths {
		times := panel{title: g.title, unit: "ns"}
		for _, path := range r.values("Growth", "path", "by="+g.by) {
			times.add(pathTitle(path), pathColor(path), r.points(g.by, path, "ns/op"))
		}
		heap := panel{title: "Heap by " + strings.ToLower(g.title), unit: "B/token"}
		heap.add("Heap, bytes per token", "#bf8700", r.points(g.by, "seen", "heap-B/token"))
		for _, p := range []panel{times, heap} {
			if len(p.series) > 0 {
				panels = append(panels, p)
			}
		}
	}
	if len(panels) == 0 {
		return chart{}
	}
	title := "Time and memory as things grow"
	return chart{"growth", title, lines(title, panels)}
}

func pathColor(path string) string {
	if path == "seen" {
		return colorOwn
	}
	return colorPeer
}

func (r *report) points(by, path, unit string) []xy {
	var list []xy
	for _, n := range r.values("Growth", "n", "by="+by, "path="+path) {
		x, err := strconv.ParseFloat(n, 64)
		if s := r.one(growthName(by, path, n), unit); err == nil && s.known() {
			list = append(list, xy{x, s.median})
		}
	}
	return list
}

// firstSightChart shows the ratios of the smallest tokens measured, for algorithms
// whose signature check is most of the work.
func (r *report) firstSightChart() chart {
	sizes := r.values("FirstSight", "size")
	if len(sizes) == 0 {
		return chart{}
	}
	var groups []barGroup
	for _, alg := range r.values("FirstSight", "alg") {
		if strings.HasPrefix(alg, "HS") {
			continue
		}
		g := barGroup{title: alg}
		impls, _ := orderRows(sightImpls, r.values("FirstSight", "impl", "alg="+alg, "size="+sizes[0]))
		for _, impl := range impls {
			g.add(impl, r.over(func(p turn) float64 { return p.toCrypto(alg, sizes[0], impl) }))
		}
		groups = append(groups, g)
	}
	title := fmt.Sprintf("First sight of a token of %s bytes: time in bare signature checks", sizes[0])
	return chart{"first-sight", title, bars(title, ratio, groups)}
}

// requestsChart shows what a guard costs the server for each request.
func (r *report) requestsChart() chart {
	var groups []barGroup
	found, _ := orderRows(frameworks, r.values("HTTP", "framework"))
	for _, framework := range found {
		for _, tokens := range r.values("HTTP", "tokens", "framework="+framework) {
			g := barGroup{title: framework + ", tokens: " + tokens}
			impls, _ := orderRows(routeImpls, r.values("HTTP", "impl", "framework="+framework, "tokens="+tokens))
			for _, impl := range impls {
				if impl != "unprotected" {
					g.add(impl, r.above(routeName("HTTP", framework, tokens, impl), unprotectedName("HTTP", framework, tokens), "server-cpu-ns/op"))
				}
			}
			groups = append(groups, g)
		}
	}
	title := "Server CPU of a request above that of the unprotected route"
	return chart{"requests", title, bars(title, nanoseconds, groups)}
}
