// SPDX-License-Identifier: Apache-2.0

// Package alias looks at the same memory as a string and as bytes. It is the only package
// that uses unsafe, for two purposes: tokens are hashed and their signatures checked
// without a copy, which would cost an allocation and be one more place where a token
// lies; and what was decoded into fresh memory becomes a string as it is.
package alias

import "unsafe"

// Bytes is the memory of s. It is for functions that only read, as io.Writer demands of
// every hash: a write would be a fault of the whole program.
func Bytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// String is the memory of b, which nothing may change from then on: it is for the one
// who has just made b, and keeps no other reference.
func String(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
