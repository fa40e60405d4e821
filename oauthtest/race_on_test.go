// SPDX-License-Identifier: Apache-2.0

//go:build race

package oauthtest

const raceDetector = true
