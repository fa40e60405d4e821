// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// The colors are readable on light and on dark ground.
const (
	colorText = "#6e7781"
	colorOwn  = "#2da44e"
	colorPeer = "#218bff"
	colorBase = "#8c959f"
	mono      = `font-variant-numeric="tabular-nums"`
)

// svg begins a picture with its title and a description for those who do not see it.
func svg(b *strings.Builder, height int, title, desc string) {
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 %d" role="img" aria-labelledby="title desc" font-family="sans-serif" font-size="12" fill="%s">
<title id="title">%s</title>
<desc id="desc">%s</desc>
<text x="10" y="20" font-size="14" font-weight="bold">%s</text>
`, height, colorText, html.EscapeString(title), html.EscapeString(desc), html.EscapeString(title))
}

// barGroup is a heading and the bars below it.
type barGroup struct {
	title string
	bars  []bar
}

type bar struct {
	label string
	value stat
}

// add leaves out what was not measured.
func (g *barGroup) add(label string, value stat) {
	if value.known() {
		g.bars = append(g.bars, bar{label, value})
	}
}

const (
	barLeft, barWidth = 170, 400
	barStep, barThick = 18, 12
	barHead           = 30
)

// bars draws horizontal bars from 0 on one scale, with a line from the least to the
// most of all passes. It is "" if there is nothing to draw.
func bars(title string, format func(float64) string, groups []barGroup) string {
	height, most, desc := 40, 0.0, []string{}
	for _, g := range groups {
		if len(g.bars) == 0 {
			continue
		}
		height += barHead + len(g.bars)*barStep
		for _, one := range g.bars {
			most = max(most, one.value.most)
			desc = append(desc, fmt.Sprintf("%s, %s: %s.", g.title, one.label, format(one.value.median)))
		}
	}
	if most <= 0 {
		return ""
	}
	var b strings.Builder
	svg(&b, height, title, "Bars, shorter is better. "+strings.Join(desc, " "))
	y := 30
	for _, g := range groups {
		if len(g.bars) > 0 {
			g.draw(&b, y, barWidth/most, format)
			y += barHead + len(g.bars)*barStep
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (g barGroup) draw(b *strings.Builder, y int, scale float64, format func(float64) string) {
	fmt.Fprintf(b, "<text x=\"10\" y=\"%d\" font-weight=\"bold\">%s</text>\n", y+20, html.EscapeString(g.title))
	for i, one := range g.bars {
		top := y + barHead + i*barStep
		middle := float64(top) + barThick/2
		left := func(v float64) float64 { return barLeft + max(v, 0)*scale }
		fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>", barLeft-8, top+10, html.EscapeString(one.label))
		fmt.Fprintf(b, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>", barLeft, top, left(one.value.median)-barLeft, barThick, barColor(one.label))
		fmt.Fprintf(b, "<path d=\"M%.1f %.1fH%.1f\" stroke=\"%s\" stroke-width=\"2\"/>", left(one.value.least), middle, left(one.value.most), colorText)
		fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%d\" %s>%s</text>\n", left(one.value.most)+8, top+10, mono, format(one.value.median))
	}
}

func barColor(label string) string {
	switch {
	case strings.HasPrefix(label, "bearerguard"):
		return colorOwn
	case label == "crypto" || label == "stdlib":
		return colorBase
	}
	return colorPeer
}

type xy struct{ x, y float64 }

// panel is one line chart of a picture with several.
type panel struct {
	title, unit string
	series      []series
}

type series struct {
	name, color string
	points      []xy
}

// add leaves out what has no points.
func (p *panel) add(name, color string, points []xy) {
	if len(points) > 0 {
		p.series = append(p.series, series{name, color, points})
	}
}

const (
	panelWidth, panelHeight = 270, 130
	panelLeft, panelTop     = 70, 60
	panelStepX, panelStepY  = 360, 220
)

// lines draws panels in two columns.
func lines(title string, panels []panel) string {
	var desc []string
	for _, p := range panels {
		desc = append(desc, p.describe())
	}
	var b strings.Builder
	svg(&b, 40+(len(panels)+1)/2*panelStepY, title, strings.Join(desc, " "))
	for i, p := range panels {
		fmt.Fprintf(&b, "<g transform=\"translate(%d %d)\">\n", panelLeft+i%2*panelStepX, panelTop+30+i/2*panelStepY)
		p.draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (p panel) describe() string {
	text := fmt.Sprintf("%s, in %s:", p.title, p.unit)
	for _, s := range p.series {
		first, last := s.points[0], s.points[len(s.points)-1]
		text += fmt.Sprintf(" %s from %s at %s to %s at %s;", s.name, p.mark(first.y), grouped(first.x), p.mark(last.y), grouped(last.x))
	}
	return strings.TrimSuffix(text, ";") + "."
}

// mark writes a value of the vertical axis.
func (p panel) mark(v float64) string {
	if p.unit == "ns" {
		return nanoseconds(v)
	}
	return grouped(v)
}

// round takes the zeros off a mark: 10.0 µs is 10 µs, and 0.00 ns is 0.
func round(mark string) string {
	number, unit, _ := strings.Cut(mark, " ")
	if strings.Contains(number, ".") {
		number = strings.TrimRight(strings.TrimRight(number, "0"), ".")
	}
	if number == "0" || unit == "" {
		return number
	}
	return number + " " + unit
}

func (p panel) draw(b *strings.Builder) {
	x, y := p.axes()
	fmt.Fprintf(b, "<text x=\"0\" y=\"-24\" font-weight=\"bold\">%s</text>\n", html.EscapeString(p.title))
	for i, s := range p.series {
		fmt.Fprintf(b, "<text x=\"%d\" y=\"-8\" fill=\"%s\">%s</text>", i*100, s.color, html.EscapeString(s.name))
	}
	b.WriteString("\n")
	for _, mark := range y.marks() {
		at := panelHeight - y.place(mark)*panelHeight
		fmt.Fprintf(b, "<path d=\"M0 %.1fh%d\" stroke=\"%s\" stroke-opacity=\"0.4\"/><text x=\"-8\" y=\"%.1f\" text-anchor=\"end\" %s>%s</text>\n",
			at, panelWidth, colorText, at+4, mono, round(p.mark(mark)))
	}
	p.markX(b, x)
	for _, s := range p.series {
		fmt.Fprintf(b, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"2\" d=\"", s.color)
		for i, at := range s.points {
			fmt.Fprintf(b, "%c%.1f %.1f", "ML"[min(i, 1)], x.place(at.x)*panelWidth, panelHeight-y.place(at.y)*panelHeight)
		}
		b.WriteString("\"/>\n")
		for _, at := range s.points {
			fmt.Fprintf(b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>", x.place(at.x)*panelWidth, panelHeight-y.place(at.y)*panelHeight, s.color)
		}
		b.WriteString("\n")
	}
}

// markX names the sizes that were measured, the largest first, as far as there is room.
func (p panel) markX(b *strings.Builder, x axis) {
	const room = 42
	free := math.Inf(1)
	for _, at := range slices.Backward(p.series[0].points) {
		left := x.place(at.x) * panelWidth
		if left > free {
			continue
		}
		free = left - room
		fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" %s>%s</text>\n", left, panelHeight+18, mono, short(at.x))
	}
}

// short writes 1,000,000 as 1M and 100,000 as 100k; powers of two stay as they are.
func short(v float64) string {
	switch {
	case v >= 1e6 && math.Mod(v, 1e5) == 0:
		return fmt.Sprintf("%gM", v/1e6)
	case v >= 1e3 && math.Mod(v, 100) == 0:
		return fmt.Sprintf("%gk", v/1e3)
	}
	return grouped(v)
}
