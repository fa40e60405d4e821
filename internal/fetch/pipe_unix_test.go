// SPDX-License-Identifier: Apache-2.0

//go:build unix

package fetch

import (
	"syscall"
	"testing"
)

// pipe makes a named pipe, which blocks whoever opens it.
func pipe(t testing.TB, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}
