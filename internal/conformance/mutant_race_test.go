// SPDX-License-Identifier: Apache-2.0

//go:build race

package conformance_test

const raceDetector = true
