// SPDX-License-Identifier: Apache-2.0

package mtls

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"strings"
)

// maxChain is how many certificates a chain can have.
const maxChain = 10

// Thumbprint is the SHA-256 digest of a certificate in DER, as 32 raw bytes: what
// cnf["x5t#S256"] of a token bound to it holds, base64url-encoded (RFC 8705 §3.1).
func Thumbprint(der []byte) string {
	sum := sha256.Sum256(der)
	return string(sum[:])
}

// one accepts exactly one certificate, with nothing behind it.
func one(der []byte) ([]byte, bool) {
	if _, err := x509.ParseCertificate(der); err != nil {
		return nil, false
	}
	return der, true
}

// fromPEM returns the first of at most so many certificates in PEM. All of text must be
// that: what stands before, between or behind them could be read in another way by
// another reader.
func fromPEM(text string, atMost int) (leaf []byte, ok bool) {
	for n := 0; ; n++ {
		text = strings.TrimLeft(text, "\r\n")
		if text == "" {
			return leaf, n > 0
		}
		if n == atMost || !strings.HasPrefix(text, "-----BEGIN CERTIFICATE-----") {
			return nil, false
		}
		end := strings.Index(text, endMark)
		if end < 0 {
			return nil, false
		}
		der, good := block(text[:end+len(endMark)])
		if !good {
			return nil, false
		}
		if n == 0 {
			leaf = der
		}
		text = text[end+len(endMark):]
	}
}

const endMark = "-----END CERTIFICATE-----"

// block reads one PEM certificate, without headers.
func block(text string) ([]byte, bool) {
	b, rest := pem.Decode([]byte(text))
	if b == nil || len(rest) > 0 || b.Type != "CERTIFICATE" || len(b.Headers) > 0 {
		return nil, false
	}
	return one(b.Bytes)
}
