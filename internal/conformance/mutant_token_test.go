// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/internal/strictjson"
)

// decodes is the mistake of a lenient base64url reader.
func decodes(enc *base64.Encoding, edit func(string) string) func(*gate) {
	return func(g *gate) {
		g.decode = func(segment string) ([]byte, error) { return enc.DecodeString(edit(segment)) }
	}
}

func same(s string) string { return s }

// reads is the mistake of reading JSON with encoding/json into dst, whose
// faults then count as if they were in the token.
func reads[T any](g *gate) {
	g.object = func(data []byte) (strictjson.Object, error) {
		var dst T
		if err := json.Unmarshal(data, &dst); err != nil {
			return strictjson.Object{}, err
		}
		plain, err := json.Marshal(dst)
		if err != nil {
			return strictjson.Object{}, err
		}
		return strictjson.ParseObject(plain)
	}
}

// members are those of header and payload that an application declares.
type members struct {
	Alg      any `json:"alg,omitempty"`
	Typ      any `json:"typ,omitempty"`
	Kid      any `json:"kid,omitempty"`
	Crit     any `json:"crit,omitempty"`
	B64      any `json:"b64,omitempty"`
	Enc      any `json:"enc,omitempty"`
	Cty      any `json:"cty,omitempty"`
	Issuer   any `json:"iss,omitempty"`
	Audience any `json:"aud,omitempty"`
	Subject  any `json:"sub,omitempty"`
	Client   any `json:"client_id,omitempty"`
	ID       any `json:"jti,omitempty"`
	Expires  any `json:"exp,omitempty"`
	Starts   any `json:"nbf,omitempty"`
	Issued   any `json:"iat,omitempty"`
	Scope    any `json:"scope,omitempty"`
	Actor    any `json:"act,omitempty"`
	Bound    any `json:"cnf,omitempty"`
}

// The mistakes of containerMutants are in taking the token apart.
var containerMutants = []mutant{
	{
		name: "base64_last_bits", wrote: "decodes base64 without Strict, so that many texts are the same token",
		step: decodes(base64.RawURLEncoding, same), problem: accepted, cases: []string{"B13"},
	},
	{
		name: "no_limit_of_length", wrote: "decodes and verifies tokens of any length",
		step: func(g *gate) { g.maxBytes = 1 << 30 }, problem: accepted, cases: []string{"A37.valid"},
	},
	{
		name: "base64_padding", wrote: "removes padding before it decodes",
		step:    decodes(base64.RawURLEncoding.Strict(), func(s string) string { return strings.TrimRight(s, "=") }),
		problem: accepted, cases: []string{"B11"},
	},
	{
		name: "base64_alphabet", wrote: "takes the standard alphabet as well",
		step:    decodes(base64.RawURLEncoding.Strict(), strings.NewReplacer("+", "-", "/", "_").Replace),
		problem: accepted, cases: []string{"B10"},
	},
	{
		name: "last_duplicate_wins", wrote: "reads claims into a map, where the last of two names wins and bad UTF-8 is repaired",
		step: reads[map[string]any], problem: accepted, cases: []string{"B17", "B18", "B22"},
	},
	{
		name: "case_folded_names", wrote: "reads claims into a struct, which encoding/json fills whatever the case of a name",
		step: reads[members], problem: accepted, cases: []string{"B20", "B21"},
	},
}

// allAlgorithms is the mistake of leaving it to the token how it is verified.
func allAlgorithms(g *gate) { g.algorithms = anyToken }

func anyToken(*token) verdict { return pass }

// trusts is the mistake of another way, beside the right one, to be signed.
func trusts(also func(g *gate, t *token) bool) func(*gate) {
	return func(g *gate) {
		g.signature = func(t *token) verdict {
			if also(g, t) {
				return pass
			}
			return g.isSigned(t)
		}
	}
}

// trustsUnder is trusts where alg is not looked at, either.
func trustsUnder(also func(g *gate, t *token) bool) func(*gate) {
	return func(g *gate) {
		allAlgorithms(g)
		trusts(also)(g)
	}
}

// signedBy tells whether the key in a JWK verifies t, whatever its kid.
func signedBy(t *token, jwk []byte) bool {
	k, err := readKey(jwk)
	return err == nil && k.verifies(text(t.header, "alg"), t.input, t.sig)
}

// hmacOverPublicKey hands the issuer's key as a file to a library that takes alg
// from the token.
func hmacOverPublicKey(g *gate, t *token) bool {
	return text(t.header, "alg") == "HS256" && slices.ContainsFunc(g.keys.all(), func(k key) bool {
		mac := hmac.New(sha256.New, publicPEM(k.public))
		mac.Write([]byte(t.input))
		return hmac.Equal(mac.Sum(nil), t.sig)
	})
}

func publicPEM(k crypto.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func signedByEmbedded(_ *gate, t *token) bool {
	jwk, ok := t.header.Get("jwk")
	return ok && signedBy(t, jwk.Raw())
}

func signedByCertificate(_ *gate, t *token) bool {
	chain, _ := t.header.Get("x5c")
	certs, _ := chain.Texts()
	if len(certs) == 0 {
		return false
	}
	der, err := base64.StdEncoding.DecodeString(certs[0])
	if err != nil {
		return false
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return false
	}
	return checkSignature(text(t.header, "alg"), cert.PublicKey, t.input, t.sig)
}

// signedByLinked asks the address in the token for keys.
func signedByLinked(g *gate, t *token) bool {
	url := text(t.header, "jku")
	if !strings.HasPrefix(url, "http") {
		return false
	}
	body, err := get(g.keys.client, url)
	var set struct{ Keys []json.RawMessage }
	if err != nil || json.Unmarshal(body, &set) != nil {
		return false
	}
	return slices.ContainsFunc(set.Keys, func(jwk json.RawMessage) bool { return signedBy(t, jwk) })
}

// The mistakes of headerMutants are in believing the JOSE header.
var headerMutants = []mutant{
	{
		name: "alg_none", wrote: "takes alg from the token, and none is one",
		step:    trustsUnder(func(_ *gate, t *token) bool { return text(t.header, "alg") == "none" }),
		problem: accepted, cases: []string{"C1", "C2"},
	},
	{
		name: "alg_none_in_lower_case", wrote: `refuses "none", but compares it exactly while its library does not`,
		step: trustsUnder(func(_ *gate, t *token) bool {
			alg := text(t.header, "alg")
			return alg != "none" && strings.ToLower(alg) == "none"
		}),
		problem: accepted, cases: []string{"C1"},
	},
	{
		name: "hmac_over_public_key", wrote: "gives the public key to a library that takes alg from the token",
		step: trustsUnder(hmacOverPublicKey), problem: accepted, cases: []string{"C6"},
	},
	{
		name: "hmac_over_empty_key", wrote: "verifies HS256 with a secret that is not configured, and thus empty",
		step: trustsUnder(func(_ *gate, t *token) bool {
			mac := hmac.New(sha256.New, nil)
			mac.Write([]byte(t.input))
			return text(t.header, "alg") == "HS256" && hmac.Equal(mac.Sum(nil), t.sig)
		}),
		problem: accepted, cases: []string{"C7"},
	},
	{
		name: "signature_not_checked", wrote: "decodes the token instead of verifying it",
		step: func(g *gate) { g.signature = anyToken }, problem: accepted, cases: []string{"C42", "C58"},
	},
	{
		name: "signature_of_unknown_key_not_checked", wrote: "skips the signature where it does not know the kid",
		step: trusts(func(g *gate, t *token) bool {
			return !slices.ContainsFunc(g.keys.all(), func(k key) bool { return named(k, t) })
		}),
		problem: accepted, cases: []string{"C30", "C31"},
	},
	{
		name: "signature_optional", wrote: "verifies the signature only where there is one",
		step: trusts(func(_ *gate, t *token) bool { return len(t.sig) == 0 }), problem: accepted, cases: []string{"B2"},
	},
	{
		name: "embedded_key", wrote: "verifies with the key in the header",
		step: trusts(signedByEmbedded), problem: accepted, cases: []string{"C42", "C43"},
	},
	{
		name: "embedded_certificate", wrote: "verifies with the certificate in the header, and does not ask who issued it",
		step: trusts(signedByCertificate), problem: accepted, cases: []string{"C44"},
	},
	{
		name: "linked_keys", wrote: "fetches keys from the address in jku",
		step: trusts(signedByLinked), problem: accepted, cases: []string{"C40", "C56"},
	},
	{
		name: "linked_certificate", wrote: "fetches the certificate at the address in x5u, to log who issued it",
		step: func(g *gate) {
			g.signature = func(t *token) verdict {
				if url := text(t.header, "x5u"); strings.HasPrefix(url, "https://") {
					_, _ = get(g.keys.client, url)
				}
				return g.isSigned(t)
			}
		},
		problem: fetched, cases: []string{"C41", "C45"},
	},
	{
		name: "kid_ignored", wrote: "tries every key, whatever the kid",
		step:    func(g *gate) { g.keys.choose = func(key, *token) bool { return true } },
		problem: accepted, cases: []string{"C30", "C31"},
	},
	{
		name: "kid_asserted", wrote: "takes kid as a string without asking whether it is one",
		step: func(g *gate) {
			g.extensions = func(t *token) verdict {
				if kid, ok := t.header.Get("kid"); ok && kid.Kind() != strictjson.KindString {
					panic("interface conversion")
				}
				return noExtensions(t)
			}
		},
		problem: crashed, cases: []string{"C35"},
	},
	{
		name: "crit_ignored", wrote: "does not read crit", step: overlooks("crit"),
		problem: accepted, cases: []string{"C46", "C47"},
	},
	{
		name: "b64_ignored", wrote: "does not read b64", step: overlooks("b64"), problem: accepted, cases: []string{"C48"},
	},
	{
		name: "enc_ignored", wrote: "does not read enc", step: overlooks("enc"), problem: accepted, cases: []string{"C54"},
	},
	{
		name: "typ_unchecked", wrote: "does not look at typ, so that an ID token will do",
		step: func(g *gate) { g.kind = anyToken }, problem: accepted, cases: []string{"C49", "C50", "C52"},
	},
	{
		name: "typ_by_suffix", wrote: "asks only that typ ends in jwt",
		step: func(g *gate) {
			g.kind = func(t *token) verdict {
				return badUnless(strings.HasSuffix(strings.ToLower(text(t.header, "typ")), "jwt"))
			}
		},
		problem: accepted, cases: []string{"C50", "C52"},
	},
	{
		name: "typ_case_sensitive", wrote: "compares typ letter by letter",
		step: func(g *gate) {
			g.kind = func(t *token) verdict { return badUnless(text(t.header, "typ") == "at+jwt") }
		},
		problem: refused, cases: []string{"C51"},
	},
}

// overlooks is the mistake of not knowing one member of the header.
func overlooks(name string) func(*gate) {
	return func(g *gate) {
		g.extensions = func(t *token) verdict {
			if has(t.header, name) {
				return pass
			}
			return noExtensions(t)
		}
	}
}
