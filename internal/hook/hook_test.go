// SPDX-License-Identifier: Apache-2.0

package hook_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/internal/hook"
)

func TestCall(t *testing.T) {
	t.Run("returns", func(t *testing.T) {
		ran := false
		if err := hook.Call("x", func() { ran = true }); err != nil || !ran {
			t.Fatalf("ran %v, error %v", ran, err)
		}
	})
	t.Run("SE-01/panic", func(t *testing.T) {
		err := hook.Call("OnEvent", func() { panic("boom") })
		if err == nil || !strings.Contains(err.Error(), "OnEvent") {
			t.Fatalf("error %v", err)
		}
	})
	t.Run("SE-01/panic_with_nil", func(t *testing.T) {
		for _, setting := range []string{"panicnil=0", "panicnil=1"} {
			t.Setenv("GODEBUG", setting)
			if err := hook.Call("x", func() { panic(nil) }); err == nil { //nolint:govet // what is tested
				t.Errorf("%s: not noticed", setting)
			}
		}
	})
	t.Run("SE-02/value_is_not_quoted", func(t *testing.T) {
		if err := hook.Call("x", func() { panic("canary") }); strings.Contains(err.Error(), "canary") {
			t.Error(err)
		}
	})
	t.Run("runtime_error_is_kept", func(t *testing.T) {
		var list []int
		err := hook.Call("x", func() { _ = list[len(list)] })
		var r runtime.Error
		if !errors.As(err, &r) {
			t.Error(err)
		}
	})
}
