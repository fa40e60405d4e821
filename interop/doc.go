// SPDX-License-Identifier: Apache-2.0

// Package interop runs this library against software that other people wrote:
// golang.org/x/oauth2 and go-oidc as clients of the test authorization server, a
// browser on its consent page, and other middlewares under the attack suite. It is a
// module of its own, so that the library depends on none of them.
package interop
