// SPDX-License-Identifier: Apache-2.0

// Package mtls knows certificate-bound access tokens (RFC 8705 §3): the thumbprint of a
// client certificate, and the header forms in which a reverse proxy that ends TLS passes
// the certificate on (RFC 9440, and what proxies do instead).
package mtls
