// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"net/http"
	"testing"
	"time"
)

// TestFreshness reads the freshness that headers gave from Status. The server's
// Date is that of the virtual clock, 2000-01-01 00:00:00, unless set here.
func TestFreshness(t *testing.T) {
	const (
		low, high, none = time.Minute, 24 * time.Hour, 15 * time.Minute

		inHour  = "Sat, 01 Jan 2000 01:00:00 GMT"
		lastDay = "Fri, 31 Dec 1999 00:00:00 GMT"
	)
	for name, c := range map[string]struct {
		headers []string
		want    time.Duration
	}{
		"DF-08/no_headers":                {nil, none},
		"DF-08/max_age_5":                 {[]string{"Cache-Control", "max-age=5"}, low},
		"DF-08/max_age_59":                {[]string{"Cache-Control", "max-age=59"}, low},
		"DF-08/max_age_60":                {[]string{"Cache-Control", "max-age=60"}, time.Minute},
		"DF-08/max_age_61":                {[]string{"Cache-Control", "max-age=61"}, 61 * time.Second},
		"DF-08/max_age_a_day":             {[]string{"Cache-Control", "max-age=86400"}, high},
		"DF-08/max_age_over_a_day":        {[]string{"Cache-Control", "max-age=86401"}, high},
		"DF-08/max_age_10000000":          {[]string{"Cache-Control", "max-age=10000000"}, high},
		"DF-08/F28_a_year":                {[]string{"Cache-Control", "max-age=31536000"}, high},
		"DF-08/large_number":              {[]string{"Cache-Control", "max-age=9223372036854775807"}, high},
		"KS-08/F27_overflow":              {[]string{"Cache-Control", "max-age=99999999999999999999"}, low},
		"KS-08/F27_zero":                  {[]string{"Cache-Control", "max-age=0"}, low},
		"KS-08/F27_negative":              {[]string{"Cache-Control", "max-age=-3600"}, low},
		"KS-08/F27_duplicate":             {[]string{"Cache-Control", "max-age=3600, max-age=7200"}, low},
		"KS-08/F27_duplicate_lines":       {[]string{"Cache-Control", "max-age=3600", "Cache-Control", "max-age=3600"}, low},
		"KS-08/no_store":                  {[]string{"Cache-Control", "no-store"}, low},
		"KS-08/no_cache":                  {[]string{"Cache-Control", "no-cache"}, low},
		"KS-08/no_cache_beside_max_age":   {[]string{"Cache-Control", "max-age=3600, no-cache"}, low},
		"KS-08/no_store_first":            {[]string{"Cache-Control", "no-store, max-age=3600"}, low},
		"KS-08/no_store_on_a_second_line": {[]string{"Cache-Control", "max-age=3600", "Cache-Control", "no-store"}, low},
		"KS-08/upper_case":                {[]string{"Cache-Control", "Public, MAX-AGE=3600"}, time.Hour},
		"KS-08/blanks":                    {[]string{"Cache-Control", " public ,  max-age=3600 , "}, time.Hour},
		"KS-08/quoted":                    {[]string{"Cache-Control", `max-age="3600"`}, time.Hour},
		"KS-08/without_value":             {[]string{"Cache-Control", "max-age"}, low},
		"KS-08/fraction":                  {[]string{"Cache-Control", "max-age=3600.5"}, low},
		"KS-08/unknown_directives":        {[]string{"Cache-Control", "public, immutable, s-maxage=9"}, none},
		"KS-08/expires":                   {[]string{"Expires", inHour}, time.Hour},
		"KS-08/expires_against_date":      {[]string{"Expires", inHour, "Date", "Sat, 01 Jan 2000 00:30:00 GMT"}, 30 * time.Minute},
		"KS-08/expires_with_clock_ahead":  {[]string{"Expires", "Sun, 02 Jan 2000 00:10:00 GMT", "Date", "Sun, 02 Jan 2000 00:00:00 GMT"}, 10 * time.Minute},
		"KS-08/expires_in_the_past":       {[]string{"Expires", lastDay}, low},
		"KS-08/expires_not_a_date":        {[]string{"Expires", "0"}, low},
		"KS-08/expires_twice":             {[]string{"Expires", inHour, "Expires", inHour}, low},
		"KS-08/max_age_before_expires":    {[]string{"Cache-Control", "max-age=600", "Expires", inHour}, 10 * time.Minute},
		"KS-08/less_age":                  {[]string{"Cache-Control", "max-age=3600", "Age", "600"}, 50 * time.Minute},
		"KS-08/expires_less_age":          {[]string{"Expires", inHour, "Age", "600"}, 50 * time.Minute},
		"KS-08/age_over_max_age":          {[]string{"Cache-Control", "max-age=3600", "Age", "7200"}, low},
		"KS-08/age_not_a_number":          {[]string{"Cache-Control", "max-age=3600", "Age", "old"}, time.Hour},
		"KS-08/age_alone":                 {[]string{"Age", "600"}, none},
	} {
		inWorld(t, name, byURL, func(w *world) {
			w.on(jwksURL, func(rw http.ResponseWriter, r *http.Request) {
				if len(c.headers) > 0 {
					answer(200, kids("one"), c.headers...)(rw, r)
					return
				}
				rw.Header()["Date"] = nil
				answer(200, kids("one"))(rw, r)
			})
			w.keys()
			status := w.cache.Status()
			if got := status.FreshUntil.Sub(status.Fetched); got != c.want {
				w.Fatalf("fresh for %v, want %v", got, c.want)
			}
		})
	}
}

func TestFreshnessAtWork(t *testing.T) {
	inWorld(t, "DF-08/max_age_5_once_per_minute_at_most", byURL, func(w *world) {
		w.body(jwksURL, kids("one"), "Cache-Control", "max-age=5")
		w.busy(time.Hour, time.Second)
		if got := w.hits(jwksURL); got < 60 || got > 61 { // both ends of the hour count
			w.Fatalf("%d fetches in an hour", got)
		}
	})
	inWorld(t, "DF-08/not_within_a_minute_of_a_fetch", byIssuer, func(w *world) {
		var last, lastMeta time.Time
		shortest, longest := time.Hour, time.Duration(0)
		w.on(jwksURL, func(rw http.ResponseWriter, r *http.Request) {
			shortest, last = min(shortest, time.Since(last)), time.Now()
			answer(200, kids("one"), "Cache-Control", "max-age=67")(rw, r)
		})
		w.on(metaURL, func(rw http.ResponseWriter, r *http.Request) {
			if !lastMeta.IsZero() {
				longest = max(longest, time.Since(lastMeta))
			}
			lastMeta = time.Now()
			answer(200, document(issuer, jwksURL))(rw, r)
		})
		w.busy(48*time.Hour, time.Second)
		if shortest < time.Minute || longest > time.Hour {
			w.Errorf("keys were fetched again after %v, metadata only after %v", shortest, longest)
		}
	})
	inWorld(t, "DF-08/max_age_10000000_refetches_within_24_h", byURL, func(w *world) {
		w.body(jwksURL, kids("one"), "Cache-Control", "max-age=10000000")
		w.busy(24*time.Hour, time.Minute)
		w.wantHits(jwksURL, 2)
	})
}

// TestConditional: KS-09.
func TestConditional(t *testing.T) {
	const date = "Sat, 01 Jan 2000 00:00:00 GMT"
	for name, c := range map[string]struct{ header, value, sent string }{
		"KS-09/etag":          {"ETag", `"v1"`, "If-None-Match"},
		"KS-09/weak_etag":     {"ETag", `W/"v1"`, "If-None-Match"},
		"KS-09/last_modified": {"Last-Modified", date, "If-Modified-Since"},
	} {
		inWorld(t, name, byURL, func(w *world) {
			w.body(jwksURL, kids("one"), c.header, c.value)
			before := w.keys()
			if got := w.last().Get(c.sent); got != "" {
				w.Fatalf("the first request was conditional: %q", got)
			}
			w.status(jwksURL, 304)
			for range 3 { // a 304 need not repeat the validator
				w.busy(15*time.Minute, time.Minute)
				if got := w.last().Get(c.sent); got != c.value {
					w.Fatalf("%s: %q", c.sent, got)
				}
			}
			status := w.cache.Status()
			if w.keys() != before || status.Failures != 0 || time.Since(status.Fetched) > 15*time.Minute {
				w.Fatalf("the 304 did not renew the set: %+v", status)
			}
			w.body(jwksURL, kids("one", "two"), c.header, c.value+"x")
			w.busy(15*time.Minute, time.Minute)
			if w.keys().Len() != 2 {
				w.Fatal("the new set was not taken")
			}
		})
	}
	inWorld(t, "KS-09/headers_of_304_count", byURL, func(w *world) {
		w.body(jwksURL, kids("one"), "ETag", `"v1"`)
		w.keys()
		w.status(jwksURL, 304, "Cache-Control", "max-age=7200", "ETag", `"v2"`)
		w.busy(15*time.Minute, time.Minute)
		status := w.cache.Status()
		if got := status.FreshUntil.Sub(status.Fetched); got != 2*time.Hour {
			w.Fatalf("fresh for %v", got)
		}
		w.busy(2*time.Hour, time.Minute)
		if got := w.last().Get("If-None-Match"); got != `"v2"` {
			w.Fatalf("If-None-Match: %q", got)
		}
	})
	inWorld(t, "KS-09/304_with_one_of_two_validators", byURL, func(w *world) {
		w.body(jwksURL, kids("one"), "ETag", `"v1"`, "Last-Modified", date)
		w.keys()
		w.status(jwksURL, 304, "ETag", `"v2"`)
		w.busy(30*time.Minute, time.Minute)
		if h := w.last(); h.Get("If-None-Match") != `"v2"` || h.Get("If-Modified-Since") != date {
			w.Fatal(h)
		}
	})
	inWorld(t, "KS-09/not_for_another_address", byIssuer, func(w *world) {
		w.body(jwksURL, kids("one"), "ETag", `"v1"`)
		w.keys()
		w.metadata(issuer + "/new")
		w.status(issuer+"/new", 304)
		w.busy(2*time.Hour, time.Minute)
		if got := w.last().Get("If-None-Match"); got != "" {
			w.Fatalf("If-None-Match: %q", got)
		}
		if w.cache.Status().Failures == 0 {
			w.Fatal("a 304 to an unconditional request was taken")
		}
	})
	inWorld(t, "KS-09/same_bytes_keep_the_set", byURL, func(w *world) {
		before := w.keys()
		w.busy(time.Hour, time.Minute)
		if w.keys() != before || w.hits(jwksURL) < 4 {
			w.Fatal("the same bytes made a new version")
		}
	})
}
