// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/internal/strictjson"
)

// KeySource hands out the current keys of one issuer. Implementations are safe
// for concurrent use and decide themselves whether a set may still be used: a
// source that may not serve its last set returns an error of class
// [ErrKeysUnavailable] or [ErrMetadata].
//
// miss is nil for the current set. Otherwise it says which set could not verify
// a token, and the source may refresh: it returns a newer set at once if it has
// one, the same set if it knows that a refresh would not help now, and an error
// if it cannot tell (RFC 9068 §4 asks for keys, not for guesses).
//
// A source may have these methods, too, which [New] looks for:
//   - Issuer() string: the issuer whose keys these are. It must equal
//     Config.Issuer; "" means any.
//   - KeySet() *KeySet: the source is fixed, and this is its set, so that New can
//     check that a key fits an allowed algorithm.
//   - PublicOnly() bool: false if the source may connect to addresses that are not
//     public. [NewTenants] refuses such a source (RFC 9728 §7.7).
//   - Close() error: ends the source. [Verifier.Close] calls it.
type KeySource interface {
	Keys(ctx context.Context, miss *Miss) (*KeySet, error)
}

// Miss tells a [KeySource] what could not verify a token.
type Miss struct {
	// Set is the set that failed.
	Set *KeySet
	// KeyID is the token's kid, "" if it has none. It comes from an unverified
	// token: use it for comparison only.
	KeyID string
}

// KeySet is an immutable set of public keys; its pointer is its version. Only
// [ParseKeySet] makes one from text. The zero value and nil are empty sets.
type KeySet struct{ keys []candidate }

// candidate is a key of a set. A local one without kid fits any kid.
type candidate struct {
	*jose.Key
	local bool
}

// KeyInfo describes a key of a set, for operators. Its texts are the issuer's own:
// escape them where they are shown.
type KeyInfo struct {
	// ID is the kid; "" if the key has none.
	ID string
	// Type is the kty with the curve where there is one: RSA, P-256, P-384, P-521 or
	// Ed25519.
	Type string
	// Algorithm is the alg of the key; "" if it has none.
	Algorithm string
}

// ErrPrivateKey marks a note of [ParseKeySet] about a key that carries private
// members (RFC 7517 §9.2). It is used as its public part; no private value is kept.
var ErrPrivateKey = errors.New("key carries private members")

// Len returns the number of usable keys.
func (s *KeySet) Len() int {
	if s == nil {
		return 0
	}
	return len(s.keys)
}

// Local returns a set of the same keys for a source whose keys the application
// configured itself: there a key without kid is a candidate whatever kid a token
// names. In a fetched set it never is (RFC 7515 §4.1.4). Call it once per set: each
// call makes a new version.
func (s *KeySet) Local() *KeySet {
	if s == nil {
		return nil
	}
	local := slices.Clone(s.keys)
	for i := range local {
		local[i].local = true
	}
	return &KeySet{local}
}

// MergeKeySets returns a set with the keys of all sets, in order; nil sets are left
// out, as is a key that an earlier set has under the same kid: it would use up one of
// the eight attempts that a token has. Each call makes a new version, so call it once
// per change.
func MergeKeySets(sets ...*KeySet) *KeySet {
	merged := &KeySet{}
	for _, s := range sets {
		if s == nil {
			continue
		}
		earlier := merged.keys
		for _, k := range s.keys {
			if !slices.ContainsFunc(earlier, k.again) {
				merged.keys = append(merged.keys, k)
			}
		}
	}
	return merged
}

// again tells whether other would serve the same tokens. The ID is compared first,
// since it differs nearly always.
func (k candidate) again(other candidate) bool {
	return k.ID == other.ID && k.HasID == other.HasID && k.local == other.local &&
		k.Issuer == other.Issuer && k.Same(other.Key)
}

// OfIssuer returns a set of those keys whose member issuer is accepted. The member
// is not of RFC 7517: issuers that publish the keys of many tenants in one set name
// there whose key it is, or a template for it. Keys without it are left out. Call it
// once per set: each call makes a new version.
func (s *KeySet) OfIssuer(accept func(issuer string) bool) *KeySet {
	some := &KeySet{}
	if s == nil {
		return some
	}
	for _, k := range s.keys {
		if k.Issuer != "" && accept(k.Issuer) {
			some.keys = append(some.keys, k)
		}
	}
	return some
}

// Describe lists the usable keys in the order of the set.
func (s *KeySet) Describe() []KeyInfo {
	if s == nil {
		return nil
	}
	list := make([]KeyInfo, 0, len(s.keys))
	for _, k := range s.keys {
		list = append(list, KeyInfo{ID: k.ID, Type: k.Type(), Algorithm: k.Algorithm})
	}
	return list
}

// PublicJWKS returns the keys of s as a JWK Set (RFC 7517 §5), in order, so that they
// can be stored: [ParseKeySet] makes of up to 100 of them the same keys. Of each there
// are the public members, kid, alg, use, key_ops and issuer; whatever else was in the
// text that s was read from is left out, private members above all. So is what
// [KeySet.Local] adds. Of nil it is a set without keys. The error is about a secret,
// which has no public form.
func (s *KeySet) PublicJWKS() ([]byte, error) {
	if s == nil {
		s = &KeySet{}
	}
	list := make([][]byte, len(s.keys))
	for i, k := range s.keys {
		var err error
		if list[i], err = k.PublicJWK(); err != nil {
			return nil, fmt.Errorf("key set: %w", err)
		}
	}
	return slices.Concat([]byte(`{"keys":[`), bytes.Join(list, []byte{','}), []byte("]}")), nil
}

// maxKeys bounds a key set; real ones have fewer than ten.
const maxKeys = 100

// ParseKeySet reads a JWK Set (RFC 7517 §5), case-sensitively and strictly. Keys
// that cannot be used are skipped, with a note each; so is a key with a duplicate
// member. skipped also holds a note, matching [ErrPrivateKey], for each key that
// is used although it carries private members. err means that this is not a key
// set: not one JSON object with an array keys, a duplicate member outside the
// keys, or more than 100 keys. No note or error holds a value of the document.
func ParseKeySet(jwks []byte) (set *KeySet, skipped []error, err error) {
	doc, err := strictjson.ParseObjectOuter(jwks, "keys")
	if err != nil {
		return nil, nil, fmt.Errorf("key set: %w", err)
	}
	val, _ := doc.Get("keys")
	elements, ok := val.Elements()
	if !ok {
		return nil, nil, errors.New("key set: no array \"keys\"")
	}
	if len(elements) > maxKeys {
		return nil, nil, fmt.Errorf("key set: more than %d keys", maxKeys)
	}
	set = &KeySet{}
	for i, el := range elements {
		key, err := jose.ParseKey(el.Raw())
		if err != nil {
			skipped = append(skipped, fmt.Errorf("key %d cannot be used: %w", i, err))
			continue
		}
		if key.Private {
			skipped = append(skipped, fmt.Errorf("key %d: %w", i, ErrPrivateKey))
		}
		if !verifies(key) {
			skipped = append(skipped, fmt.Errorf("key %d cannot be used: its use, key_ops or alg is not for verifying signatures", i))
			continue
		}
		set.keys = append(set.keys, candidate{Key: key})
	}
	return set, skipped, nil
}

// verifies tells whether key can serve any algorithm at all. One that cannot does
// not count: a set of encryption keys alone must not replace one that verifies.
func verifies(key *jose.Key) bool {
	return slices.ContainsFunc(jose.DefaultAlgorithms(), key.Fits)
}

// fits tells whether a key of s can serve one of the algorithms.
func (s *KeySet) fits(algorithms map[string]bool) bool {
	for _, k := range s.keys {
		for alg := range algorithms {
			if k.Fits(alg) {
				return true
			}
		}
	}
	return false
}
