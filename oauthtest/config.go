// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/internal/hook"
	"github.com/bearerguard/bearerguard/internal/jose"
)

// Config describes a test authorization server. The zero value is a working one.
type Config struct {
	// Addr is where [Listen] serves: "host:port" with a loopback IP address or
	// "localhost", which stands for 127.0.0.1. "" means 127.0.0.1 and any free
	// port. [NewServer] does not use it.
	Addr string
	// Issuer is the issuer identifier, an http or https URL; it may have a path.
	// "" means https://issuer.test in memory, and under Listen http://host:port, or
	// https://host:port with TLS. Listen takes https URLs with TLS only, and http URLs
	// without it only. Its path is not /canary nor below, where hostile tokens lead. Two
	// servers behind one verifier need different ones.
	Issuer string
	// TLS makes [Listen] serve https with a certificate of a throw-away authority, which
	// [Server.HTTPClient] trusts, and [Server.CertificateAuthority] returns. NewServer does
	// not use it.
	TLS bool
	// Algorithm signs every token. "" means RS256; also RS384, RS512, PS256, PS384,
	// PS512, ES256, ES384, ES512, EdDSA and Ed25519 (RFC 7518 §3.1, RFC 9864 §2.2), and
	// HS256, HS384 and HS512, for [Server.SymmetricConfig] only: there is no key set then,
	// and no ID token, whose key would have to be the client's secret instead of the API's
	// (OpenID Connect Core 1.0 §10.1), so that nobody may ask for the scope openid.
	Algorithm string
	// Key signs until the first Rotate; its kid is its thumbprint (RFC 7638), so that with
	// Now and Random tokens can be the same in every run: those of RS256, RS384, RS512,
	// EdDSA and Ed25519. Signatures of the others are random, and secrets of HMAC new for
	// each server. It must fit Algorithm. nil means a key made for this server.
	Key crypto.Signer
	// Random is where codes, refresh tokens and jti come from. nil means crypto/rand.
	// Reads are serialized; an error of it is a panic. It is for golden files: what it
	// makes can be guessed. It must not repeat itself: codes and tokens that are equal
	// stand for the same grant.
	Random io.Reader
	// Audience lists the resource identifiers that a client may ask for (RFC 8707
	// §2). The first is the default of Token and of the token endpoint. An audience
	// given to VerifierConfig is added to it. nil means none yet.
	Audience []string
	// Clients may use the endpoints. nil means one: ID "test-client", Secret
	// "test-secret", any scope, RedirectURIs "https://client.test/callback".
	Clients []Client
	// Users are the resource owners, of whom the consent page lets one choose. nil means
	// one: Subject "user-1", Name "Test User".
	Users []User
	// TokenEdits are applied to every access token that an endpoint issues, after those
	// of the client: for a cnf claim, for example. Token does not use them.
	TokenEdits []Edit
	// CodeLifetime is that of authorization codes. 0 means 60 s, which is also the most
	// (FAPI 2.0 Security Profile §5.3.2.1).
	CodeLifetime time.Duration
	// RefreshLifetime is that of refresh tokens, each of them anew. 0 means 24 h.
	RefreshLifetime time.Duration
	// DeviceInterval is how long a device waits between two polls (RFC 8628 §3.2), in
	// whole seconds. 0 means 5 s. A poll is too early by more than a tenth of it, and
	// more than 250 ms.
	DeviceInterval time.Duration
	// LegacyGrants enables what OAuth 2.1 leaves out: the implicit grant, the resource
	// owner password grant, and codes without PKCE. It is there to learn from, and to test
	// how clients defend themselves (RFC 9700 §2.1.1, §2.1.2, §2.4).
	LegacyGrants bool
	// TokenLifetime is exp minus iat. 0 means 10 minutes.
	TokenLifetime time.Duration
	// CacheControl is the Cache-Control header of metadata and key set. "" means none.
	CacheControl string
	// Now is the clock of tokens; VerifierConfig hands it to the verifier. nil means
	// time.Now. It must be safe for concurrent use.
	Now func() time.Time
}

// Client is a client of the authorization server.
type Client struct {
	// ID is client_id. Required.
	ID string
	// Secret is client_secret. "" without Keys means a public client, which may not use
	// the client credentials grant (RFC 6749 §4.4) nor introspection.
	Secret string
	// Keys is a JWK Set with the public keys of a client that authenticates by
	// private_key_jwt (RFC 7523 §2.2); Secret must be "" then.
	Keys []byte
	// RedirectURIs are compared as strings; only for http URIs with a loopback IP address
	// any port will do (RFC 8252 §7.3). None: no authorization request succeeds.
	RedirectURIs []string
	// Scopes are the scopes it may ask for, and those it gets if it asks for none.
	// nil means any, and none by default.
	Scopes []string
	// OpaqueTokens makes its access tokens opaque, for APIs that introspect.
	OpaqueTokens bool
	// TokenEdits are applied to the access tokens that the endpoints issue to it.
	TokenEdits []Edit
}

// User is a resource owner.
type User struct {
	// Subject is sub. Required; not the ID of a client (RFC 9700 §4.15).
	Subject string
	// Name is what the consent page shows. "" means Subject.
	Name string
	// Password is for the resource owner password grant alone (RFC 6749 §4.3); the
	// consent page asks for none. "" means that this user cannot use that grant.
	Password string
	// Claims are what userinfo and ID tokens say beside sub: what encoding/json can write.
	Claims map[string]any
}

// complete fills in the defaults, except those of Issuer, and checks the rest.
func (c Config) complete() (Config, error) {
	if c.Algorithm == "" {
		c.Algorithm = "RS256"
	}
	if c.Clients == nil {
		c.Clients = []Client{{ID: "test-client", Secret: "test-secret", RedirectURIs: []string{"https://client.test/callback"}}}
	}
	if c.Users == nil {
		c.Users = []User{{Subject: "user-1", Name: "Test User"}}
	}
	if c.CodeLifetime == 0 {
		c.CodeLifetime = time.Minute
	}
	if c.RefreshLifetime == 0 {
		c.RefreshLifetime = 24 * time.Hour
	}
	if c.DeviceInterval == 0 {
		c.DeviceInterval = 5 * time.Second
	}
	if c.TokenLifetime == 0 {
		c.TokenLifetime = 10 * time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if hook.Nil(c.Random) {
		c.Random = rand.Reader
	}
	return c, errors.Join(c.checkIssuer(), c.checkAlgorithm(), c.checkKey(), c.checkAudience(), c.checkClients(), c.checkUsers(), c.checkEdits(), c.checkLifetimes())
}

// checkIssuer leaves the rest to those who read tokens: what it accepts, such as a name
// with letters beyond ASCII or a space in the path, a verifier and a cache may refuse,
// and VerifierConfig then says what they say.
func (c Config) checkIssuer() error {
	if c.Issuer == "" {
		return nil
	}
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") ||
		u.RawQuery != "" || u.ForceQuery || strings.Contains(c.Issuer, "#") || u.User != nil {
		return errors.New("oauthtest: Issuer must be an http or https URL without query, fragment and userinfo (RFC 8414 §2)")
	}
	if strings.HasPrefix(u.Path+"/", canaryPath) {
		return errors.New("oauthtest: Issuer has its path at /canary, where hostile tokens lead and no endpoint is served: choose another path")
	}
	return nil
}

func (c Config) checkAlgorithm() error {
	if jose.HMAC(c.Algorithm) {
		return nil
	}
	if _, err := family(c.Algorithm); err != nil {
		return fmt.Errorf("oauthtest: Algorithm: %w", err)
	}
	return nil
}

func (c Config) checkAudience() error {
	for _, aud := range c.Audience {
		if aud == "" {
			return errors.New("oauthtest: Audience holds an empty string: name the API, for example by its URL")
		}
	}
	return nil
}

// loopback returns addr as an IP address and port, if that is on loopback. Names
// other than localhost are refused unresolved: what they stand for can change.
func loopback(addr string) (string, error) {
	if addr == "" {
		return "127.0.0.1:0", nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("oauthtest: Addr: %w", err)
	}
	if host == "localhost" {
		return net.JoinHostPort("127.0.0.1", port), nil
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.Unmap().IsLoopback() {
		return "", fmt.Errorf("oauthtest: Addr %q is not on loopback: a server with throw-away keys is for this machine only; use 127.0.0.1, [::1] or localhost", addr)
	}
	return addr, nil
}
