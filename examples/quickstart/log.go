// SPDX-License-Identifier: Apache-2.0

package main

import (
	"sync"

	"github.com/bearerguard/bearerguard/verifier"
)

// lastDecision stands for your log. It tells bad signature and wrong audience
// apart, which the client, who may be an attacker, is not told.
type lastDecision struct {
	mu   sync.Mutex
	text string
}

func (l *lastDecision) record(e verifier.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch e.Kind {
	case verifier.EventAccepted:
		l.text = "accepted"
	case verifier.EventRefused:
		l.text = e.Class.Error()
	}
}

// take returns the last decision, and forgets it.
func (l *lastDecision) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.text
	l.text = ""
	return text
}
