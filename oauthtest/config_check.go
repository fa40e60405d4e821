// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/internal/scopetoken"
)

func (c Config) checkClients() error {
	var errs []error
	seen := map[string]bool{}
	for _, cl := range c.Clients {
		if cl.ID == "" || seen[cl.ID] {
			errs = append(errs, fmt.Errorf("oauthtest: Clients: ID %q is empty or used twice", cl.ID))
		}
		seen[cl.ID] = true
		for _, err := range []error{cl.checkKeys(), cl.checkScopes(), c.checkOpenID(cl), cl.checkRedirects(), checkEdits(cl.TokenEdits)} {
			if err != nil {
				errs = append(errs, fmt.Errorf("oauthtest: Clients: %q: %w", cl.ID, err))
			}
		}
	}
	return errors.Join(errs...)
}

func (c Client) checkKeys() error {
	if c.Keys == nil {
		return nil
	}
	if c.Secret != "" {
		return errors.New("both Secret and Keys are set: a client has one way to authenticate, leave one of them out")
	}
	if _, err := clientKeys(c.Keys); err != nil {
		return fmt.Errorf("field Keys must be a JWK Set of public keys: %w", err)
	}
	return nil
}

func (c Client) checkScopes() error {
	for _, s := range c.Scopes {
		if !scopetoken.Valid(s) {
			return fmt.Errorf("field Scopes: %q is not a scope token (RFC 6749 §3.3)", s)
		}
	}
	return nil
}

// checkOpenID: a client that asks for no scope asks for all of its own.
func (c Config) checkOpenID(cl Client) error {
	if jose.HMAC(c.Algorithm) && slices.Contains(cl.Scopes, "openid") {
		return fmt.Errorf("field Scopes holds openid, but with %s there is no ID token: leave it out, or set another Algorithm", c.Algorithm)
	}
	return nil
}

func (c Config) checkEdits() error {
	if err := checkEdits(c.TokenEdits); err != nil {
		return fmt.Errorf("oauthtest: TokenEdits: %w", err)
	}
	return nil
}

func (c Client) checkRedirects() error {
	for _, uri := range c.RedirectURIs {
		if u, err := url.Parse(uri); err != nil || !u.IsAbs() || strings.Contains(uri, "#") {
			return fmt.Errorf("field RedirectURIs: %q is not an absolute URI without fragment (RFC 6749 §3.1.2)", uri)
		}
	}
	return nil
}

func (c Config) checkUsers() error {
	seen, clients := map[string]bool{}, map[string]bool{}
	for _, cl := range c.Clients {
		clients[cl.ID] = true
	}
	for _, u := range c.Users {
		if u.Subject == "" || seen[u.Subject] {
			return fmt.Errorf("oauthtest: Users: Subject %q is empty or used twice", u.Subject)
		}
		seen[u.Subject] = true
		if _, ok := u.Claims["sub"]; ok {
			return fmt.Errorf("oauthtest: Users: Claims of %q hold sub: set Subject instead", u.Subject)
		}
		if clients[u.Subject] { // RFC 9700 §4.15
			return fmt.Errorf("oauthtest: Users: Subject %q is also the ID of a client, and no API could tell their tokens apart: change one of them", u.Subject)
		}
		if _, err := json.Marshal(u.Claims); err != nil {
			return fmt.Errorf("oauthtest: Users: Claims of %q: %w", u.Subject, err)
		}
	}
	return nil
}

func (c Config) checkLifetimes() error {
	var errs []error
	if c.TokenLifetime < time.Second {
		errs = append(errs, errors.New("oauthtest: TokenLifetime must be a second or more; for an expired token use the ExpiresIn edit"))
	}
	if c.CodeLifetime < 0 || c.CodeLifetime > time.Minute {
		errs = append(errs, errors.New("oauthtest: CodeLifetime must be at most 60 s (FAPI 2.0 Security Profile §5.3.2.1), and not negative"))
	}
	if c.RefreshLifetime < 0 {
		errs = append(errs, errors.New("oauthtest: RefreshLifetime is negative: leave it out for 24 h"))
	}
	if c.DeviceInterval < time.Second || c.DeviceInterval%time.Second != 0 {
		errs = append(errs, errors.New("oauthtest: DeviceInterval must be whole seconds, one or more, since the answer has no fractions (RFC 8628 §3.2)"))
	}
	return errors.Join(errs...)
}
