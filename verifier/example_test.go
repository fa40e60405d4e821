// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/bearerguard/bearerguard/verifier"
)

// published stands for the key set of an issuer; a service would use jwkscache.
type published struct{ set *verifier.KeySet }

func (p published) Keys(context.Context, *verifier.Miss) (*verifier.KeySet, error) { return p.set, nil }

// exampleConfig is what the examples share; its clock stands still.
func exampleConfig() verifier.Config {
	return verifier.Config{
		Issuer:   "https://id.example.com",
		Audience: []string{"https://api.example.com"},
		Keys:     published{jwks(jwk(rsaOne(), object{"kid": "one"}))},
		Now:      config().Now,
	}
}

// readOrders is a rule; package scopes has ready-made ones.
type readOrders struct{}

func (readOrders) Check(tok *verifier.Token) error {
	if !tok.HasScope("orders:read") {
		return verifier.ErrInsufficientScope
	}
	return nil
}

func ExampleVerifier_Verify() {
	v, err := verifier.New(exampleConfig())
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()

	tok, err := v.Verify(ctx, token(nil, nil), readOrders{})
	fmt.Println(tok.Issuer, tok.Subject, tok.Scopes, err)

	_, err = v.Verify(ctx, token(nil, object{"scope": "orders:list"}), readOrders{})
	fmt.Println(errors.Is(err, verifier.ErrInsufficientScope))

	_, err = v.Verify(ctx, token(nil, object{"exp": 1}), readOrders{})
	fmt.Println(errors.Is(err, verifier.ErrExpired), errors.Is(err, verifier.ErrInvalidToken))
	// Output:
	// https://id.example.com user-1 [orders:read] <nil>
	// true
	// true true
}

// Every fault of a configuration is reported at once.
func ExampleNew() {
	_, err := verifier.New(verifier.Config{Issuer: "http://id.example.com", Algorithms: []string{"none"}})
	fmt.Println(errors.Is(err, verifier.ErrConfig))
	fmt.Println(err)
	// Output:
	// true
	// configuration error: verifier.Config.Algorithms holds "none": use one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519
	// verifier.Config.Issuer is not an https URL without userinfo, query and fragment: correct it; for http in development give jwkscache.Config its Issuer and InsecureHosts; for an issuer older than RFC 9068 set Profile to ProfileJWT, which loosens the checks of claims as well
	// verifier.Config.Audience is empty: set it to the identifier of this API that the issuer puts into aud
	// verifier.Config.Keys is nil: set it to a jwkscache.Cache or another source of the issuer's keys
}

// Keys, audiences and everything else stay with each issuer.
func ExampleJoin() {
	one, err := verifier.New(exampleConfig())
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg := exampleConfig()
	cfg.Issuer = "https://login.example.org"
	two, err := verifier.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	both, err := verifier.Join(one, two)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, iss := range []string{"https://id.example.com", "https://login.example.org", "https://other.example.net"} {
		_, err := both.Verify(context.Background(), token(nil, object{"iss": iss}))
		fmt.Println(iss, verifier.ClassOf(err))
	}
	// Output:
	// https://id.example.com <nil>
	// https://login.example.org <nil>
	// https://other.example.net wrong issuer
}

// Private claims are read from the very bytes that were verified.
func ExampleToken_Decode() {
	v, err := verifier.New(exampleConfig())
	if err != nil {
		fmt.Println(err)
		return
	}
	tok, err := v.Verify(context.Background(), token(nil, object{"plan": "gold"}))
	if err != nil {
		fmt.Println(err)
		return
	}
	var mine struct {
		Plan string `json:"plan"`
	}
	fmt.Println(tok.Decode(&mine), mine.Plan)
	// Output: <nil> gold
}

// Deciding by a class alone goes wrong: an error says what was found first, not
// that everything else is in order. Only a nil error lets a request in.
func ExampleVerifier_Verify_incorrect() {
	v, err := verifier.New(exampleConfig())
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = v.Verify(context.Background(), token(nil, object{"exp": 1, "sub": nil}))
	if errors.Is(err, verifier.ErrExpired) {
		fmt.Println("do not go on here: the token is expired, and nobody looked at its subject yet")
	}
	// Output: do not go on here: the token is expired, and nobody looked at its subject yet
}

// staff is a rule of an application: the user's e-mail address is verified and of
// exactly this domain. It reads the address strictly, since what looks like a domain
// can stand before the last @, and more can follow behind it.
type staff struct{ domain string }

func (s staff) Check(tok *verifier.Token) error {
	var user struct {
		Email    string `json:"email"`
		Verified bool   `json:"email_verified"`
	}
	if err := tok.Decode(&user); err != nil {
		return verifier.ErrForbidden
	}
	name, domain, _ := strings.Cut(user.Email, "@")
	if !user.Verified || name == "" || domain != s.domain {
		return verifier.ErrForbidden // 403: more scope would not help
	}
	return nil
}

// A rule of your own is a type with one method.
func ExampleRequirement() {
	v, err := verifier.New(exampleConfig())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, email := range []string{"ada@company.com", "ada@evil.com@company.com"} {
		raw := token(nil, object{"email": email, "email_verified": true})
		_, err := v.Verify(context.Background(), raw, staff{"company.com"})
		fmt.Println(email, verifier.ClassOf(err))
	}
	// Output:
	// ada@company.com <nil>
	// ada@evil.com@company.com forbidden
}
