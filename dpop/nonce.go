// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/verifier"
)

// NonceConfig describes [Nonces]. [NewNonces] copies it and reports every fault at once.
type NonceConfig struct {
	// Secret makes nonces and knows them again: at least 32 random bytes, the same in all
	// replicas, used for nothing else. Required.
	Secret []byte
	// Previous are secrets that Secret has replaced. Their nonces are accepted while they
	// last. To rotate where replicas restart one by one: first add the new secret here
	// everywhere, then make it Secret and list the old one, and after Lifetime drop that.
	Previous [][]byte
	// Lifetime is how long a nonce is accepted. 0 means 300 s; from 10 s to 1 h. Clients
	// get a new one from half of it on.
	Lifetime time.Duration
	// Now is the clock. nil means time.Now. Safe for concurrent use.
	Now func() time.Time
}

const (
	defaultLifetime = 300 * time.Second
	secretBytes     = 32
	macBytes        = 16
	plainBytes      = 16 // seconds, then randomness
	nonceBytes      = plainBytes + macBytes
)

// Nonces makes and checks nonces (RFC 9449 §8, §9). It keeps no memory of them: any
// replica with the secret knows those of the others. Make one for each API; those of the
// authorization server are none of them. It is immutable and safe for concurrent use.
type Nonces struct {
	secrets  [][]byte // the first makes nonces
	lifetime time.Duration
	now      func() time.Time
}

// NewNonces makes Nonces. The error is of class [verifier.ErrConfig].
func NewNonces(cfg NonceConfig) (*Nonces, error) {
	var faults []error
	fault := func(field, format string, args ...any) {
		faults = append(faults, fmt.Errorf("dpop.NonceConfig."+field+": "+format, args...))
	}
	n := &Nonces{lifetime: cfg.Lifetime, now: cfg.Now}
	if len(cfg.Secret) < secretBytes {
		fault("Secret", "%d bytes are fewer than %d: make it with a random generator", len(cfg.Secret), secretBytes)
	}
	n.secrets = append(n.secrets, slices.Clone(cfg.Secret))
	for i, s := range cfg.Previous {
		if len(s) < secretBytes {
			fault("Previous", "number %d has %d bytes, fewer than %d: leave it out", i, len(s), secretBytes)
		}
		n.secrets = append(n.secrets, slices.Clone(s))
	}
	switch {
	case n.lifetime == 0:
		n.lifetime = defaultLifetime
	case n.lifetime < 10*time.Second || n.lifetime > time.Hour:
		fault("Lifetime", "%v is not from 10 s to 1 h", n.lifetime)
	}
	if n.now == nil {
		n.now = time.Now
	}
	if len(faults) > 0 {
		return nil, &verifier.Error{Class: verifier.ErrConfig, Cause: errors.Join(faults...)}
	}
	return n, nil
}

// Format keeps the secrets out of logs.
func (n *Nonces) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "dpop.Nonces") }

// Make returns a fresh nonce, 43 characters that fit a field value and a JSON string as
// they are. It is "" from nil and the zero value.
func (n *Nonces) Make() string {
	now, ok := n.time()
	if !ok {
		return ""
	}
	var b [nonceBytes]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.Unix())) //nolint:gosec // read back as it was written
	_, _ = rand.Read(b[8:plainBytes])                     // never fails
	copy(b[plainBytes:], seal(n.secrets[0], b[:plainBytes]))
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// time asks the clock, which is the application's code.
func (n *Nonces) time() (now time.Time, ok bool) {
	if n == nil || len(n.secrets) == 0 {
		return time.Time{}, false
	}
	err := hook.Call("NonceConfig.Now", func() { now = n.now() })
	return now, err == nil
}

// check reports whether a nonce is one of this server's that is still accepted, and
// whether the client should have a newer one.
func (n *Nonces) check(nonce string) (ok, old bool) {
	var b [nonceBytes]byte
	if len(nonce) != base64.RawURLEncoding.EncodedLen(nonceBytes) {
		return false, false
	}
	if m, err := base64.RawURLEncoding.Strict().Decode(b[:], []byte(nonce)); err != nil || m != nonceBytes {
		return false, false
	}
	now, ok := n.time()
	if !ok {
		return false, false
	}
	secret := slices.IndexFunc(n.secrets, func(s []byte) bool { return hmac.Equal(seal(s, b[:plainBytes]), b[plainBytes:]) })
	if secret < 0 {
		return false, false
	}
	made := time.Unix(int64(binary.BigEndian.Uint64(b[:8])), 0) //nolint:gosec // as it was written
	age := now.Sub(made)
	if age < -margin || age >= n.lifetime {
		return false, false
	}
	return true, secret > 0 || age >= n.lifetime/2
}

// window is how long a nonce is accepted at most: replicas whose clocks differ see it
// younger than it is.
func (n *Nonces) window() time.Duration { return n.lifetime + margin }

// seal authenticates what a nonce says, for this use only of the secret.
func seal(secret, plain []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("bearerguard DPoP-Nonce 1\x00"))
	mac.Write(plain)
	return mac.Sum(nil)[:macBytes]
}
