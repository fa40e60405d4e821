// SPDX-License-Identifier: Apache-2.0

package mtls

import (
	"encoding/base64"
	"net/textproto"
	"net/url"
	"strings"
)

// maxFieldBytes bounds what a proxy's field may hold.
const maxFieldBytes = 16 << 10

// Header is the form in which a reverse proxy passes the client's certificate on: the
// name of a header field, and how the certificate is written in it. Its zero value is no
// form. It is immutable.
type Header struct {
	name   string
	decode decoder
}

// decoder names one of the ways to write a certificate into a field.
type decoder int

const (
	byteSequence decoder = iota + 1
	escapedPEM
	escapedChain
	forwardedCert
	plainDER
	bareChain
)

// ClientCert is the field Client-Cert of RFC 9440 §2.2: one Structured Fields byte
// sequence, as in :MIIB...:. Client-Cert-Chain is never read.
func ClientCert() Header { return Header{"Client-Cert", byteSequence} }

// Nginx is a field of this name with $ssl_client_escaped_cert: a percent-encoded PEM
// certificate.
//
//	proxy_set_header X-Client-Cert $ssl_client_escaped_cert;
//
// Without a certificate nginx sends no such field, also none of the client's. The older
// variable $ssl_client_cert is not understood.
func Nginx(name string) Header { return named(name, escapedPEM) }

// EnvoyXFCC is the field X-Forwarded-Client-Cert of Envoy with the detail cert set. Set
// forward_client_cert_details to SANITIZE_SET: more than one element, which other proxies
// have appended to, is not accepted.
func EnvoyXFCC() Header { return Header{"X-Forwarded-Client-Cert", forwardedCert} }

// HAProxy is a field of this name with a certificate in base64.
//
//	http-request set-header X-Client-Cert %[ssl_c_der,base64]
func HAProxy(name string) Header { return named(name, plainDER) }

// Traefik is the field X-Forwarded-Tls-Client-Cert of the middleware passTLSClientCert
// with pem: true: base64, the client's own certificate before those that issued it.
func Traefik() Header { return Header{"X-Forwarded-Tls-Client-Cert", bareChain} }

// AWSALB is the field X-Amzn-Mtls-Clientcert-Leaf of an AWS Application Load Balancer
// that verifies client certificates.
func AWSALB() Header { return Header{"X-Amzn-Mtls-Clientcert-Leaf", escapedPEM} }

// AWSALBPassthrough is the field X-Amzn-Mtls-Clientcert of an AWS Application Load
// Balancer that passes certificates through without verifying them: the client's own
// certificate before those that issued it.
func AWSALBPassthrough() Header { return Header{"X-Amzn-Mtls-Clientcert", escapedChain} }

func named(name string, d decoder) Header {
	return Header{textproto.CanonicalMIMEHeaderKey(name), d}
}

// Name is the canonical name of the field; "" for the zero value.
func (h Header) Name() string { return h.name }

// Certificate returns the DER of the client's end-entity certificate from all field lines
// of the name. ok is false if there is no line or more than one, or if it is not exactly
// in this form, or longer than 16 KiB: then the client presented no certificate.
func (h Header) Certificate(lines []string) (der []byte, ok bool) {
	if len(lines) != 1 || len(lines[0]) > maxFieldBytes {
		return nil, false
	}
	value := lines[0]
	switch h.decode {
	case byteSequence:
		return fromByteSequence(value)
	case escapedPEM:
		return fromEscapedPEM(value, 1)
	case escapedChain:
		return fromEscapedPEM(value, maxChain)
	case forwardedCert:
		return fromForwarded(value)
	case plainDER:
		return fromBase64(value)
	case bareChain:
		return fromBareChain(value)
	}
	return nil, false
}

// fromByteSequence reads a byte sequence without parameters (RFC 8941 §3.3.5).
func fromByteSequence(value string) ([]byte, bool) {
	if len(value) < 2 || value[0] != ':' || value[len(value)-1] != ':' {
		return nil, false
	}
	return fromBase64(value[1 : len(value)-1])
}

// fromBase64 wants padding, and no line breaks, which the package base64 would skip.
func fromBase64(value string) ([]byte, bool) {
	if strings.ContainsAny(value, "\r\n") {
		return nil, false
	}
	der, err := base64.StdEncoding.Strict().DecodeString(value)
	if err != nil {
		return nil, false
	}
	return one(der)
}

// fromEscapedPEM: a plus sign stands for itself.
func fromEscapedPEM(value string, atMost int) ([]byte, bool) {
	text, err := url.PathUnescape(value)
	if err != nil {
		return nil, false
	}
	return fromPEM(text, atMost)
}

// fromBareChain reads what is between the markers of PEM certificates, joined by commas;
// older releases percent-encode it.
func fromBareChain(value string) ([]byte, bool) {
	text, err := url.PathUnescape(value)
	if err != nil {
		return nil, false
	}
	leaf, _, _ := strings.Cut(text, ",")
	return fromBase64(leaf)
}
