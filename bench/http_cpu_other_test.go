// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package main

import "errors"

// httpCPU is known on Unix only.
func httpCPU() (int64, error) { return 0, errors.New("the CPU time of a process is read on Unix only") }
