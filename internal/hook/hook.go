// SPDX-License-Identifier: Apache-2.0

// Package hook calls code that belongs to others: a panic in it must deny one
// request, not depend on who recovers it.
package hook

import (
	"fmt"
	"reflect"
	"runtime"
)

// Call runs f and returns nil, or an error that names where if f panicked. The value
// of the panic is not quoted, since it may hold a token; a runtime error is. Also
// panic(nil) is noticed, which recover hides under GODEBUG=panicnil=1.
func Call(where string, f func()) (err error) {
	done := false
	defer func() {
		if p := recover(); !done {
			err = describe(where, p)
		}
	}()
	f()
	done = true
	return nil
}

func describe(where string, v any) error {
	if r, ok := v.(runtime.Error); ok {
		return fmt.Errorf("panic in %s: %w", where, r)
	}
	return fmt.Errorf("panic in %s: value of type %T", where, v)
}

// Nil reports whether v is nil, or a nil pointer, map, slice, function or channel in
// a non-nil interface: what an application left out, and a call would panic on.
func Nil(v any) bool {
	if v == nil {
		return true
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Func, reflect.Chan:
		return r.IsNil()
	}
	return false
}
