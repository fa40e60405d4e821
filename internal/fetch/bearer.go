// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"sync"
)

// maxFile bounds the files that a [Bearer] reads.
const maxFile = 1 << 20

// Bearer is a transport for a key endpoint that itself asks for a bearer token (RFC
// 6750 §2.1). It goes to one origin and refuses every other, so that the token cannot
// reach anyone else. Its files are read for every request, since they rotate. It is
// safe for concurrent use.
type Bearer struct {
	host      string // with the port, if address has one
	tokenFile string
	caFile    string
	base      http.RoundTripper // nil: a transport of its own

	mu  sync.Mutex
	ca  []byte // what own trusts
	own *http.Transport
}

// NewBearer returns a transport for the origin of address. tokenFile may be empty:
// then no token is sent. base is the transport to send with; where it is nil, one
// of its own trusts the certificates of caFile, or those of the system if that is
// empty. No file is read yet.
func NewBearer(base http.RoundTripper, address, tokenFile, caFile string) (*Bearer, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("not an https URL")
	}
	return &Bearer{host: u.Host, tokenFile: tokenFile, caFile: caFile, base: base}, nil
}

// RoundTrip sends req with the token. Its errors name files, and hold nothing of
// what is in them.
func (b *Bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" || req.URL.Host != b.host {
		return nil, errors.New("another origin than that of the key endpoint")
	}
	transport, err := b.transport()
	if err != nil {
		return nil, fmt.Errorf("certificate authorities: %w", err)
	}
	if b.tokenFile == "" {
		return transport.RoundTrip(req)
	}
	token, err := readToken(b.tokenFile)
	if err != nil {
		return nil, fmt.Errorf("bearer token: %w", err)
	}
	req = req.Clone(req.Context()) // a RoundTripper leaves its argument alone
	req.Header.Set("Authorization", "Bearer "+token)
	return transport.RoundTrip(req)
}

// transport returns what to send with; the own one is made anew when the file of
// certificate authorities has changed.
func (b *Bearer) transport() (http.RoundTripper, error) {
	if b.base != nil {
		return b.base, nil
	}
	var ca []byte
	if b.caFile != "" {
		var err error
		if ca, err = readFile(b.caFile); err != nil {
			return nil, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.own != nil && bytes.Equal(ca, b.ca) {
		return b.own, nil
	}
	own := ownTransport()
	if b.caFile != "" {
		own.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !own.TLSClientConfig.RootCAs.AppendCertsFromPEM(ca) {
			return nil, fmt.Errorf("%s holds no certificate in PEM form", b.caFile)
		}
	}
	b.own, b.ca = own, ca
	return own, nil
}

// readToken lets pass what may stand in a header field: anything else would be
// refused later with an error that quotes it.
func readToken(name string) (string, error) {
	data, err := readFile(name)
	if err != nil {
		return "", err
	}
	token := bytes.TrimSpace(data)
	if len(token) == 0 {
		return "", fmt.Errorf("%s is empty", name)
	}
	for _, c := range token {
		if c <= ' ' || c >= 0x7f {
			return "", fmt.Errorf("%s holds a character that no token has", name)
		}
	}
	return string(token), nil
}

func readFile(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxFile)
	}
	return data, nil
}
