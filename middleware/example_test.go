// SPDX-License-Identifier: Apache-2.0

package middleware_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/bearerguard/bearerguard/adapters/nethttp"
	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

// cors is a CORS layer in its simplest form, for one origin; applications use a
// library. It answers preflights itself. It names Authorization and DPoP, which the
// wildcard does not cover, and exposes the headers without which a script in a
// browser cannot see why a request was refused.
func cors(origin string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		if r.Header.Get("Origin") == origin {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, DPoP-Nonce")
		}
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", "GET, POST")
			h.Set("Access-Control-Allow-Headers", "Authorization, DPoP")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// The CORS layer goes outside the guard: preflights carry no credentials, and
// refusals need its headers, too.
func Example_cors() {
	keys, err := jwkscache.New(jwkscache.Config{Issuer: "https://id.example.com"})
	if err != nil {
		log.Fatal(err)
	}
	defer keys.Close()
	v, err := verifier.New(verifier.Config{
		Issuer:   "https://id.example.com",
		Audience: []string{"https://api.example.com"},
		Keys:     keys,
	})
	if err != nil {
		log.Fatal(err)
	}
	g, err := middleware.New(middleware.Config{Verifier: v})
	if err != nil {
		log.Fatal(err)
	}

	orders := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "orders") })
	api := cors("https://app.example.com", nethttp.Require(g, scopes.All("orders:read"))(orders))

	for _, method := range []string{http.MethodOptions, http.MethodGet} {
		r := httptest.NewRequest(method, "/orders", nil)
		r.Header.Set("Origin", "https://app.example.com")
		if method == http.MethodOptions {
			r.Header.Set("Access-Control-Request-Method", "GET")
			r.Header.Set("Access-Control-Request-Headers", "authorization, dpop")
		}
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		fmt.Println(method, w.Code)
		for _, name := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Headers", "Access-Control-Expose-Headers", "WWW-Authenticate"} {
			if value := w.Header().Get(name); value != "" {
				fmt.Printf("  %s: %s\n", name, value)
			}
		}
	}
	// Output:
	// OPTIONS 204
	//   Access-Control-Allow-Origin: https://app.example.com
	//   Access-Control-Allow-Headers: Authorization, DPoP
	//   Access-Control-Expose-Headers: WWW-Authenticate, DPoP-Nonce
	// GET 401
	//   Access-Control-Allow-Origin: https://app.example.com
	//   Access-Control-Expose-Headers: WWW-Authenticate, DPoP-Nonce
	//   WWW-Authenticate: Bearer scope="orders:read"
}

// A scope says what the client was granted, not what is the user's own: that is
// for the handler to decide. More scope would not help, so the answer is 403
// without a challenge.
func ExampleDeny() {
	owner := map[string]string{"7": "user-1"}
	show := func(w http.ResponseWriter, r *http.Request) {
		tok, ok := middleware.TokenFrom(r.Context())
		if !ok || owner[r.PathValue("id")] != tok.Subject {
			middleware.Deny(w, r, verifier.ErrForbidden)
			return
		}
		fmt.Fprintln(w, "order", r.PathValue("id"))
	}

	var g *middleware.Guard // from middleware.New; nil denies everything
	mux := http.NewServeMux()
	mux.Handle("GET /orders/{id}", nethttp.Require(g, scopes.All("orders:read"))(http.HandlerFunc(show)))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/orders/7", nil))
	fmt.Println(w.Code)
	// Output: 503
}
