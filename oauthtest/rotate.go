// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"

	"github.com/bearerguard/bearerguard/internal/jose"
)

// Rotate makes a new key, which signs from now on. The key set then holds the new key
// and the newest of those that it held before; older ones are withdrawn. A verifier is
// expected to fetch the set once, when it sees the first token of the new key, and to
// refuse no good token meanwhile.
//
// One with the Keys of VerifierConfig does so from 30 s after its last fetch on: until
// then it takes a token of the new key for one of an unknown key, since made-up kids
// must not cause a fetch each (KS-11). A test that rotates sooner sleeps for
// longer than that inside a testing/synctest bubble, or sets Keys to a cache with a
// shorter [jwkscache.Config].UnknownKeyCooldown.
func (s *Server) Rotate() {
	s.tb.Helper()
	s.rotate(true, 1)
}

// RotateAbruptly is Rotate without overlap: the key set holds the new key alone, as
// after a leak. A verifier is expected to accept tokens of the new key after one fetch,
// and to refuse those of the old one as soon as it has fetched, which without such a
// token takes until its copy is no longer fresh.
func (s *Server) RotateAbruptly() {
	s.tb.Helper()
	s.rotate(true, 0)
}

// RotateUnpublished is Rotate by an issuer that forgets the key set: the new key signs,
// but is published by Publish only. A verifier is expected to refuse the new tokens
// with few fetches, to accept them soon after Publish, and the old ones always.
func (s *Server) RotateUnpublished() {
	s.tb.Helper()
	s.rotate(false, math.MaxInt)
}

// Publish puts the key that signs into the key set, and withdraws all but the newest of
// those that it held before. A key that signed before and was never published stays so.
func (s *Server) Publish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[0].published = s.keys[0].jwk != nil
	s.withdraw(2)
}

// rotate leaves the newest keep of the published keys in the key set.
func (s *Server) rotate(publish bool, keep int) {
	s.tb.Helper()
	key, err := newSigningKey(s.cfg.Algorithm)
	if err != nil {
		s.errorf("%v", err)
		return
	}
	key.published = publish && key.jwk != nil
	s.mu.Lock()
	defer s.mu.Unlock()
	s.withdraw(keep)
	s.keys = append([]*signingKey{key}, s.keys...)
}

// withdraw takes all but the newest keep of the published keys out of the key set, which
// then is no longer the edited one. A key that was never published takes nobody's place:
// nothing could be verified without the one before it. The caller holds mu.
func (s *Server) withdraw(keep int) {
	for _, k := range s.keys {
		if k.published {
			k.published = keep > 0
			keep--
		}
	}
	s.edited = nil
}

// signingKey returns the key that signs now.
func (s *Server) signingKey() *signingKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[0]
}

// KeySet returns the JWK Set (RFC 7517 §5) that the server publishes now, whatever
// faults its endpoint has; for jwkscache.NewStatic, for example. nil where
// Config.Algorithm is one of HMAC: there is no key set then.
func (s *Server) KeySet() []byte {
	if jose.HMAC(s.cfg.Algorithm) {
		return nil
	}
	return s.keySet()
}

// keySet is the JWK Set as EditKeySet left it, or else of the published keys.
func (s *Server) keySet() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.edited != nil {
		return bytes.Clone(s.edited)
	}
	return s.plainKeySet()
}

// plainKeySet is the key set without edits. The caller holds mu.
func (s *Server) plainKeySet() []byte {
	var keys [][]byte
	for _, k := range s.keys {
		if k.published {
			keys = append(keys, k.jwk)
		}
	}
	for _, k := range s.extra {
		keys = append(keys, k)
	}
	return []byte(`{"keys":[` + string(bytes.Join(keys, []byte(","))) + `]}`)
}

// EditKeySet publishes what edit makes of the key set, until the next rotation or
// Publish; the keys that sign stay the same. edit is called once, at once, with the
// unedited JWKs, the newest first, and returns those to publish. nil undoes the edit. If
// the keys change while edit runs, what it returns is of no use any more, and dropped.
//
//	as.EditKeySet(func(keys []map[string]any) []map[string]any {
//		delete(keys[0], "kid")
//		return keys
//	})
//
// What no JSON object can say, such as a duplicate member, is a [Fault]'s Body.
func (s *Server) EditKeySet(edit func(keys []map[string]any) []map[string]any) {
	s.tb.Helper()
	if jose.HMAC(s.cfg.Algorithm) {
		s.errorf("oauthtest: EditKeySet: a server that signs with %s has no key set", s.cfg.Algorithm)
		return
	}
	s.mu.Lock()
	plain := s.plainKeySet()
	s.mu.Unlock()
	var edited []byte
	if edit != nil {
		var err error
		if edited, err = editKeys(plain, edit); err != nil {
			s.errorf("oauthtest: EditKeySet: %v", err)
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if bytes.Equal(plain, s.plainKeySet()) {
		s.edited = edited
	}
}

func editKeys(set []byte, edit func([]map[string]any) []map[string]any) ([]byte, error) {
	var doc struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(set, &doc); err != nil {
		return nil, err
	}
	if doc.Keys = edit(doc.Keys); doc.Keys == nil {
		doc.Keys = []map[string]any{} // a set without keys, not a document without a set
	}
	return json.Marshal(doc)
}

// PrivateJWK returns the key that signs now with its private members, or the secret as
// a key of type oct: to sign with other tools, and to publish by mistake.
func (s *Server) PrivateJWK() map[string]any {
	s.tb.Helper()
	key := s.signingKey()
	members := map[string]any{"kid": key.id, "alg": s.cfg.Algorithm, "use": "sig"}
	if key.secret != nil {
		members["kty"], members["k"] = "oct", base64.RawURLEncoding.EncodeToString(key.secret)
		return members
	}
	jwk, err := jose.PrivateJWK(key.private, members)
	if err == nil {
		err = json.Unmarshal(jwk, &members)
	}
	if err != nil { // a Config.Key that only signs, as one in hardware does
		s.errorf("oauthtest: PrivateJWK: %v", err)
		return nil
	}
	return members
}

// setExtraKeys publishes these JWKs behind the good ones; nil withdraws them.
func (s *Server) setExtraKeys(jwks []json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.extra, s.edited = jwks, nil
}
