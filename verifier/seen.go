// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"math"
	"time"

	"github.com/bearerguard/bearerguard/internal/alias"
	"github.com/bearerguard/bearerguard/internal/jose"
)

// seen is one verified token as the cache keeps it, with the key that verified it and the
// set that key was in. Nothing of it is ever changed. A Token with its lists has
// some forty pointers, which the garbage collector would follow in every entry; here texts
// are places in one or two strings, of which a hit makes a Token.
type seen struct {
	set *KeySet
	key *jose.Key

	payload string // the verified bytes
	extra   string // texts that do not lie in payload, as those that had escapes

	subject, clientID, id, acr place
	keyPrint, certificatePrint place
	actor                      [3]place

	audience, scopes, amr, roles, groups, entitlements int32   // their lengths
	texts                                              []place // of these lists, one after the other

	expiresAt, issuedAt, notBefore, authTime date

	acting, bound, faultyCnf bool
}

// place is a part of payload, or of extra, which counts as following it.
type place struct{ at, size uint16 }

// date is a time without the pointer that a [time.Time] has.
type date struct {
	seconds int64
	nanos   int32
}

func dateOf(t time.Time) date { return date{t.Unix(), int32(t.Nanosecond())} }

func (d date) time() time.Time { return time.Unix(d.seconds, int64(d.nanos)).UTC() }

// newSeen makes the entry for t, which a token of key in set said. ok is false if it
// has so much text that places cannot tell it apart.
func newSeen(t *Token, set *KeySet, key *jose.Key) (e seen, ok bool) {
	p := placer{payload: t.payload}
	e = seen{
		set: set, key: key, payload: t.payload,
		subject: p.place(t.Subject), clientID: p.place(t.ClientID), id: p.place(t.ID), acr: p.place(t.ACR),
		keyPrint:         p.place(t.Confirmation.JWKThumbprint),
		certificatePrint: p.place(t.Confirmation.CertificateThumbprint),
		expiresAt:        dateOf(t.ExpiresAt), issuedAt: dateOf(t.IssuedAt),
		notBefore: dateOf(t.NotBefore), authTime: dateOf(t.AuthTime),
		acting: t.Actor != nil, bound: t.bound, faultyCnf: t.faultyCnf,
	}
	if a := t.Actor; a != nil {
		e.actor = [...]place{p.place(a.Issuer), p.place(a.Subject), p.place(a.ClientID)}
	}
	p.texts = make([]place, 0, t.strings())
	e.audience, e.scopes, e.amr = p.list(t.Audience), p.list(t.Scopes), p.list(t.AMR)
	e.roles, e.groups, e.entitlements = p.list(t.Roles), p.list(t.Groups), p.list(t.Entitlements)
	e.texts, e.extra = p.texts, string(p.extra)
	return e, len(p.payload)+len(p.extra) <= math.MaxUint16
}

// placer finds places for texts.
type placer struct {
	payload string
	extra   []byte
	texts   []place
}

func (p *placer) place(text string) place {
	at, inside := alias.Offset(p.payload, text)
	if !inside {
		at = len(p.payload) + len(p.extra)
		p.extra = append(p.extra, text...)
	}
	return place{uint16(at), uint16(len(text))}
}

func (p *placer) list(list []string) (length int32) {
	for _, text := range list {
		p.texts = append(p.texts, p.place(text))
	}
	return lengthOf(list)
}

// token makes a Token for one request; what handlers do to it stays there. is is the
// issuer whose cache e is from.
func (e *seen) token(is *issuer) *Token {
	t, actor, room := newToken(len(e.texts))
	t.Issuer, t.implies, t.payload = is.name, is.implies, e.payload
	t.Subject, t.ClientID, t.ID, t.ACR = e.text(e.subject), e.text(e.clientID), e.text(e.id), e.text(e.acr)
	if e.bound {
		t.bound, t.faultyCnf = true, e.faultyCnf
		t.Confirmation = Confirmation{e.text(e.keyPrint), e.text(e.certificatePrint)}
	}
	if e.acting {
		*actor = Actor{e.text(e.actor[0]), e.text(e.actor[1]), e.text(e.actor[2])}
		t.Actor = actor
	}
	for i, p := range e.texts {
		room[i] = e.text(p)
	}
	t.Audience, room = front(room, e.audience)
	t.Scopes, room = front(room, e.scopes)
	t.AMR, room = front(room, e.amr)
	t.Roles, room = front(room, e.roles)
	t.Groups, room = front(room, e.groups)
	t.Entitlements, _ = front(room, e.entitlements)
	t.ExpiresAt, t.IssuedAt = e.expiresAt.time(), e.issuedAt.time()
	t.NotBefore, t.AuthTime = e.notBefore.time(), e.authTime.time()
	return t
}

func (e *seen) period() period {
	return period{e.expiresAt.time(), e.notBefore.time(), e.issuedAt.time()}
}

func (e *seen) text(p place) string {
	from, to := int(p.at), int(p.at)+int(p.size)
	if n := len(e.payload); from >= n {
		return e.extra[from-n : to-n]
	}
	return e.payload[from:to]
}
