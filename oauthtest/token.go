// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/verifier"
)

// Edit changes one thing about a token that [Server.Token] would otherwise make
// perfect. Edits apply in order.
type Edit func(*draft)

// draft is a token before it is signed.
type draft struct {
	header map[string]any
	claims map[string]any
	now    time.Time
	life   time.Duration
	key    any // what jose.Sign takes
	forge  bool

	mapping verifier.Mapping // of [Principal]; a server's tokens have the names of RFC 9068
}

// Scope sets the scope claim (RFC 9068 §2.2.3). Without it, and with no argument,
// a token has none.
func Scope(scopes ...string) Edit {
	var value any
	if len(scopes) > 0 {
		value = strings.Join(scopes, " ")
	}
	return func(t *draft) { t.place(t.mapping.Scopes, "scope", value) }
}

// Audience sets aud: one string as such, several as an array (RFC 7519 §4.1.3).
func Audience(aud ...string) Edit {
	if len(aud) == 1 {
		return Claim("aud", aud[0])
	}
	return Claim("aud", aud)
}

// Subject sets sub. The default is "user-1".
func Subject(sub string) Edit { return Claim("sub", sub) }

// ClientID sets client_id (RFC 8693 §4.3). The default is the server's first client.
func ClientID(id string) Edit {
	return func(t *draft) { t.place(t.mapping.ClientID, "client_id", id) }
}

// ExpiresIn sets exp to so long after now, in whole seconds; a negative value makes
// an expired token. iat then moves back with it, so that only exp is wrong.
func ExpiresIn(d time.Duration) Edit {
	return func(t *draft) {
		exp := t.now.Add(d)
		t.claims["exp"] = exp.Unix()
		if !exp.After(t.now) {
			t.claims["iat"] = exp.Add(-t.life).Unix()
		}
	}
}

// Claim sets any claim to any value that encoding/json can write.
func Claim(name string, value any) Edit {
	return func(t *draft) { t.claims[name] = value }
}

// NoClaim leaves a claim out.
func NoClaim(name string) Edit {
	return func(t *draft) { delete(t.claims, name) }
}

// Header sets any header parameter. The token is signed the same way whatever alg says.
func Header(name string, value any) Edit {
	return func(t *draft) { t.header[name] = value }
}

// NoHeader leaves a header parameter out.
func NoHeader(name string) Edit {
	return func(t *draft) { delete(t.header, name) }
}

// Type sets typ; "" leaves it out. The default is "at+jwt" (RFC 9068 §2.1).
func Type(typ string) Edit {
	if typ == "" {
		return NoHeader("typ")
	}
	return Header("typ", typ)
}

// Forged signs with a key that the server never published, under the kid of one
// that it did.
func Forged() Edit { return func(t *draft) { t.forge = true } }

// Token returns a signed access token with every claim of RFC 9068 §2.2: good for
// the default audience, without scope, for [Config.TokenLifetime] from now. The
// default audience is the first one ever given to VerifierConfig or Config; Token is
// at fault while there is none and no edit says which, and for a nil Edit. Safe for
// concurrent use.
func (s *Server) Token(edits ...Edit) string {
	s.tb.Helper()
	raw, err := s.mint(edits...)
	if err != nil {
		s.errorf("%v", err)
	}
	return raw // "" then
}

// mint is Token without a test to fail.
func (s *Server) mint(edits ...Edit) (string, error) {
	if err := checkEdits(edits); err != nil {
		return "", fmt.Errorf("oauthtest: %w", err)
	}
	t := s.draft()
	for _, edit := range edits {
		edit(t)
	}
	if _, unset := t.claims["aud"].(noAudience); unset {
		return "", fmt.Errorf("oauthtest: Token does not know its audience: call VerifierConfig with one first, or use the Audience edit")
	}
	if t.forge {
		var err error
		if t.key, err = foreignKey(s.cfg.Algorithm); err != nil {
			return "", err
		}
	}
	return t.sign(s.cfg.Algorithm)
}

// checkEdits is for those who apply them: a nil one would end the process.
func checkEdits(edits []Edit) error {
	if i := slices.IndexFunc(edits, func(e Edit) bool { return e == nil }); i >= 0 {
		return fmt.Errorf("edit %d is nil: leave it out", i+1)
	}
	return nil
}

// foreignKey is one that the issuer never had.
func foreignKey(alg string) (any, error) {
	if jose.HMAC(alg) {
		return newSecret(alg), nil
	}
	return spare.forger(alg)
}

// noAudience marks a draft whose audience is not known yet.
type noAudience struct{}

func (s *Server) draft() *draft {
	now, id := s.cfg.Now(), s.random() // not under mu: they may be the test's own
	s.mu.Lock()
	defer s.mu.Unlock()
	var aud any = noAudience{}
	if len(s.audience) > 0 {
		aud = s.audience[0]
	}
	key := s.keys[0]
	return &draft{
		header: map[string]any{"typ": "at+jwt", "alg": s.cfg.Algorithm, "kid": key.id},
		claims: map[string]any{
			"iss":       s.issuer,
			"aud":       aud,
			"sub":       "user-1",
			"client_id": s.clientID(),
			"iat":       now.Unix(),
			"exp":       now.Add(s.cfg.TokenLifetime).Unix(),
			"jti":       id,
		},
		now: now, life: s.cfg.TokenLifetime, key: key.signer(),
	}
}

func (t *draft) sign(alg string) (string, error) {
	header, err := json.Marshal(t.header)
	if err != nil {
		return "", fmt.Errorf("oauthtest: header: %w", err)
	}
	claims, err := json.Marshal(t.claims)
	if err != nil {
		return "", fmt.Errorf("oauthtest: claims: %w", err)
	}
	b64 := base64.RawURLEncoding
	input := b64.EncodeToString(header) + "." + b64.EncodeToString(claims)
	sig, err := jose.Sign(alg, t.key, input)
	if err != nil {
		return "", fmt.Errorf("oauthtest: sign: %w", err)
	}
	return input + "." + b64.EncodeToString(sig), nil
}
