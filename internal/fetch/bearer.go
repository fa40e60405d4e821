// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"
)

// What bounds the files that a [Bearer] reads. The time is less than that of a request,
// so that the error can say what was slow.
const (
	maxFile   = 1 << 20
	fileLimit = 2 * time.Second
)

// Bearer is a transport for a key endpoint that itself asks for a bearer token (RFC
// 6750 §2.1). It goes to one origin and refuses every other, so that the token cannot
// reach anyone else. Its files are read for every request, since they rotate, within 2
// seconds. It is safe for concurrent use.
type Bearer struct {
	host      string // with the port, if address has one
	tokenFile string
	caFile    string
	base      http.RoundTripper            // nil: a transport of its own
	readFile  func(string) ([]byte, error) // may never return, on a network file system
	reading   chan struct{}                // holds an element while the files are read

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
	return &Bearer{
		host:      u.Host,
		tokenFile: tokenFile,
		caFile:    caFile,
		base:      base,
		readFile:  readRegular,
		reading:   make(chan struct{}, 1),
	}, nil
}

// RoundTrip sends req with the token. Its errors name files, and hold nothing of
// what is in them.
func (b *Bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" || req.URL.Host != b.host {
		return nil, errors.New("another origin than that of the key endpoint")
	}
	f, err := b.files(req.Context())
	if err != nil {
		return nil, err
	}
	transport, err := b.transport(f.ca)
	if err != nil {
		return nil, err
	}
	if b.tokenFile == "" {
		return transport.RoundTrip(req)
	}
	req = req.Clone(req.Context()) // a RoundTripper leaves its argument alone
	req.Header.Set("Authorization", "Bearer "+f.token)
	return transport.RoundTrip(req)
}

// files is what the files hold, or why not.
type files struct {
	token string
	ca    []byte
	err   error
}

// files reads as long as ctx and the limit allow. A read that never returns keeps its
// goroutine, and later requests wait in vain for that one: no second is left behind.
func (b *Bearer) files(ctx context.Context) (files, error) {
	ctx, cancel := context.WithTimeout(ctx, fileLimit)
	defer cancel()
	late := fmt.Errorf("the bearer token and the certificate authorities could not be read within %v", fileLimit)
	select {
	case b.reading <- struct{}{}:
	case <-ctx.Done():
		return files{}, late
	}
	done := make(chan files, 1)
	go func() {
		defer func() { <-b.reading }()
		done <- b.read()
	}()
	select {
	case f := <-done:
		return f, f.err
	case <-ctx.Done():
		return files{}, late
	}
}

func (b *Bearer) read() (f files) {
	if b.base == nil && b.caFile != "" {
		if f.ca, f.err = b.readFile(b.caFile); f.err != nil {
			f.err = fmt.Errorf("certificate authorities: %w", f.err)
			return f
		}
	}
	if b.tokenFile != "" {
		if f.token, f.err = b.readToken(); f.err != nil {
			f.err = fmt.Errorf("bearer token: %w", f.err)
		}
	}
	return f
}

// transport returns what to send with; the own one is made anew when the file of
// certificate authorities has changed.
func (b *Bearer) transport(ca []byte) (http.RoundTripper, error) {
	if b.base != nil {
		return b.base, nil
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
			return nil, fmt.Errorf("certificate authorities: %s holds no certificate in PEM form", b.caFile)
		}
	}
	b.own, b.ca = own, ca
	return own, nil
}

// readToken lets pass what may stand in a header field: anything else would be
// refused later with an error that quotes it.
func (b *Bearer) readToken() (string, error) {
	data, err := b.readFile(b.tokenFile)
	if err != nil {
		return "", err
	}
	token := bytes.TrimSpace(data)
	if len(token) == 0 {
		return "", fmt.Errorf("%s is empty", b.tokenFile)
	}
	for _, c := range token {
		if c <= ' ' || c >= 0x7f {
			return "", fmt.Errorf("%s holds a character that no token has", b.tokenFile)
		}
	}
	return string(token), nil
}

// readRegular looks before it opens: to open a pipe would wait for a writer, and some
// devices have no end. It follows links, by which mounted volumes are swapped.
func readRegular(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
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
