// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/bearerguard/bearerguard/jwkscache"
)

// The keys of one issuer move to another host: until all tokens are signed by keys of
// the new one, both are asked.
func ExampleJoin() {
	before, err := jwkscache.New(jwkscache.Config{URL: "https://id.example.com/keys"})
	if err != nil {
		log.Fatal(err)
	}
	after, err := jwkscache.New(jwkscache.Config{URL: "https://login.example.com/keys"})
	if err != nil {
		log.Fatal(err)
	}
	keys, err := jwkscache.Join(before, after)
	if err != nil {
		log.Fatal(err)
	}
	defer keys.Close()
	// verifier.Config{Keys: keys, …}
}

// An orchestrator asks whether this instance can verify tokens.
func ExampleReadyHandler() {
	keys, err := jwkscache.New(jwkscache.Config{
		Issuer:     "https://id.example.com",
		HTTPClient: unreachable(), // for the sake of the example
	})
	if err != nil {
		log.Fatal(err)
	}
	defer keys.Close()
	ready, err := jwkscache.ReadyHandler(keys)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/readyz", ready)

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
	fmt.Println(w.Code)
	// Output: 503
}

// An issuer that a customer names must not make this server ask its own network.
func ExampleConfig_publicOnly() {
	_, err := jwkscache.New(jwkscache.Config{URL: "https://169.254.169.254/keys", PublicOnly: true})
	fmt.Println(err)
	// Output:
	// configuration error: jwkscache.Config.URL is at an address that is not public, which PublicOnly refuses: correct it, or unset PublicOnly if it is your own choice
}

func unreachable() *http.Client {
	return &http.Client{Transport: refusing{}}
}

type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) { return nil, http.ErrServerClosed }
