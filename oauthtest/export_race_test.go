// SPDX-License-Identifier: Apache-2.0

package oauthtest

import "testing"

// OneOfMany skips a case under the race detector, unless it is the chosen one: the cases
// differ by their configuration, not by what runs at the same time, and take long there.
// Without the detector all of them run.
func OneOfMany(t *testing.T, chosen bool) {
	if raceDetector && !chosen {
		t.Skip("the race detector sees another case of this test")
	}
}
