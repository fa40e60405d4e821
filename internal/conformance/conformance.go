// SPDX-License-Identifier: Apache-2.0

// Package conformance has no code. Its tests send one table of requests through
// the net/http, Echo and Gin adapters, over real HTTP and with a real verifier, and
// compare the answers byte for byte.
package conformance
