// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/verifier"
)

// Principal returns a token as a verifier of cfg, the configuration of production,
// would hand it to a handler: for tests of handlers, jobs and gRPC methods that are to
// need neither issuer nor HTTP. It signs what [Server.Token] would make with the same
// edits, for cfg.Issuer and the first of cfg.Audience, with the claims that
// cfg.RequiredClaims and cfg.Clients ask for, and verifies it. Only cfg.Keys and
// cfg.CacheEntries are replaced, so that Keys may be nil; all else is as in production,
// hooks included. For a configuration of verifier.NewSymmetric, name its Algorithms.
// [Scope] and [ClientID] write the claims that cfg.Mapping names; [Claim] is taken
// literally. A principal that production would refuse fails the test, as do a nil Edit
// and a principal bound by cnf, for which there is no proof. Safe for concurrent use.
func Principal(t testing.TB, cfg verifier.Config, edits ...Edit) *verifier.Token {
	t.Helper()
	tok, err := principal(cfg, edits)
	if err != nil {
		t.Fatalf("oauthtest: %v", err)
	}
	return tok
}

// Identify returns r with tok in its context, where middleware.TokenFrom finds it, as
// behind a guard with the rules reqs. Rules that tok does not meet fail the test, and so
// does a Token that no verifier made: get it from [Principal], or use [WithToken] to
// plant what production could not. The rules are asked of the fields of tok as they are:
// what the test changed in them since, scopes for example, no issuer has granted, and
// Identify does not see it. The request shares tok. No guard further in accepts it; a
// request that is to pass a guard needs the text of a token ([Server.Token]).
func Identify(t testing.TB, r *http.Request, tok *verifier.Token, reqs ...verifier.Requirement) *http.Request {
	t.Helper()
	if r == nil {
		t.Fatalf("oauthtest: there is no request to identify: make one with httptest.NewRequest")
	}
	if !verified(tok) {
		t.Fatalf("oauthtest: this Token was not made by a verifier, so production might never see it: take one of oauthtest.Principal, or plant it with oauthtest.WithToken")
	}
	if err := tok.Require(reqs...); err != nil {
		t.Fatalf("oauthtest: production would refuse this principal on a route with these rules: %v", err)
	}
	return r.WithContext(WithToken(r.Context(), tok))
}

// verified reports whether a verifier made tok. Decode fails for others, but for claims
// that differ by case only as well, which production hands to a handler all the same; the
// class of the two errors is one, so that the text must tell.
func verified(tok *verifier.Token) bool {
	err := tok.Decode(new(map[string]json.RawMessage))
	return err == nil || !strings.Contains(err.Error(), "not made by a Verifier")
}

func principal(cfg verifier.Config, edits []Edit) (*verifier.Token, error) {
	key, err := throwAway.of(cfg.Algorithms)
	if err != nil {
		return nil, err
	}
	v, err := key.verifier(cfg)
	if err != nil {
		return nil, fmt.Errorf("this verifier.Config is faulty, in production as well: %w", err)
	}
	raw, err := key.mint(cfg, edits)
	if err != nil {
		return nil, err
	}
	tok, err := v.Verify(context.Background(), raw)
	switch {
	case errors.Is(err, verifier.ErrBinding):
		return nil, fmt.Errorf("production would refuse this principal without a proof of possession: leave out the edit of cnf: %w", err)
	case err != nil:
		return nil, fmt.Errorf("production would refuse this principal: %w", err)
	}
	return tok, nil
}

func (k *throwAwayKey) mint(cfg verifier.Config, edits []Edit) (raw string, err error) {
	if err := checkEdits(edits); err != nil {
		return "", err
	}
	d := k.draft(cfg)
	for _, edit := range edits {
		edit(d)
	}
	if d.forge {
		if d.key, err = foreignKey(k.alg); err != nil {
			return "", err
		}
	}
	return d.sign(k.alg)
}

// throwAwayKey signs principals. No server publishes it, so that what it signs is
// worth nothing anywhere else.
type throwAwayKey struct {
	alg     string
	private any // what jose.Sign takes
	set     *verifier.KeySet
	secret  []byte // for HMAC, instead of set
}

// throwAway has a key for each algorithm that was asked for: a test may make thousands
// of principals.
var throwAway = throwAwayKeys{made: map[string]*throwAwayKey{}}

type throwAwayKeys struct {
	mu   sync.Mutex
	made map[string]*throwAwayKey
}

// of returns the key for the first algorithm of the list. An algorithm that does not
// exist gets any key, since verifier.New says best what is wrong with the list.
func (k *throwAwayKeys) of(algorithms []string) (*throwAwayKey, error) {
	alg := "ES256" // quick to make
	if len(algorithms) > 0 && (jose.HMAC(algorithms[0]) || slices.Contains(jose.DefaultAlgorithms(), algorithms[0])) {
		alg = algorithms[0]
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.made[alg] == nil {
		key, err := newThrowAwayKey(alg)
		if err != nil {
			return nil, err
		}
		k.made[alg] = key
	}
	return k.made[alg], nil
}

func newThrowAwayKey(alg string) (*throwAwayKey, error) {
	if jose.HMAC(alg) {
		secret := newSecret(alg)
		return &throwAwayKey{alg: alg, private: secret, secret: secret}, nil
	}
	f, err := family(alg)
	if err != nil {
		return nil, err
	}
	private, err := generate(f)
	if err != nil {
		return nil, err
	}
	jwk, err := jose.PublicJWK(private.Public(), map[string]any{"kid": throwAwayID, "alg": alg})
	if err != nil {
		return nil, err
	}
	set, _, err := verifier.ParseKeySet([]byte(`{"keys":[` + string(jwk) + `]}`))
	return &throwAwayKey{alg: alg, private: private, set: set}, err
}

const throwAwayID = "throw-away"

// verifier is production's, but for the keys.
func (k *throwAwayKey) verifier(cfg verifier.Config) (*verifier.Verifier, error) {
	if k.secret != nil {
		return verifier.NewSymmetric(cfg, verifier.Secret{KeyID: throwAwayID, Algorithm: k.alg, Value: k.secret})
	}
	cfg.Keys = fixedKeys{k.set, sourceIssuer(cfg.Keys)}
	cfg.CacheEntries = -1
	return verifier.New(cfg)
}

// fixedKeys stands in for a source: of an issuer that the source found by discovery,
// verifier.New accepts names that it would not accept otherwise.
type fixedKeys struct {
	set    *verifier.KeySet
	issuer string
}

func (k fixedKeys) Keys(context.Context, *verifier.Miss) (*verifier.KeySet, error) {
	return k.set, nil
}
func (k fixedKeys) Issuer() string { return k.issuer }

func sourceIssuer(keys verifier.KeySource) (issuer string) {
	if src, ok := keys.(interface{ Issuer() string }); ok && !hook.Nil(keys) {
		_ = hook.Call("Config.Keys", func() { issuer = src.Issuer() }) // "": any
	}
	return issuer
}

// draft is a token that is good for cfg.
func (k *throwAwayKey) draft(cfg verifier.Config) *draft {
	now := time.Now()
	if cfg.Now != nil {
		_ = hook.Call("Config.Now", func() { now = cfg.Now() }) // Verify will say it
	}
	const life = 10 * time.Minute
	d := &draft{
		header: map[string]any{"typ": "at+jwt", "alg": k.alg, "kid": throwAwayID},
		claims: map[string]any{"iss": cfg.Issuer, "sub": "user-1", "iat": now.Unix(), "exp": now.Add(life).Unix(), "jti": rand.Text()},
		now:    now, life: life, key: k.private, mapping: cfg.Mapping,
	}
	d.fit(cfg)
	return d
}

// fit adds what cfg asks for beyond the claims that every token has.
func (t *draft) fit(cfg verifier.Config) {
	client := "test-client"
	if len(cfg.Clients) > 0 {
		client = cfg.Clients[0]
	}
	t.place(cfg.Mapping.ClientID, "client_id", client)
	if len(cfg.Audience) > 0 {
		t.claims["aud"] = cfg.Audience[0]
	}
	for _, c := range cfg.RequiredClaims {
		var value any = true
		if len(c.Values) > 0 {
			value = c.Values[0]
		}
		t.place(c.Path, "", value)
	}
}

// place sets the claim that path leads to, or name where no path is set; nil removes it.
func (t *draft) place(path verifier.ClaimPath, name string, value any) {
	if len(path) == 0 {
		path = verifier.ClaimPath{name}
	}
	last := len(path) - 1
	at := t.claims
	for _, member := range path[:last] {
		inner, ok := at[member].(map[string]any)
		if !ok {
			inner = map[string]any{}
			at[member] = inner
		}
		at = inner
	}
	if value == nil {
		delete(at, path[last])
	} else {
		at[path[last]] = value
	}
}
