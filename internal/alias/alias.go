// SPDX-License-Identifier: Apache-2.0

// Package alias looks at the same memory as a string and as bytes. It is the only package
// that uses unsafe, for three purposes: tokens are hashed and their signatures checked
// without a copy, which would cost an allocation and be one more place where a token
// lies; what was decoded into fresh memory becomes a string as it is; and a part of a
// text is told by where it lies.
package alias

import "unsafe"

// Bytes is the memory of s. It is for functions that only read, as io.Writer demands of
// every hash: a write would be a fault of the whole program.
func Bytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// String is the memory of b, which nothing may change from then on: it is for the one
// who has just made b, and keeps no other reference.
func String(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Offset is where in whole part lies, if it is a part of the same memory. An empty part
// lies at 0. The texts are compared as well, since what lies on a stack may move between
// the two looks.
func Offset(whole, part string) (at int, ok bool) {
	if part == "" {
		return 0, true
	}
	from := uintptr(unsafe.Pointer(unsafe.StringData(part))) - uintptr(unsafe.Pointer(unsafe.StringData(whole)))
	if from >= uintptr(len(whole)) || len(part) > len(whole)-int(from) {
		return 0, false
	}
	return int(from), whole[from:int(from)+len(part)] == part
}
