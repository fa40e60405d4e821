// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"encoding/json"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

// read is the reference: the rules in their order (EO-01), each as plain as can be.
func (r *plainReader) read(raw string) (*expected, error) {
	parts := strings.Split(raw, ".")
	if len(raw) > 16_384 || len(parts) != 3 {
		return nil, verifier.ErrMalformedToken
	}
	var bytes [3][]byte
	for i, part := range parts {
		b, fine := plainBase64(part)
		if !fine || len(b) == 0 {
			return nil, verifier.ErrMalformedToken
		}
		bytes[i] = b
	}
	header, err := referenceObject(bytes[0])
	if err != nil || !plainHeader(header) {
		return nil, verifier.ErrMalformedToken
	}
	claims, err := referenceObject(bytes[1])
	if err != nil {
		return nil, verifier.ErrMalformedToken
	}
	if class := r.selects(header, claims); class != nil {
		return nil, class
	}
	if !edVerify(parts[0]+"."+parts[1], bytes[2]) {
		return nil, verifier.ErrSignature
	}
	return r.claims(claims)
}

// plainBase64 decodes bit by bit (RFC 4648 §5) and encodes again, since only one text
// may stand for the same bytes.
func plainBase64(s string) ([]byte, bool) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	var out []byte
	var bits, n uint
	for _, c := range []byte(s) {
		v := strings.IndexByte(alphabet, c)
		if v < 0 {
			return nil, false
		}
		bits, n = bits<<6|uint(v), n+6
		if n >= 8 {
			n -= 8
			out = append(out, byte(bits>>n))
			bits &= 1<<n - 1
		}
	}
	return out, bits == 0 && b64(string(out)) == s
}

// plainHeader tells whether the members of the header are well-formed, and none of them
// changes how the token is to be read.
func plainHeader(h map[string]any) bool {
	for _, name := range []string{"crit", "enc"} {
		if _, there := h[name]; there {
			return false
		}
	}
	if b, there := h["b64"]; there && b != true {
		return false
	}
	for _, name := range []string{"alg", "typ", "kid", "cty"} {
		v, there := h[name]
		if _, isText := v.(string); there && !isText || !there && name == "alg" {
			return false
		}
	}
	kid, _ := h["kid"].(string)
	cty, _ := h["cty"].(string)
	return len(kid) <= 512 && plainType(cty) != "jwt" && !strings.HasSuffix(plainType(cty), "+jwt")
}

// plainType is a media type without letter case and without "application/".
func plainType(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c - 'A' + 'a'
		}
	}
	const tree = "application/"
	if s = string(b); strings.HasPrefix(s, tree) && strings.Count(s, "/") == 1 {
		return s[len(tree):]
	}
	return s
}

// selects is about the issuer, alg, typ and kid: all before the signature.
func (r *plainReader) selects(h, claims map[string]any) error {
	iss, there := claims["iss"]
	if !there {
		return verifier.ErrMissingClaim
	}
	if _, isText := iss.(string); !isText {
		return verifier.ErrInvalidClaim
	}
	if iss != issuerURL {
		return verifier.ErrIssuer
	}
	if !slices.Contains(defaultAlgorithms, h["alg"].(string)) {
		return verifier.ErrAlgorithm
	}
	typ, there := h["typ"].(string)
	kind := plainType(typ)
	if kind != "at+jwt" && !(r.old && (kind == "jwt" || !there)) {
		return verifier.ErrTokenType
	}
	if kid, there := h["kid"]; there && kid != "one" || h["alg"] != "EdDSA" && h["alg"] != "Ed25519" {
		return verifier.ErrUnknownKey
	}
	return nil
}

func (r *plainReader) claims(claims map[string]any) (*expected, error) {
	e := &expected{claims: claims, clash: plainClash(claims)}
	e.token.Issuer = issuerURL
	for _, step := range []func(*expected, map[string]any) error{
		r.marks, plainAudience, plainTimes, r.identity, r.scope, plainConfirmation, plainActor,
	} {
		if class := step(e, claims); class != nil {
			return nil, class
		}
	}
	r.user(&e.token, claims)
	if e.bound {
		if e.token.Confirmation == (verifier.Confirmation{}) || !plainThumbprints(claims["cnf"]) {
			return nil, verifier.ErrBinding
		}
	}
	e.token.Binding = verifier.Binding{Kind: verifier.BindingBoth, Thumbprint: e.token.Confirmation.JWKThumbprint}
	return e, nil
}

// marks are of other kinds of JWT, where typ does not tell them apart.
func (r *plainReader) marks(_ *expected, claims map[string]any) error {
	for _, name := range []string{"nonce", "at_hash", "c_hash", "s_hash", "events", "token_introspection", "status_list", "htm", "htu"} {
		if _, there := claims[name]; there && r.old {
			return verifier.ErrTokenType
		}
	}
	if use, there := claims["token_use"]; there && r.old && use != "access" {
		return verifier.ErrTokenType
	}
	text, _ := claims["typ"].(string)
	for _, kind := range []string{"id", "refresh", "offline", "logout"} {
		if r.old && len(text) == len(kind) && strings.EqualFold(text, kind) && plainASCII(text) {
			return verifier.ErrTokenType
		}
	}
	return nil
}

func plainASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > '~' }) < 0
}

func plainAudience(e *expected, claims map[string]any) error {
	aud, there := claims["aud"]
	if !there {
		return verifier.ErrMissingClaim
	}
	if text, isText := aud.(string); isText {
		e.token.Audience = []string{text}
	} else if list, isTexts := plainTexts(aud); isTexts && len(list) > 0 {
		e.token.Audience = list
	} else {
		return verifier.ErrInvalidClaim
	}
	if !slices.Contains(e.token.Audience, audience) {
		return verifier.ErrAudience
	}
	return nil
}

func plainTexts(v any) ([]string, bool) {
	elements, isList := v.([]any)
	texts := []string{}
	for _, el := range elements {
		text, isText := el.(string)
		if !isText {
			return nil, false
		}
		texts = append(texts, text)
	}
	return texts, isList
}

func plainTimes(e *expected, claims map[string]any) error {
	for _, c := range []struct {
		name string
		into *time.Time
	}{{"exp", &e.token.ExpiresAt}, {"nbf", &e.token.NotBefore}, {"iat", &e.token.IssuedAt}} {
		v, there := claims[c.name]
		if !there {
			continue
		}
		date, valid := plainDate(v)
		if !valid {
			return verifier.ErrInvalidClaim
		}
		*c.into = date
	}
	const leeway = 30 * time.Second
	_, there := claims["exp"]
	_, hasNbf := claims["nbf"]
	_, hasIat := claims["iat"]
	switch {
	case !there:
		return verifier.ErrMissingClaim
	case noon.Sub(e.token.ExpiresAt) >= leeway:
		return verifier.ErrExpired
	case hasNbf && e.token.NotBefore.Sub(noon) > leeway, hasIat && e.token.IssuedAt.Sub(noon) > leeway:
		return verifier.ErrNotYetValid
	}
	return nil
}

// plainDate counts with fractions of any length, unless the exponent is so large that
// the number could not be written out: then it is either far too large or next to 0.
func plainDate(v any) (time.Time, bool) {
	number, isNumber := v.(json.Number)
	if !isNumber {
		return time.Time{}, false
	}
	text := strings.ToLower(string(number))
	mantissa, exponent, _ := strings.Cut(text, "e")
	zero := strings.Trim(mantissa, "-0.") == ""
	n, err := strconv.Atoi(strings.TrimPrefix(exponent, "+"))
	far := exponent != "" && (err != nil || n > 20_000 || n < -20_000)
	switch {
	case zero:
		text = "0"
	case strings.HasPrefix(text, "-"), far && !strings.HasPrefix(exponent, "-"):
		return time.Time{}, false
	case far:
		text = "0" // what is finer than a nanosecond is cut off
	}
	date, _ := new(big.Rat).SetString(text)
	if date.Cmp(big.NewRat(253402300799, 1)) > 0 {
		return time.Time{}, false
	}
	nanos := new(big.Int).Mul(date.Num(), big.NewInt(1e9))
	nanos.Quo(nanos, date.Denom())
	seconds, rest := new(big.Int).QuoRem(nanos, big.NewInt(1e9), new(big.Int))
	return time.Unix(seconds.Int64(), rest.Int64()).UTC(), true
}

// plainFind follows a path. astray: what should hold a name is there and no object.
func plainFind(claims map[string]any, path verifier.ClaimPath) (v any, found, astray bool) {
	v = claims
	for _, name := range path {
		members, isObject := v.(map[string]any)
		if !isObject {
			return nil, false, true
		}
		if v, found = members[name]; !found {
			return nil, false, false
		}
	}
	return v, true, false
}

func (r *plainReader) identity(e *expected, claims map[string]any) error {
	for _, c := range []struct {
		path verifier.ClaimPath
		into *string
	}{{path{"sub"}, &e.token.Subject}, {r.client, &e.token.ClientID}, {path{"jti"}, &e.token.ID}} {
		v, found, astray := plainFind(claims, c.path)
		text, isText := v.(string)
		if astray || found && !isText {
			return verifier.ErrInvalidClaim
		}
		*c.into = text
	}
	if r.old {
		return nil
	}
	for _, path := range []verifier.ClaimPath{{"sub"}, r.client, {"iat"}, {"jti"}} {
		v, found, _ := plainFind(claims, path)
		if !found {
			return verifier.ErrMissingClaim
		}
		if v == "" {
			return verifier.ErrInvalidClaim
		}
	}
	return nil
}

func (r *plainReader) scope(e *expected, claims map[string]any) error {
	v, found, astray := plainFind(claims, r.scopes)
	if astray {
		return verifier.ErrInvalidClaim
	}
	if !found {
		return nil
	}
	var words []string
	if text, isText := v.(string); isText {
		words = strings.Split(text, " ")
		words = slices.DeleteFunc(words, func(s string) bool { return s == "" })
	} else if list, isTexts := plainTexts(v); isTexts && r.lists {
		words = list
	} else {
		return verifier.ErrInvalidClaim
	}
	e.token.Scopes = []string{}
	for _, word := range words {
		foreign := strings.IndexFunc(word, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }) >= 0
		if word == "" || foreign {
			return verifier.ErrInvalidClaim
		}
		if !slices.Contains(e.token.Scopes, word) {
			e.token.Scopes = append(e.token.Scopes, word)
		}
	}
	return nil
}

func plainConfirmation(e *expected, claims map[string]any) error {
	v, there := claims["cnf"]
	if !there {
		return nil
	}
	cnf, isObject := v.(map[string]any)
	if !isObject {
		return verifier.ErrInvalidClaim
	}
	e.bound = true
	e.token.Confirmation.JWKThumbprint = plainThumbprint(cnf["jkt"])
	e.token.Confirmation.CertificateThumbprint = plainThumbprint(cnf["x5t#S256"])
	return nil
}

func plainThumbprint(v any) string {
	text, _ := v.(string)
	sum, fine := plainBase64(text)
	if !fine || len(sum) != 32 {
		return ""
	}
	return string(sum)
}

// plainThumbprints tells whether those that are there are well-formed.
func plainThumbprints(cnf any) bool {
	for _, name := range []string{"jkt", "x5t#S256"} {
		if v, there := cnf.(map[string]any)[name]; there && plainThumbprint(v) == "" {
			return false
		}
	}
	return true
}

func plainActor(e *expected, claims map[string]any) error {
	v, there := claims["act"]
	if !there {
		return nil
	}
	act, isObject := v.(map[string]any)
	if !isObject {
		return verifier.ErrInvalidClaim
	}
	e.token.Actor = &verifier.Actor{}
	e.token.Actor.Issuer, _ = act["iss"].(string)
	e.token.Actor.Subject, _ = act["sub"].(string)
	e.token.Actor.ClientID, _ = act["client_id"].(string)
	return nil
}

// user is what a claim of another form leaves empty.
func (r *plainReader) user(tok *verifier.Token, claims map[string]any) {
	tok.ACR, _ = claims["acr"].(string)
	tok.AMR, _ = plainTexts(claims["amr"])
	tok.AuthTime, _ = plainDate(claims["auth_time"])
	if _, there := claims["amr"].([]any); !there {
		tok.AMR = nil
	}
	tok.Roles, tok.Groups, tok.Entitlements = plainNames(claims, r.roles), plainNames(claims, r.groups), plainNames(claims, r.entitlements)
}

func plainNames(claims map[string]any, path verifier.ClaimPath) []string {
	v, _, _ := plainFind(claims, path)
	elements, isList := v.([]any)
	if !isList {
		return nil
	}
	names := []string{}
	for _, el := range elements {
		if member, isObject := el.(map[string]any); isObject {
			el = member["value"]
		}
		text, isText := el.(string)
		if !isText {
			return nil
		}
		names = append(names, text)
	}
	return names
}

// plainClash tells whether encoding/json could fill one field from two names.
func plainClash(v any) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, plainClash)
	case map[string]any:
		var names []string
		for name, value := range v {
			fold := func(other string) bool { return strings.EqualFold(name, other) }
			if plainClash(value) || slices.ContainsFunc(names, fold) {
				return true
			}
			names = append(names, name)
		}
	}
	return false
}
