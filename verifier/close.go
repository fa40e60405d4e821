// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/bearerguard/bearerguard/internal/hook"
)

var errClosed = errors.New("the verifier is closed")

// Close closes the key sources that have a method Close, of configured and of
// resolved issuers, and waits for them and for [Tenants.Resolve], but for no request:
// one that waits for keys is to be sent away by its source. From then on tokens that
// get as far as the keys are refused with [ErrKeysUnavailable], also by other
// verifiers with the same members (see [Join]). The error is what the sources of
// configured issuers and Tenants.OnClose returned; those of tenants are reported as
// warning events. Close may be called more than once; not from a hook or a source.
func (v *Verifier) Close() error {
	if v == nil {
		return nil
	}
	var errs []error
	for _, is := range v.issuers {
		errs = append(errs, is.close())
	}
	if v.tenants != nil {
		errs = append(errs, v.tenants.close())
	}
	return errors.Join(errs...)
}

// ending is the end of an issuer.
type ending struct {
	once  sync.Once
	begun atomic.Bool // no token is accepted any more
	err   error       // of the key source
}

// close closes the source once; whoever else calls it waits for that.
func (is *issuer) close() error {
	is.ending.once.Do(func() {
		is.ending.begun.Store(true)
		if hook.Nil(is.keys) {
			return
		}
		if src, ok := is.keys.(interface{ Close() error }); ok {
			is.ending.err = guarded("Config.Keys.Close", src.Close)
		}
	})
	return is.ending.err
}
