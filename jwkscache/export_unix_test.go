// SPDX-License-Identifier: Apache-2.0

//go:build unix

package jwkscache

// Trusted tells whether a process of the user self takes a file of owner.
var Trusted = trusted
