// SPDX-License-Identifier: Apache-2.0

package oauthtest

// ListSpellings makes failures of CheckPaths name so many spellings, until the function
// that it returns is called.
func ListSpellings(n int) (restore func()) {
	before := listed
	listed = n
	return func() { listed = before }
}
