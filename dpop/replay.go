// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"context"
	"time"
)

// ReplayStore remembers which proofs were used (RFC 9449 §11.1). One [Memory] protects
// one process; replicas need a store that they share. oauthtest.TestReplayStore checks
// implementations.
type ReplayStore interface {
	// Use records one use of a proof, in one atomic step: of any number of calls with
	// one ID, in all processes that share the store, exactly one gets fresh. The ID is
	// kept at least for TTL; a store must never forget it sooner to make room. An error
	// denies the request with 503, so a store that is full or cannot be reached returns
	// one. ctx ends with the request. Use is called by many goroutines at once.
	Use(ctx context.Context, u Use) (fresh bool, err error)
}

// Use is one use of one proof. It holds digests only, so a store that leaks tells
// nothing.
type Use struct {
	// ID stands for the proof: the SHA-256 of key thumbprint, htu and jti.
	ID [32]byte
	// Key stands for the key of the proof, so that a store can bound what one key takes.
	Key [32]byte
	// Until is when the proof can no longer be accepted, on the clock of Config.Now.
	Until time.Time
	// TTL is how long that is from now, always positive.
	TTL time.Duration
}
