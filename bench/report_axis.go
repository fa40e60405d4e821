// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"slices"
)

// axis maps values to 0 … 1.
type axis struct {
	log       bool
	low, high float64
}

// wide is the range above which an axis is logarithmic.
const wide = 20

func (p panel) axes() (x, y axis) {
	var xs, ys []float64
	for _, s := range p.series {
		for _, at := range s.points {
			xs, ys = append(xs, at.x), append(ys, at.y)
		}
	}
	x = axisFor(xs)
	x.low, x.high = slices.Min(xs), slices.Max(xs) // from edge to edge
	return x, axisFor(ys)
}

// axisFor is linear from 0, or logarithmic between powers of ten.
func axisFor(values []float64) axis {
	least, most := slices.Min(values), slices.Max(values)
	if least <= 0 || most/least < wide {
		return axis{false, min(least, 0), roundUp(most)}
	}
	return axis{true, math.Pow(10, math.Floor(math.Log10(least))), math.Pow(10, math.Ceil(math.Log10(most)))}
}

func (a axis) place(v float64) float64 {
	switch {
	case a.high == a.low:
		return 0
	case a.log:
		return (math.Log10(v) - math.Log10(a.low)) / (math.Log10(a.high) - math.Log10(a.low))
	}
	return (v - a.low) / (a.high - a.low)
}

// marks are the values that get a line across.
func (a axis) marks() []float64 {
	if !a.log {
		return []float64{a.low, (a.low + a.high) / 2, a.high}
	}
	var list []float64
	for v := a.low; v <= a.high*1.001; v *= 10 {
		list = append(list, v)
	}
	return list
}

// roundUp is the next 1, 2, 4, 6 or 8 times a power of ten.
func roundUp(v float64) float64 {
	if v <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, step := range []float64{1, 2, 4, 6, 8} {
		if v <= step*unit {
			return step * unit
		}
	}
	return 10 * unit
}
