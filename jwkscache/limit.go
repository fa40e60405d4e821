// SPDX-License-Identifier: Apache-2.0

package jwkscache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bearerguard/bearerguard/internal/hook"
)

const callLimit = 5 * time.Second

// limiter runs calls that may never return, a store's or a network file system's: each
// with a limit, and none while an earlier one has not returned, so that one goroutine
// at most is left behind however often it is tried.
type limiter chan struct{}

func newLimiter() limiter { return make(limiter, 1) }

// call runs f with a context that ends with the limit. Only after nil may the caller
// read what f wrote. A panic in f and the end of its goroutine are errors.
func (l limiter) call(ctx context.Context, where string, f func(context.Context) error) error {
	select {
	case l <- struct{}{}:
	default:
		return fmt.Errorf("an earlier call of %s has still not returned", where)
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	err := fmt.Errorf("%s ended its goroutine", where)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { <-l }()
		var got error
		if p := hook.Call(where, func() { got = f(ctx) }); p != nil {
			got = p
		}
		err = got
	}()
	select {
	case <-done:
		return err
	case <-ctx.Done():
		if ctx.Err() == context.Canceled {
			return errors.New("the key cache is closed")
		}
		return fmt.Errorf("%s did not return within %v", where, callLimit)
	}
}
