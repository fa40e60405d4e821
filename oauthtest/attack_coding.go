// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// coded reads a body without its content coding (RFC 9110 §8.4.1). What it reads is to be
// bounded by the caller: a few octets can stand for very many.
type coded struct {
	raw    *bufio.Reader
	coding string // in small letters; "" none
	plain  io.Reader
}

func newCoded(resp *http.Response) *coded {
	coding := strings.ToLower(strings.Join(resp.Header.Values("Content-Encoding"), ", "))
	switch coding = strings.TrimSpace(coding); coding {
	case "identity":
		coding = ""
	case "x-gzip":
		coding = "gzip"
	}
	return &coded{raw: bufio.NewReader(resp.Body), coding: coding}
}

// errCoding: the body cannot be read, so that nothing can be said about it.
var errCoding = errors.New("oauthtest: an unknown content coding, or a body that is not in it")

// Read opens the body when its first octets are there: refusals, and answers to HEAD, may
// have a coding and no body.
func (c *coded) Read(p []byte) (int, error) {
	if c.plain == nil {
		if _, err := c.raw.Peek(1); err != nil {
			return 0, err
		}
		plain, err := c.open()
		if err != nil {
			return 0, codingFault(err)
		}
		c.plain = plain
	}
	n, err := c.plain.Read(p)
	if err == io.EOF { // the connection may be wanted, and the trailer
		io.Copy(io.Discard, io.LimitReader(c.raw, answerLimit))
	}
	return n, codingFault(err)
}

func (c *coded) open() (io.Reader, error) {
	switch c.coding {
	case "":
		return c.raw, nil
	case "gzip":
		return gzip.NewReader(c.raw)
	case "deflate": // many servers leave out the frame of zlib
		if b, err := c.raw.Peek(2); err == nil && b[0]&0x0f == 8 && (int(b[0])<<8|int(b[1]))%31 == 0 {
			return zlib.NewReader(c.raw)
		}
		return flate.NewReader(c.raw), nil
	}
	return nil, errCoding
}

// codingFault tells a body that is not what its coding says from a connection that ends.
func codingFault(err error) error {
	var corrupt flate.CorruptInputError
	if errors.As(err, &corrupt) {
		return errCoding
	}
	for _, fault := range []error{gzip.ErrHeader, gzip.ErrChecksum, zlib.ErrHeader, zlib.ErrChecksum, zlib.ErrDictionary} {
		if errors.Is(err, fault) {
			return errCoding
		}
	}
	return err
}

// unreadable is the error of an attack that cannot see what the API answers, or nil.
func (a answer) unreadable() error {
	if !errors.Is(a.err, errCoding) {
		return nil
	}
	coding, name := a.header.Get("Content-Encoding"), "a Content-Encoding"
	if len(coding) < tellingPart {
		name = fmt.Sprintf("the Content-Encoding %q", coding)
	}
	remedy := "switch compression off for the attack"
	if !compresses(coding) {
		remedy += ", or correct the header: it names no compression"
	}
	return fmt.Errorf("oauthtest: an answer has %s, and cannot be read (gzip and deflate can): leave Accept-Encoding out of Target.Header, or %s", name, remedy)
}

// codings are the registered ones that compress (RFC 9110 §16.6.1).
var codings = []string{"br", "compress", "dcb", "dcz", "deflate", "exi", "gzip", "pack200-gzip", "x-compress", "x-gzip", "zstd"}

// compresses tells whether a Content-Encoding names a compression at all.
func compresses(encoding string) bool {
	for name := range strings.SplitSeq(encoding, ",") {
		if slices.Contains(codings, strings.ToLower(strings.TrimSpace(name))) {
			return true
		}
	}
	return false
}
