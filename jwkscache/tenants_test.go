// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/internal/jose"
	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// estate is a verifier of tenants at https://<kid>.tenant.example, each of which has
// a key cache that discovers, and a key of its own under the kid shared.
type estate struct {
	*testing.T
	*site
	*events
	v *verifier.Verifier
}

func tenant(kid string) string { return "https://" + kid + ".tenant.example" }

// guardedConfig is what an application is to use; unguardedConfig lacks PublicOnly.
func guardedConfig(iss string) jwkscache.Config {
	return jwkscache.Config{Issuer: iss, PublicOnly: true}
}
func unguardedConfig(iss string) jwkscache.Config { return jwkscache.Config{Issuer: iss} }

func inEstate(t *testing.T, name string, source func(iss string) jwkscache.Config, test func(e *estate)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := &estate{T: t, site: newSite(t), events: &events{}}
			for _, kid := range []string{"one", "two", "three"} {
				iss := tenant(kid)
				e.body(iss+"/.well-known/oauth-authorization-server", fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, iss, iss+"/jwks"))
				e.body(iss+"/jwks", set(sharedKid(kid)))
			}
			v, err := verifier.NewTenants(verifier.Tenants{
				Accept: func(iss string) bool {
					kid, ok := strings.CutSuffix(strings.TrimPrefix(iss, "https://"), ".tenant.example")
					return ok && private()[kid] != nil && tenant(kid) == iss || strings.HasPrefix(iss, "https://10.")
				},
				Resolve: func(_ context.Context, iss string) (verifier.Config, error) {
					keys, err := jwkscache.New(source(iss))
					if err != nil {
						return verifier.Config{}, err
					}
					jwkscache.SetClient(keys, e.client())
					return verifier.Config{Issuer: iss, Audience: []string{audience}, Keys: keys}, nil
				},
				OnEvent: e.hook,
			})
			if err != nil {
				t.Fatal(err)
			}
			e.v = v
			test(e)
			if err := v.Close(); err != nil {
				t.Error(err)
			}
		})
	})
}

func sharedKid(kid string) json.RawMessage {
	text, err := jose.PublicJWK(private()[kid].Public(), map[string]any{"kid": "shared"})
	if err != nil {
		panic(err)
	}
	return text
}

// from is a token that the key of kid signed for the issuer iss.
func from(kid, iss string) string {
	now := time.Now()
	return signed(kid, map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": "shared"}, map[string]any{
		"iss": iss, "aud": audience, "sub": "s", "client_id": "c", "jti": kid + iss,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	})
}

func (e *estate) want(raw string, class error) {
	e.Helper()
	_, err := e.v.Verify(e.Context(), raw)
	if got := verifier.ClassOf(err); got != class {
		e.Errorf("class %v, want %v (%v)", got, class, err)
	}
}

func TestTenantsWithCaches(t *testing.T) {
	inEstate(t, "JV-16/same_kid_two_tenants", guardedConfig, func(e *estate) {
		for range 2 {
			e.want(from("one", tenant("one")), nil)
			e.want(from("two", tenant("two")), nil)
			e.want(from("one", tenant("two")), verifier.ErrSignature)
			e.want(from("two", tenant("one")), verifier.ErrSignature)
		}
		if e.hits(tenant("one")+"/jwks") != 1 || e.hits(tenant("two")+"/jwks") != 1 {
			e.Errorf("asked %v", e.asked())
		}
	})
	inEstate(t, "D22/nothing_fetched_for_an_unknown_one", guardedConfig, func(e *estate) {
		for _, iss := range []string{"https://evil.example", tenant("four"), tenant("one") + "/", "https://evil.example/?" + tenant("one")} {
			e.want(from("one", iss), verifier.ErrIssuer)
		}
		if e.hits("") != 0 {
			e.Errorf("asked %v", e.asked())
		}
	})
	inEstate(t, "KS-04/cache_without_the_guard", unguardedConfig, func(e *estate) {
		e.want(from("one", tenant("one")), verifier.ErrConfig)
		if e.hits("") != 0 {
			e.Errorf("asked %v", e.asked())
		}
	})
	inEstate(t, "G15/private_address_as_issuer", guardedConfig, func(e *estate) {
		e.want(from("one", "https://10.0.0.1"), verifier.ErrConfig)
		if e.hits("") != 0 {
			e.Errorf("asked %v", e.asked())
		}
	})
	inEstate(t, "KS-10/cold_tenant_one_fetch", guardedConfig, func(e *estate) {
		var group sync.WaitGroup
		for range 100 {
			group.Go(func() { e.want(from("one", tenant("one")), nil) })
		}
		group.Wait()
		if e.hits("") != 2 {
			e.Errorf("asked %v", e.asked())
		}
	})
	inEstate(t, "G13/slow_tenant_delays_no_other", guardedConfig, func(e *estate) {
		e.on(tenant("one")+"/jwks", slow(time.Hour, http.NotFound))
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() { e.want(from("one", tenant("one")), verifier.ErrKeysUnavailable) })
		}
		synctest.Wait()
		start := time.Now()
		e.want(from("two", tenant("two")), nil)
		e.want(from("three", tenant("three")), nil)
		if time.Since(start) != 0 {
			e.Errorf("delayed by %v", time.Since(start))
		}
		group.Wait()
	})
	inEstate(t, "KS-26/Close_during_a_fetch", guardedConfig, func(e *estate) {
		e.on(tenant("one")+"/jwks", slow(time.Hour, http.NotFound))
		var group sync.WaitGroup
		group.Go(func() { e.want(from("one", tenant("one")), verifier.ErrKeysUnavailable) })
		synctest.Wait()
		start := time.Now()
		_ = e.v.Close()
		group.Wait()
		if took := time.Since(start); took != 0 {
			e.Errorf("took %v", took)
		}
		e.want(from("two", tenant("two")), verifier.ErrKeysUnavailable)
	})
}
