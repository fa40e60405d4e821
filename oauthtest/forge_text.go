// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// makeFit makes a token for r.Text. Of a signature that loses an octet that octet is a zero,
// if one is found in time: a reader that fills up what is missing gets the whole of it.
func (m *making) makeFit(r recipe) (string, error) {
	for tries := m.tries(r); ; tries-- {
		token, err := m.make(r)
		if err != nil || tries <= 1 || losesZero(r.Text[0], token) {
			return token, err
		}
		m.draft.claims["jti"] = rand.Text() // RS256 and EdDSA sign one text in one way
	}
}

// tries bounds the search, of which one in 256 succeeds, to a fraction of a second.
func (m *making) tries(r recipe) int {
	_, named := m.draft.claims["jti"]
	drops := len(r.Text) == 1 && (r.Text[0] == "drop-first" || r.Text[0] == "drop-last")
	switch key, isRSA := m.public().(*rsa.PublicKey); {
	case !named || !drops:
		return 1
	case isRSA: // a signature takes as long as the third power of its length says
		return 256 * 2048 / key.N.BitLen() * 2048 / key.N.BitLen() * 2048 / key.N.BitLen()
	}
	return 1024
}

func losesZero(operation, token string) bool {
	sig, err := b64.DecodeString(token[strings.LastIndexByte(token, '.')+1:])
	if err != nil || len(sig) == 0 {
		return false
	}
	if operation == "drop-first" {
		return sig[0] == 0
	}
	return sig[len(sig)-1] == 0
}

// operate takes one step of recipe.Text on a token of three segments.
func (m *making) operate(name, token string) (string, error) {
	dot := strings.LastIndexByte(token, '.')
	if dot < 0 {
		return "", fmt.Errorf("%s: no segments", name)
	}
	input, segment := token[:dot], token[dot+1:]
	switch name {
	case "last-bits":
		segment, err := spareBits(segment)
		return input + "." + segment, err
	case "other-payload":
		return m.otherPayload(input, segment)
	}
	sig, err := b64.DecodeString(segment)
	if err != nil {
		return "", err
	}
	if sig, err = m.reshape(name, sig); err != nil {
		return "", err
	}
	return input + "." + b64.EncodeToString(sig), nil
}

// otherPayload takes the payload of another good token, of a subject with more rights.
func (m *making) otherPayload(input, segment string) (string, error) {
	other, err := m.f.server.mint(append(m.f.goodEdits(), Subject("admin"))...)
	if err != nil {
		return "", err
	}
	header, _, _ := strings.Cut(input, ".")
	return header + "." + strings.Split(other, ".")[1] + "." + segment, nil
}

// reshape changes the octets of a signature.
func (m *making) reshape(name string, sig []byte) ([]byte, error) {
	if len(sig) == 0 {
		return nil, fmt.Errorf("%s: there is no signature", name)
	}
	switch name {
	case "flip-bit":
		sig[len(sig)/2] ^= 1
		return sig, nil
	case "drop-first":
		return sig[1:], nil
	case "drop-last":
		return sig[:len(sig)-1], nil
	case "prepend-zero":
		return append([]byte{0}, sig...), nil
	case "append-zero":
		return append(sig, 0), nil
	}
	return m.replace(name, sig)
}

// replace puts something else in the place of a signature.
func (m *making) replace(name string, sig []byte) ([]byte, error) {
	switch name {
	case "zeros":
		return make([]byte, len(sig)), nil
	case "ones":
		return slices.Repeat([]byte{0xff}, len(sig)), nil
	case "s-plus-l":
		return addOrder(sig)
	}
	if length, ok := strings.CutPrefix(name, "length-"); ok {
		n, err := strconv.ParseUint(length, 10, 12)
		return append(slices.Clone(sig), make([]byte, max(0, int(n)-len(sig)))...)[:n], err
	}
	return m.reshapeEC(name, sig)
}

// groupOrder is L of RFC 8032 §5.1.
var groupOrder, _ = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)

// addOrder adds L to the second half of an Ed25519 signature, which RFC 8032 §5.1.7
// wants below L.
func addOrder(sig []byte) ([]byte, error) {
	if len(sig) != 64 {
		return nil, fmt.Errorf("a signature of %d octets is none of Ed25519", len(sig))
	}
	little := slices.Clone(sig[32:])
	slices.Reverse(little)
	sum := new(big.Int).Add(new(big.Int).SetBytes(little), groupOrder)
	if sum.BitLen() > 256 {
		return nil, errors.New("s and L together have more than 32 octets: s is none of Ed25519")
	}
	s := sum.FillBytes(make([]byte, 32))
	slices.Reverse(s)
	return slices.Concat(sig[:32], s), nil
}

// reshapeEC changes the two numbers of an ECDSA signature (RFC 7518 §3.4).
func (m *making) reshapeEC(name string, sig []byte) ([]byte, error) {
	pub, ok := m.public().(*ecdsa.PublicKey)
	if !ok || len(sig)%2 != 0 {
		return nil, fmt.Errorf("%q cannot be done to a signature of %d octets by a key of type %T", name, len(sig), m.draft.key)
	}
	size := len(sig) / 2
	r, s, n := new(big.Int).SetBytes(sig[:size]), new(big.Int).SetBytes(sig[size:]), pub.Params().N
	switch name {
	case "r-order":
		r = n
	case "s-order":
		s = n
	case "n-minus-s":
		s = new(big.Int).Sub(n, s)
	case "wide":
		size += 16
	case "der":
		return asn1.Marshal(struct{ R, S *big.Int }{r, s})
	default:
		return nil, fmt.Errorf("no operation %q", name)
	}
	return slices.Concat(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))), nil
}
