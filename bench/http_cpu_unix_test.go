// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import "syscall"

// httpCPU is the user and system time of this process in nanoseconds.
func httpCPU() (int64, error) {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0, err
	}
	return used.Utime.Nano() + used.Stime.Nano(), nil
}
