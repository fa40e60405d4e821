// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// leeway is allowed for clocks by all who can be told so.
const leeway = 30 * time.Second

// setup is what a verifier is told: whose tokens to accept, for whom, by which
// algorithm, and the issuer's JWK Set. With HS256 the set holds secrets.
type setup struct {
	alg, kid         string // kid is that of the key in use
	issuer, audience string
	keys             []byte
}

// byID are the keys of the set as values of the standard library.
func (c setup) byID() (map[string]any, error) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(c.keys, &set); err != nil {
		return nil, err
	}
	keys := make(map[string]any, len(set.Keys))
	for _, k := range set.Keys {
		keys[k.KeyID] = k.Key
	}
	return keys, nil
}

// key is the one in use.
func (c setup) key() (any, error) {
	keys, err := c.byID()
	if err != nil {
		return nil, err
	}
	if keys[c.kid] == nil {
		return nil, fmt.Errorf("no key %q", c.kid)
	}
	return keys[c.kid], nil
}

// keysURL is where the set can be fetched by client.
func (c setup) keysURL() string { return c.issuer + "/keys" }

// client answers each request with the key set, without a network.
func (c setup) client() *http.Client { return &http.Client{Transport: keyServer(c.keys)} }

type keyServer []byte

func (s keyServer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body.Close()
	}
	return &http.Response{
		StatusCode:    http.StatusOK,
		Status:        "200 OK",
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        http.Header{"Content-Type": {"application/jwk-set+json"}, "Cache-Control": {"max-age=86400"}},
		Body:          io.NopCloser(bytes.NewReader(s)),
		ContentLength: int64(len(s)),
		Request:       r,
	}, nil
}
