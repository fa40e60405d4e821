// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"slices"
	"time"

	"github.com/bearerguard/bearerguard/internal/compact"
	"github.com/bearerguard/bearerguard/internal/scopetoken"
	"github.com/bearerguard/bearerguard/internal/strictjson"
)

func missing(claim string) error { return fail(ErrMissingClaim, "%s is missing", claim) }

func invalid(claim, why string) error { return fail(ErrInvalidClaim, "%s: %s", claim, why) }

// draft is a Token that is being filled.
type draft struct {
	*Token
	actor *Actor   // its place, until it is known whether there is one
	room  []string // for the lists, of which those that do not fit get memory of their own
}

// usualTexts is how many strings the lists of a usual token have in all.
const usualTexts = 16

// readClaims turns the payload, whose signature has been verified, into a Token,
// and applies the rules of the issuer: kind of token, audience, time, then the
// other claims.
func (is *issuer) readClaims(u *unverified) (*Token, error) {
	if err := is.checkMarks(u.claims); err != nil {
		return nil, err
	}
	var t draft
	t.Token, t.actor, t.room = newToken(usualTexts)
	t.Issuer, t.payload, t.implies = is.name, u.payload, is.implies
	if err := is.fill(&t, u.claims); err != nil {
		return nil, err
	}
	return t.Token, nil
}

func (is *issuer) fill(t *draft, claims strictjson.Object) error {
	if err := is.readAudience(t, claims); err != nil {
		return err
	}
	if err := is.readTimes(t.Token, claims); err != nil {
		return err
	}
	if err := is.readIdentity(t.Token, claims); err != nil {
		return err
	}
	if err := is.readScopes(t, claims); err != nil {
		return err
	}
	if err := readConfirmation(t.Token, claims); err != nil {
		return err
	}
	if err := readActor(t, claims); err != nil {
		return err
	}
	if err := is.checkDemands(claims); err != nil {
		return err
	}
	is.readUser(t, claims)
	return nil
}

// texts is an array that holds strings only; false for anything else.
func (t *draft) texts(val strictjson.Value) ([]string, bool) {
	list, ok := val.AppendTexts(t.front(val))
	if !ok {
		return nil, false
	}
	return t.take(list), true
}

// front is where a list of the elements of an array fits: in the room, or in memory just
// large enough, since a list that grows takes several times its memory.
func (t *draft) front(val strictjson.Value) []string {
	if val.Separators() < len(t.room) {
		return t.room[:0]
	}
	n, _ := val.Count()
	return t.frontFor(n)
}

func (t *draft) frontFor(n int) []string {
	if n <= len(t.room) {
		return t.room[:0]
	}
	return make([]string, 0, n)
}

// take keeps a list that begins at the front.
func (t *draft) take(list []string) []string {
	n := len(list)
	switch {
	case n == 0:
		return []string{}
	case len(t.room) > 0 && &list[0] == &t.room[0]:
		t.room = t.room[n:]
	case n < cap(list): // duplicates were left out, and the room for them would be kept
		return slices.Clip(slices.Clone(list))
	}
	return list[:n:n]
}

// checkMarks refuses other kinds of JWT where typ does not tell them apart (RFC
// 8725 §3.12): each mark is a claim that an access token has no use for.
func (is *issuer) checkMarks(obj strictjson.Object) error {
	for _, name := range is.marks {
		val, ok := obj.Get(name)
		if !ok {
			continue
		}
		text, isText := val.Text()
		switch name {
		case "token_use":
			if isText && text == "access" {
				continue
			}
		case "typ":
			if !otherKinds[asciiLower(text)] {
				continue
			}
		}
		return fail(ErrTokenType, "claim %s marks another kind of token (Config.AllowedMarks takes a name off the list)", name)
	}
	return nil
}

// otherKinds are values of a claim typ by which some issuers name their tokens.
var otherKinds = map[string]bool{"id": true, "refresh": true, "offline": true, "logout": true}

// readAudience reads aud and looks for a configured audience in it (RFC 7519
// §4.1.3, RFC 9068 §4). Where the configuration checks clients instead, aud may
// be absent but not of a wrong type.
func (is *issuer) readAudience(t *draft, obj strictjson.Object) error {
	val, present := obj.Get("aud")
	lenient := is.clients != nil || is.skipAud
	if !present && !lenient {
		return missing("aud")
	}
	if present {
		aud, ok := t.oneOrMore(val)
		if !ok || (len(aud) == 0 && !lenient) {
			return invalid("aud", "neither a string nor a non-empty array of strings")
		}
		t.Audience = aud
	}
	if lenient {
		return is.checkClient(obj)
	}
	for _, a := range t.Audience {
		if is.audience[a] {
			return nil
		}
	}
	return fail(ErrAudience, "aud names none of Config.Audience (compared exactly)")
}

func (t *draft) oneOrMore(val strictjson.Value) ([]string, bool) {
	if s, ok := val.Text(); ok {
		return t.take(append(t.frontFor(1), s)), true
	}
	return t.texts(val)
}

// checkClient stands in for the audience check where an issuer gives no usable
// aud: the client must be one of those listed.
func (is *issuer) checkClient(obj strictjson.Object) error {
	if is.skipAud {
		return nil
	}
	for _, path := range is.names.clients {
		client, err := path.text(obj)
		switch {
		case err != nil:
			return err
		case client == "":
			continue
		case is.clients[client]:
			return nil
		}
		return fail(ErrAudience, "%s is not in Config.Clients", path.label())
	}
	return missing(is.names.clients[0].label())
}

// readTimes reads exp, nbf and iat as NumericDates (RFC 7519 §2) and checks them.
func (is *issuer) readTimes(t *Token, obj strictjson.Object) error {
	for _, c := range []struct {
		name string
		into *time.Time
	}{{"exp", &t.ExpiresAt}, {"nbf", &t.NotBefore}, {"iat", &t.IssuedAt}} {
		val, ok := obj.Get(c.name)
		if !ok {
			continue
		}
		date, ok := val.NumericDate()
		if !ok {
			return invalid(c.name, "not a number of seconds from 0 to 253402300799")
		}
		*c.into = date
	}
	if t.ExpiresAt.IsZero() {
		return missing("exp")
	}
	return is.checkTimes(period{t.ExpiresAt, t.NotBefore, t.IssuedAt})
}

// readIdentity reads sub, client_id and jti. Where one is optional, the empty
// string counts as absent.
func (is *issuer) readIdentity(t *Token, obj strictjson.Object) (err error) {
	for _, c := range []struct {
		path ClaimPath
		into *string
	}{{subjectPath, &t.Subject}, {is.names.ClientID, &t.ClientID}, {idPath, &t.ID}} {
		if *c.into, err = c.path.text(obj); err != nil {
			return err
		}
	}
	for _, path := range is.required {
		val, found, _ := path.find(obj)
		if !found {
			return fail(ErrMissingClaim, "%s is missing (Config.OptionalClaims)", path.label())
		}
		if text, isText := val.Text(); isText && text == "" {
			return invalid(path.label(), "empty")
		}
	}
	return nil
}

// readScopes splits a string on SP (RFC 8693 §4.2). Extra spaces are tolerated; any
// other character outside the scope-token set of RFC 6749 §3.3 is not, since
// parsers disagree about it. An element of an array, which only a Mapping allows, is
// one scope and not split: that would grant what the issuer may not have meant.
func (is *issuer) readScopes(t *draft, obj strictjson.Object) error {
	path, valid := is.names.Scopes, false
	val, found, err := path.find(obj)
	if !found {
		return err
	}
	var list []string
	if text, isText := val.Text(); isText {
		list, valid = splitScopes(t.frontFor(wordsAtMost(text, len(t.room))), text)
	} else if whole, isList := val.AppendTexts(t.front(val)); isList && is.names.scopeLists {
		list, valid = wholeScopes(whole)
	} else {
		return invalid(path.label(), "not a string, nor an array of strings where Config.Mapping.Scopes allows it")
	}
	if !valid {
		return invalid(path.label(), "holds a character that no scope may have")
	}
	t.Scopes = t.take(list)
	return nil
}

func wholeScopes(list []string) (scopes []string, ok bool) {
	for _, s := range list {
		if !scopetoken.Valid(s) {
			return nil, false
		}
	}
	return unique(list), true
}

// checkDemands applies Config.RequiredClaims.
func (is *issuer) checkDemands(obj strictjson.Object) error {
	for _, d := range is.demands {
		val, found, err := d.Path.find(obj)
		text, isText := val.Text()
		yes, _ := val.Bool()
		switch {
		case err != nil:
			return err
		case !found:
			return fail(ErrMissingClaim, "%s is missing (Config.RequiredClaims)", d.Path.label())
		case len(d.Values) == 0 && !yes:
			return invalid(d.Path.label(), "not the boolean true (Config.RequiredClaims)")
		case len(d.Values) > 0 && !(isText && slices.Contains(d.Values, text)):
			return invalid(d.Path.label(), "none of the strings in Config.RequiredClaims")
		}
	}
	return nil
}

// readConfirmation reads cnf (RFC 7800 §3.1). Whether the binding is met is
// decided later, by bind: a token that is otherwise bad is reported as such.
func readConfirmation(t *Token, obj strictjson.Object) error {
	val, ok := obj.Get("cnf")
	if !ok {
		return nil
	}
	cnf, ok := val.Object()
	if !ok {
		return invalid("cnf", "not an object")
	}
	t.bound = true
	t.Confirmation.JWKThumbprint = thumbprint(cnf, "jkt", &t.faultyCnf)
	t.Confirmation.CertificateThumbprint = thumbprint(cnf, "x5t#S256", &t.faultyCnf)
	return nil
}

// thumbprint decodes a member of cnf to its 32 bytes (RFC 9449 §6.1, RFC 8705 §3.1).
func thumbprint(cnf strictjson.Object, member string, faulty *bool) string {
	val, ok := cnf.Get(member)
	if !ok {
		return ""
	}
	text, _ := val.Text()
	sum, err := compact.Decode(text)
	if err != nil || len(sum) != 32 {
		*faulty = true
		return ""
	}
	return string(sum)
}

// readActor reads the outermost act only: actors nested in it are history, not
// grounds for a decision (RFC 8693 §4.1).
func readActor(t *draft, obj strictjson.Object) error {
	val, ok := obj.Get("act")
	if !ok {
		return nil
	}
	act, ok := val.Object()
	if !ok {
		return invalid("act", "not an object")
	}
	*t.actor = Actor{Issuer: textOf(act, "iss"), Subject: textOf(act, "sub"), ClientID: textOf(act, "client_id")}
	t.Actor = t.actor
	return nil
}

func textOf(obj strictjson.Object, name string) string {
	val, _ := obj.Get(name)
	text, _ := val.Text()
	return text
}

// readUser reads what describes the user and the login. A claim of another form
// leaves its field empty, so that rules on it fail (RFC 9068 §2.2.1, §2.2.3.1).
func (is *issuer) readUser(t *draft, obj strictjson.Object) {
	t.ACR = textOf(obj, "acr")
	if val, ok := obj.Get("amr"); ok {
		t.AMR, _ = t.texts(val)
	}
	if val, ok := obj.Get("auth_time"); ok {
		t.AuthTime, _ = val.NumericDate()
	}
	t.Roles = t.names(obj, is.names.Roles)
	t.Groups = t.names(obj, is.names.Groups)
	t.Entitlements = t.names(obj, is.names.Entitlements)
}

// names reads an array of strings, or of objects with a string value, as RFC 7643
// §4.1.2 and RFC 9068 §2.2.3.1 have them.
func (t *draft) names(obj strictjson.Object, path ClaimPath) []string {
	val, found, _ := path.find(obj)
	if !found {
		return nil
	}
	list, ok := val.AppendNamed(t.front(val), "value")
	if !ok {
		return nil
	}
	return t.take(list)
}
