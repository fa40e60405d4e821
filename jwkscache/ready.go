// SPDX-License-Identifier: Apache-2.0

package jwkscache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/verifier"
)

// readyWait bounds one answer of [ReadyHandler]: a probe that is late counts as failed.
const readyWait = 2 * time.Second

// Ready returns nil if tokens can be verified now, with fresh keys or with stale ones
// (see Config.MaxStale). It waits, as long as ctx allows, only where [Cache.Keys] does:
// on first use and after a long pause. Else the error is of class
// [verifier.ErrKeysUnavailable] or [verifier.ErrMetadata]; a set without any usable key
// is the former, too. It counts as use, so that a source that is probed stays fresh.
func (c *Cache) Ready(ctx context.Context) error { return ready(c.Keys(ctx, nil)) }

// Ready returns nil if at least one part has keys to verify with now, see [Cache.Ready].
func (j *Joined) Ready(ctx context.Context) error { return ready(j.Keys(ctx, nil)) }

func ready(set *verifier.KeySet, err error) error {
	if err == nil && set.Len() == 0 {
		err = &verifier.Error{Class: verifier.ErrKeysUnavailable, Cause: errors.New("none of the issuer's keys can be used")}
	}
	return err
}

// Reporter is a source whose state [ReadyHandler] can show: a [*Cache] or a [*Joined].
type Reporter interface {
	Ready(ctx context.Context) error
	report(ctx context.Context) report
}

// report is one source in the answer of [ReadyHandler]. It has no error text, key
// identifier or address: probes are often open to more people than logs.
type report struct {
	Issuer      string    `json:"issuer,omitempty"`
	Status      string    `json:"status"`
	Reason      string    `json:"reason,omitempty"`
	Keys        int       `json:"keys"`
	Fetched     time.Time `json:"fetched,omitzero"`
	FreshUntil  time.Time `json:"fresh_until,omitzero"`
	UsableUntil time.Time `json:"usable_until,omitzero"`
	NextAttempt time.Time `json:"next_attempt,omitzero"`
	Failures    int       `json:"failures"`
	ClockSkew   int64     `json:"clock_skew_seconds,omitempty"`
	Parts       []report  `json:"parts,omitempty"`
}

const (
	statusOK       = "ok"
	statusDegraded = "degraded" // serving, but the issuer, or a part, is in trouble
	statusDown     = "down"
)

// ReadyHandler returns a handler for readiness probes by GET or HEAD. It answers 200 if
// every source is ready, else 503, within about two seconds. The body is a JSON object
// with status and sources; the sources are in the order of the arguments, each with its
// own status and what [Cache.Status] knows of it:
//   - ok: keys are served and the last attempt to renew them succeeded;
//   - degraded: keys are served, but the last attempt failed, which reason says by one
//     word: keys_unavailable, metadata_unavailable, config or internal. Still 200, since
//     taking all instances out of service would turn the issuer's outage into ours;
//   - down: no key can be served.
//
// A joined source is degraded while one of its parts is not ok. The error is of class
// [verifier.ErrConfig] if no source is given or one is nil.
func ReadyHandler(sources ...Reporter) (http.Handler, error) {
	var reasons []error
	for i, src := range sources {
		if hook.Nil(src) {
			reasons = append(reasons, fmt.Errorf("jwkscache.ReadyHandler: argument %d is nil: handle the error of its constructor", i+1))
		}
	}
	if len(sources) == 0 {
		reasons = append(reasons, errors.New("jwkscache.ReadyHandler: no source given: pass at least one"))
	}
	if len(reasons) > 0 {
		return nil, refuse(reasons...)
	}
	return readiness(append([]Reporter(nil), sources...)), nil
}

type readiness []Reporter

func (list readiness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyWait)
	defer cancel()
	var answer struct {
		Status  string   `json:"status"`
		Sources []report `json:"sources"`
	}
	answer.Sources = list.ask(ctx)
	answer.Status = worst(answer.Sources)
	body, err := json.Marshal(answer)
	code := http.StatusOK
	if err != nil || answer.Status == statusDown {
		code = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	_, _ = w.Write(body) // a prober that is gone needs no answer
}

// ask asks all sources at once, so that a slow one does not take the time of another.
// One that does not answer in time, or breaks, is down.
func (list readiness) ask(ctx context.Context) []report {
	type one struct {
		at int
		report
	}
	answers := make(chan one, len(list)) // room for all: nobody waits to be heard
	for i, src := range list {
		go func() {
			r := broke
			defer func() { answers <- one{i, r} }() // also if a hook ends the goroutine
			_ = hook.Call("a source", func() { r = src.report(ctx) })
		}()
	}
	reports := make([]report, len(list))
	for i := range reports {
		reports[i] = broke
	}
	late := time.NewTimer(readyWait + readyWait/4) // for one that ignores its context
	defer late.Stop()
	for range list {
		select {
		case a := <-answers:
			reports[a.at] = a.report
		case <-late.C:
			return reports
		}
	}
	return reports
}

// broke is the report of a source that made none.
var broke = report{Status: statusDown, Reason: "internal"}

func worst(reports []report) string {
	status := statusOK
	for _, r := range reports {
		switch {
		case r.Status == statusDown:
			return statusDown
		case r.Status == statusDegraded:
			status = statusDegraded
		}
	}
	return status
}

func (c *Cache) report(ctx context.Context) report {
	err := c.Ready(ctx)
	s := c.Status()
	r := report{
		Issuer:      c.Issuer(),
		Status:      statusOK,
		Keys:        len(s.Keys),
		Fetched:     s.Fetched.UTC(),
		FreshUntil:  s.FreshUntil.UTC(),
		UsableUntil: s.UsableUntil.UTC(),
		NextAttempt: s.NextAttempt.UTC(),
		Failures:    s.Failures,
		ClockSkew:   int64(s.ClockSkew / time.Second),
	}
	switch {
	case verifier.ClassOf(err) == verifier.ErrKeysUnavailable && len(s.Keys) > 0 && time.Now().Before(s.UsableUntil):
		r.Status, r.Reason = statusDegraded, reason(err) // a part that was not waited for
	case err != nil:
		r.Status, r.Reason = statusDown, reason(err)
	case s.Err != nil:
		r.Status, r.Reason = statusDegraded, reason(s.Err)
	case time.Now().After(s.FreshUntil): // an attempt is still under way
		r.Status, r.Reason = statusDegraded, reason(verifier.ErrKeysUnavailable)
	}
	return r
}

// report does not wait for a part as long as another has keys: Ready has made all of
// them look for theirs.
func (j *Joined) report(ctx context.Context) report {
	set, err := j.Keys(ctx, nil)
	err = ready(set, err)
	r := report{Issuer: j.issuer, Status: statusOK, Keys: set.Len()}
	for i, src := range j.parts {
		if part, ok := src.(Reporter); ok {
			r.Parts = append(r.Parts, part.report(ended))
		} else {
			r.Parts = append(r.Parts, j.reportOther(i))
		}
	}
	switch {
	case err != nil:
		r.Status, r.Reason = statusDown, reason(err)
	case worst(r.Parts) != statusOK:
		r.Status = statusDegraded
	}
	return r
}

// reportOther is about a part that has no report of its own, such as a static set.
func (j *Joined) reportOther(i int) report {
	a := j.ask(ended, i, nil)
	if a.err != nil {
		return report{Status: statusDown, Reason: reason(a.err)}
	}
	return report{Status: statusOK, Keys: a.set.Len()}
}

func reason(err error) string {
	switch verifier.ClassOf(err) {
	case verifier.ErrKeysUnavailable:
		return "keys_unavailable"
	case verifier.ErrMetadata:
		return "metadata_unavailable"
	case verifier.ErrConfig:
		return "config"
	}
	return "internal"
}
