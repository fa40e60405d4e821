// SPDX-License-Identifier: Apache-2.0

//go:build unix

package jwkscache

import (
	"io/fs"
	"os"
	"syscall"
)

// openFlags: a pipe in the place of a file must not hold up whoever opens it.
const openFlags = os.O_RDONLY | syscall.O_NONBLOCK

// foreign tells whether info is about a file of another user.
func foreign(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return !ok || !trusted(stat.Uid, uint32(os.Geteuid()))
}

// trusted: root can change every file anyway.
func trusted(owner, self uint32) bool { return owner == 0 || owner == self }
