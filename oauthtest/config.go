// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/internal/scopetoken"
)

// Config describes a test authorization server. The zero value is a working one.
type Config struct {
	// Addr is where [Listen] serves: "host:port" with a loopback IP address or
	// "localhost", which stands for 127.0.0.1. "" means 127.0.0.1 and any free
	// port. [NewServer] does not use it.
	Addr string
	// Issuer is the issuer identifier, an http or https URL; it may have a path.
	// "" means https://issuer.test in memory, and http://host:port under Listen, which
	// takes http URLs only. Two servers behind one verifier need different ones.
	Issuer string
	// Algorithm signs every token. "" means RS256; also RS384, RS512, PS256, PS384,
	// PS512, ES256, ES384, ES512, EdDSA and Ed25519 (RFC 7518 §3.1, RFC 9864 §2.2).
	Algorithm string
	// Audience lists the resource identifiers that a client may ask for (RFC 8707
	// §2). The first is the default of Token and of the token endpoint. An audience
	// given to VerifierConfig is added to it. nil means none yet.
	Audience []string
	// Clients may use the token endpoint. nil means one: ID "test-client", Secret
	// "test-secret", any scope.
	Clients []Client
	// TokenLifetime is exp minus iat. 0 means 10 minutes.
	TokenLifetime time.Duration
	// CacheControl is the Cache-Control header of metadata and key set. "" means none.
	CacheControl string
	// Now is the clock of tokens; VerifierConfig hands it to the verifier. nil means
	// time.Now. It must be safe for concurrent use.
	Now func() time.Time
}

// Client is a client of the token endpoint.
type Client struct {
	// ID is client_id. Required.
	ID string
	// Secret is client_secret. "" means a public client, which may not use the
	// client credentials grant (RFC 6749 §4.4).
	Secret string
	// Scopes are the scopes it may ask for, and those it gets if it asks for none.
	// nil means any, and none by default.
	Scopes []string
}

// complete fills in the defaults, except those of Issuer, and checks the rest.
func (c Config) complete() (Config, error) {
	if c.Algorithm == "" {
		c.Algorithm = "RS256"
	}
	if c.Clients == nil {
		c.Clients = []Client{{ID: "test-client", Secret: "test-secret"}}
	}
	if c.TokenLifetime == 0 {
		c.TokenLifetime = 10 * time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, errors.Join(c.checkIssuer(), c.checkAlgorithm(), c.checkAudience(), c.checkClients(), c.checkLifetime())
}

func (c Config) checkIssuer() error {
	if c.Issuer == "" {
		return nil
	}
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") ||
		u.RawQuery != "" || u.ForceQuery || strings.Contains(c.Issuer, "#") || u.User != nil {
		return errors.New("oauthtest: Issuer must be an http or https URL without query, fragment and userinfo (RFC 8414 §2)")
	}
	return nil
}

func (c Config) checkAlgorithm() error {
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

func (c Config) checkClients() error {
	seen := map[string]bool{}
	for _, cl := range c.Clients {
		if cl.ID == "" || seen[cl.ID] {
			return fmt.Errorf("oauthtest: Clients: ID %q is empty or used twice", cl.ID)
		}
		seen[cl.ID] = true
		for _, s := range cl.Scopes {
			if !scopetoken.Valid(s) {
				return fmt.Errorf("oauthtest: Clients: %q is not a scope token (RFC 6749 §3.3)", s)
			}
		}
	}
	return nil
}

func (c Config) checkLifetime() error {
	if c.TokenLifetime < time.Second {
		return errors.New("oauthtest: TokenLifetime must be a second or more; for an expired token use the ExpiresIn edit")
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
