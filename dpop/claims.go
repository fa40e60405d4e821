// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"crypto/subtle"
	"errors"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/internal/strictjson"
	"github.com/bearerguard/bearerguard/verifier"
)

// margin is for the clocks of replicas that share a store: a proof that one of them
// takes for too old may still be young enough for another.
const margin = 30 * time.Second

// checkClaims compares the claims of a proof with the request (RFC 9449 §4.3 (8) to
// (12)). What is plainly wrong is said first, so that a client is not sent for a nonce in
// vain; a missing nonce is said before anything about time, since it cures that.
func (v *Verifier) checkClaims(d *desk, r Request) (*Proof, error) {
	p := &Proof{verifier: v}
	if err := p.readID(d.claims); err != nil {
		return nil, refused(err)
	}
	if err := checkMethod(d.claims, r.Method); err != nil {
		return nil, refused(err)
	}
	if err := p.checkURI(d.claims, r); err != nil {
		return nil, refused(err)
	}
	if err := checkHash(d.claims, r.Token); err != nil {
		return nil, refused(err)
	}
	times, err := readTimes(d.claims)
	if err != nil {
		return nil, refused(err)
	}
	if err := p.checkNonce(d.claims); err != nil {
		return nil, err
	}
	return p, p.checkTimes(times, r.MaxFuture)
}

func (p *Proof) readID(claims strictjson.Object) error {
	id, err := textOf(claims, "jti")
	switch {
	case err != nil:
		return err
	case id == "":
		return errors.New("jti is empty")
	case len(id) > maxIDBytes:
		return errors.New("jti is longer than 256 bytes")
	}
	p.id = strings.Clone(id)
	return nil
}

// checkMethod: methods are case-sensitive, and HEAD is not GET (RFC 9110 §9.1).
func checkMethod(claims strictjson.Object, method string) error {
	htm, err := textOf(claims, "htm")
	if err != nil {
		return err
	}
	if htm != method {
		return errors.New("htm is not the method of the request (compared exactly)")
	}
	return nil
}

// checkURI compares htu with the target as one of the allowed origins has it. Which of
// them, the request says; that it is one of them, the configuration.
func (p *Proof) checkURI(claims strictjson.Object, r Request) error {
	htu, err := textOf(claims, "htu")
	if err != nil {
		return err
	}
	if htu, err = normalize(htu); err != nil {
		return err
	}
	base, ok := p.verifier.origin(r.Host)
	if !ok {
		return errors.New("the request names no host of Config.Origins: list the origin that clients use, with its port; behind a proxy, let it pass the Host on")
	}
	want, err := target(base, r.Target)
	if err != nil {
		return err
	}
	if htu != want {
		return errors.New("htu is not the URI of the request: Config.Origins must name scheme, host, port and path prefix as clients see them")
	}
	p.uri = want
	return nil
}

// origin selects the allowed origin of a host: the one with that authority, or the only
// one, for which it does not matter what the request says.
func (v *Verifier) origin(host string) (base string, ok bool) {
	if len(v.origins) == 1 {
		return v.origins[0].base, true
	}
	for i := range v.origins {
		if sameAuthority(host, v.origins[i]) {
			return v.origins[i].base, true
		}
	}
	return "", false
}

// sameAuthority compares a Host field with an origin, whose default port is left out.
func sameAuthority(host string, o origin) bool {
	if host == o.authority {
		return true
	}
	scheme, _, _ := strings.Cut(o.base, ":")
	host = strings.ToLower(host)
	if port := map[string]string{"https": ":443", "http": ":80"}[scheme]; strings.HasSuffix(host, port) {
		host = strings.TrimSuffix(host, port)
	}
	return host == o.authority
}

// checkHash compares ath with the token as it was sent (RFC 9449 §4.2). One encoding is
// right: padding, hex or other trailing bits are not.
func checkHash(claims strictjson.Object, token string) error {
	ath, err := textOf(claims, "ath")
	if err != nil {
		return err
	}
	want := hashOf(token)
	if subtle.ConstantTimeCompare([]byte(ath), want[:]) != 1 {
		return errors.New("ath is not the hash of the access token")
	}
	return nil
}

// times are the NumericDates of a proof; exp and nbf are zero if absent.
type times struct{ issued, expires, notBefore time.Time }

func readTimes(claims strictjson.Object) (t times, err error) {
	for _, c := range []struct {
		name     string
		at       *time.Time
		required bool
	}{{"iat", &t.issued, true}, {"exp", &t.expires, false}, {"nbf", &t.notBefore, false}} {
		val, found := claims.Get(c.name)
		if !found && !c.required {
			continue
		}
		date, ok := val.NumericDate()
		if !ok {
			return times{}, errors.New(c.name + " is missing or not a NumericDate")
		}
		*c.at = date
	}
	return t, nil
}

// checkNonce: any nonce but a current one of this server sends the client for a new one
// (RFC 9449 §9). While nonces are off it is not looked at.
func (p *Proof) checkNonce(claims strictjson.Object) error {
	n := p.verifier.nonces
	if n == nil {
		return nil
	}
	val, _ := claims.Get("nonce")
	nonce, _ := val.Text()
	ok, old := n.check(nonce)
	if !ok {
		return &verifier.Error{Class: verifier.ErrDPoPNonce, Cause: errNonce}
	}
	p.old = old
	return nil
}

var errNonce = errors.New("the proof has no current nonce of this server")

// checkTimes compares with the clock. Under a nonce iat is the client's business, except
// for the bound of FAPI; exp and nbf are honoured always (RFC 7519 §4.1.4, §4.1.5).
func (p *Proof) checkTimes(t times, maxFuture time.Duration) error {
	v := p.verifier
	if err := call("Config.Now", func() { p.now = v.now() }); err != nil {
		return &verifier.Error{Class: verifier.ErrInternal, Cause: err}
	}
	now := p.now
	future := v.future
	if v.nonces != nil {
		future = maxFuture
	}
	switch {
	case v.nonces == nil && now.Sub(t.issued) > v.age:
		return refused(errors.New("iat is too old: are the clocks in step? A nonce (Config.Nonces) makes clients independent of their clocks"))
	case (v.nonces == nil || maxFuture > 0) && t.issued.Sub(now) > future:
		return refused(errors.New("iat lies too far in the future: are the clocks in step?"))
	case !t.expires.IsZero() && !now.Before(t.expires):
		return refused(errors.New("exp has passed"))
	case !t.notBefore.IsZero() && now.Before(t.notBefore):
		return refused(errors.New("nbf lies in the future"))
	}
	p.expires = now.Add(v.window() + margin)
	return nil
}

// window is how long a proof can be accepted at most, from its first use on.
func (v *Verifier) window() time.Duration {
	if v.nonces != nil {
		return v.nonces.window()
	}
	return v.age + v.future
}

func call(where string, f func()) error { return hook.Call(where, f) }
