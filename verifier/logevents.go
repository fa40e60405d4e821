// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// refusalsPerSecond bounds what anybody who can send requests can make us write.
	refusalsPerSecond = 100
	// maxCause bounds the text of one cause, which may be an application's own.
	maxCause = 1024
)

// LogEvents returns a hook for the OnEvent settings that writes each event to
// log: accepted at Debug, fetched at Info, everything else at Warn. Of refusals at
// most 100 a second are written; the next line then says as dropped how many were
// not. A cause is cut after 1,024 bytes. A nil log means [slog.Default]. The hook is
// safe for concurrent use; give the same one to all Configs.
func LogEvents(log *slog.Logger) func(Event) {
	return (&eventLog{log: log}).write
}

type eventLog struct {
	log *slog.Logger

	mu      sync.Mutex
	second  int64 // the one that lines counts for
	lines   int
	dropped int
}

func (l *eventLog) write(e Event) {
	attrs := e.attrs()
	if e.Kind == EventRefused {
		dropped, ok := l.admit(time.Now().Unix())
		if !ok {
			return
		}
		if dropped > 0 {
			attrs = append(attrs, slog.Int("dropped", dropped))
		}
	}
	log := l.log
	if log == nil {
		log = slog.Default()
	}
	log.LogAttrs(context.Background(), e.level(), "bearerguard", attrs...)
}

// admit reports whether one more refusal may be written in this second, and how
// many were dropped since the last that was.
func (l *eventLog) admit(second int64) (dropped int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if second != l.second {
		l.second, l.lines = second, 0
	}
	if l.lines == refusalsPerSecond {
		l.dropped++
		return 0, false
	}
	l.lines++
	dropped, l.dropped = l.dropped, 0
	return dropped, true
}

func (e Event) level() slog.Level {
	switch e.Kind {
	case EventAccepted:
		return slog.LevelDebug
	case EventFetched:
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

func (e Event) attrs() []slog.Attr {
	attrs := []slog.Attr{slog.String("event", string(e.Kind))}
	if e.Issuer != "" {
		attrs = append(attrs, slog.String("issuer", e.Issuer))
	}
	if e.Class != nil {
		attrs = append(attrs, slog.String("class", e.Class.Error()))
	}
	if e.Cause != nil {
		cause := textOfCause(e.Cause)
		attrs = append(attrs, slog.String("cause", cause[:min(len(cause), maxCause)]))
	}
	return attrs
}
