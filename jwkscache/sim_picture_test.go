// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var updatePicture = flag.Bool("update", false, "write docs/outages.svg anew: go test ./jwkscache -run TestOutagePicture -update")

const (
	pictureFile = "../docs/outages.svg"
	pictureBin  = 10 * time.Minute
	outageFrom  = time.Hour
	outageTo    = 25 * time.Hour
	pictureEnd  = 26 * time.Hour
)

// day is what happened in each ten minutes of a run with one long outage.
type day struct {
	sent, served, fetches []int
	age                   []time.Duration // of the keys, at the end
}

// outageDay sends a request every 30 s to an API with a default cache.
func outageDay(t *testing.T) day {
	key := simKey{"one", 0}
	s := &script{
		seed: 1, length: pictureEnd, maxStale: 24 * time.Hour, tokenCache: true,
		published: []publication{{0, []simKey{key}}},
		signing:   []publication{{0, []simKey{key}}},
		policies:  []policy{{lifetime: 15 * time.Minute}},
		faults:    []*fault{{kind: "refused", from: outageFrom, to: outageTo}},
	}
	is := newSimIssuer(t, s)
	c := newClients(t, s, simCache(t, is))
	var d day
	for elapsed() < pictureEnd {
		from, before := len(c.seen), len(is.record.all())
		for range pictureBin / (30 * time.Second) {
			time.Sleep(15 * time.Second)
			c.send(simRequest{key: key})
			time.Sleep(15 * time.Second)
			synctest.Wait()
		}
		steps := is.record.all()
		d.add(newHistory(s, steps), c.seen[from:], len(steps)-before)
	}
	return d
}

func (d *day) add(h *history, seen []*observation, fetches int) {
	served := 0
	for _, o := range seen {
		if o.accepted() {
			served++
		}
	}
	d.sent = append(d.sent, len(seen))
	d.served = append(d.served, served)
	d.fetches = append(d.fetches, fetches)
	d.age = append(d.age, elapsed()-h.states[len(h.states)-1].good)
}

// TestOutagePicture draws the picture of docs/outages.md from a run of its own.
func TestOutagePicture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := outageDay(t)
		for i := range d.sent {
			if d.served[i] != d.sent[i] || d.fetches[i] > 20 {
				t.Errorf("ten minutes from %v: %d of %d served, %d fetches", time.Duration(i)*pictureBin, d.served[i], d.sent[i], d.fetches[i])
			}
		}
		got := d.svg()
		if *updatePicture {
			if err := os.WriteFile(pictureFile, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(pictureFile)
		if err != nil {
			t.Fatal(err)
		}
		if string(want) != got {
			t.Error("docs/outages.svg is not what this run shows: if that is meant, run go test ./jwkscache -run TestOutagePicture -update")
		}
		if len(got) > 25<<10 {
			t.Errorf("%d bytes", len(got))
		}
	})
}

// The picture: panels one above the other, each with the same hours from left to right.
const (
	pictureLeft  = 70
	pictureWidth = 624 // four for each ten minutes
	panelHeight  = 70
	panelStep    = 120
	pictureTop   = 60
)

func (d *day) svg() string {
	var b strings.Builder
	total, fetches, outage := sum(d.served), sum(d.fetches), pictureX(outageTo)-pictureX(outageFrom)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 420" role="img" aria-labelledby="title desc" font-family="sans-serif" font-size="12" fill="#6e7781">
<title id="title">An outage of 24 hours</title>
<desc id="desc">Three charts over 26 hours. The issuer is down from hour 1 to hour 25. All %d requests are served, %d in every ten minutes. %d fetches are made, at most %d in ten minutes. The age of the keys grows to %.1f hours and falls to minutes when the issuer is back.</desc>
<rect x="%d" y="30" width="%d" height="350" fill="#d1242f" fill-opacity="0.12"/>
<text x="%d" y="24" text-anchor="middle">the issuer is down</text>
`, total, d.sent[0], fetches, slices.Max(d.fetches), slices.Max(d.age).Hours(), pictureX(outageFrom), outage, pictureX(outageFrom)+outage/2)
	panel(&b, 0, "requests served in 10 min", 24, "#2da44e", d.served)
	panel(&b, 1, "fetches made in 10 min", 24, "#218bff", d.fetches)
	var hours []int
	for _, age := range d.age {
		hours = append(hours, int(age.Round(6*time.Minute)/(6*time.Minute)))
	}
	panel(&b, 2, "age of the keys, hours", 300, "#bf8700", hours)
	for hour := 0; hour <= 24; hour += 4 {
		fmt.Fprintf(&b, "<text x=\"%d\" y=\"398\" text-anchor=\"middle\">%d h</text>\n", pictureX(time.Duration(hour)*time.Hour), hour)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func pictureX(t time.Duration) int { return pictureLeft + int(t/pictureBin)*4 }

// panel draws one value for each ten minutes as steps, filled down to the axis. The
// numbers of an axis up to 300 are tenths.
func panel(b *strings.Builder, n int, title string, top int, color string, values []int) {
	base := pictureTop + n*panelStep + panelHeight
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\">%s</text>\n", pictureLeft, base-panelHeight-8, title)
	for _, mark := range []int{0, top / 2, top} {
		label := mark
		if top == 300 {
			label /= 10
		}
		y := base - mark*panelHeight/top
		fmt.Fprintf(b, "<path d=\"M%d %dh%d\" stroke=\"#6e7781\" stroke-opacity=\"0.4\"/><text x=\"%d\" y=\"%d\" text-anchor=\"end\">%d</text>\n",
			pictureLeft, y, pictureWidth, pictureLeft-8, y+4, label)
	}
	fmt.Fprintf(b, "<path fill=\"%s\" fill-opacity=\"0.35\" stroke=\"%s\" d=\"M%d %d", color, color, pictureLeft, base)
	for i, v := range values {
		if i == 0 || values[i-1] != v {
			fmt.Fprintf(b, "V%.1f", float64(base)-float64(v*panelHeight)/float64(top))
		}
		b.WriteString("h4")
	}
	fmt.Fprintf(b, "V%dz\"/>\n", base)
}

func sum(list []int) (total int) {
	for _, n := range list {
		total += n
	}
	return total
}
