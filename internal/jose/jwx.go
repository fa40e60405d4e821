// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// This file is the whole contact with the JOSE library. Every call sits behind a
// recover boundary: its input is checked before, but a key set comes from the
// network, and a fault in a parser must skip one key, not end the process.

var errUnprocessable = errors.New("key cannot be processed")

// contain turns a panic into an error that quotes nothing of the input.
func contain(err *error) {
	if v := recover(); v != nil {
		*err = errUnprocessable
	}
}

// build makes a public key of members that were read strictly. No other member of
// the JWK, and none that is private, reaches the library.
func build(m members) (pub crypto.PublicKey, err error) {
	defer contain(&err)
	data, err := json.Marshal(m)
	if err != nil {
		return nil, errUnprocessable
	}
	key, err := jwk.ParseKey(data)
	if err != nil {
		return nil, errUnprocessable
	}
	var raw any
	if err := key.Raw(&raw); err != nil {
		return nil, errUnprocessable
	}
	return raw, nil
}

// thumbprint is RFC 7638 §3.1 with SHA-256.
func thumbprint(pub crypto.PublicKey) (sum [32]byte, err error) {
	defer contain(&err)
	key, err := jwk.FromRaw(pub)
	if err != nil {
		return sum, errUnprocessable
	}
	digest, err := key.Thumbprint(crypto.SHA256)
	if err != nil || len(digest) != len(sum) {
		return sum, errUnprocessable
	}
	return [32]byte(digest), nil
}

// encodeJWK writes raw, public or private, as a JWK with the members of extra
// put over its own. The names in extra never pass through the library.
func encodeJWK(raw any, extra map[string]any) (data []byte, err error) {
	defer contain(&err)
	key, err := jwk.FromRaw(raw)
	if err != nil {
		return nil, fmt.Errorf("a key of type %T has no JWK form", raw)
	}
	if data, err = json.Marshal(key); err != nil {
		return nil, errUnprocessable
	}
	all := make(map[string]any)
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, errUnprocessable
	}
	for name, value := range extra {
		all[name] = value
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // it would make six bytes of one
	if err := e.Encode(all); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
