// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

// scopeClaims are what golang-jwt and echo-jwt read of a token.
type scopeClaims struct {
	Scope string `json:"scope"`
	jwt.RegisteredClaims
}

func newJWTParser(issuer, audience string) *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods([]string{"RS256"}),
		jwt.WithIssuer(issuer),
		jwt.WithAudience(audience),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(30*time.Second),
	)
}

func golangJWT(ctx context.Context, client *http.Client, issuer, jwksURL, audience, scope string, next http.Handler) (http.Handler, error) {
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{jwksURL}, keyfunc.Override{Client: client})
	if err != nil {
		return nil, err
	}
	parser := newJWTParser(issuer, audience)

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, raw, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		raw = strings.TrimLeft(raw, " ") // one blank or more (RFC 9110 §11.4)
		if !strings.EqualFold(scheme, "Bearer") {
			w.Header().Set("WWW-Authenticate", `Bearer realm="orders"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var claims scopeClaims
		if _, err := parser.ParseWithClaims(raw, &claims, keys.KeyfuncCtx(r.Context())); err != nil {
			w.Header().Set("WWW-Authenticate", `Bearer realm="orders", error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if !slices.Contains(strings.Split(claims.Scope, " "), scope) {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="orders", error="insufficient_scope", scope=%q`, scope))
			w.WriteHeader(http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	}), nil
}
