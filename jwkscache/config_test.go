// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// trip is an http.RoundTripper that is not an *http.Transport.
type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// refused makes sure that New refuses cfg, and that the error names every word.
func refused(t *testing.T, cfg jwkscache.Config, words ...string) {
	t.Helper()
	cache, err := jwkscache.New(cfg)
	if cache != nil {
		t.Fatal("a cache came with the error")
	}
	e := wantClass(t, err, verifier.ErrConfig)
	for _, word := range words {
		if !strings.Contains(e.Error(), word) {
			t.Errorf("%q does not name %q", e, word)
		}
	}
}

// accepted makes sure that New accepts cfg.
func accepted(t *testing.T, cfg jwkscache.Config) {
	t.Helper()
	cache, err := jwkscache.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cache.Close()
}

func TestConfigRefused(t *testing.T) {
	const https = "https://id.example/jwks"
	for name, c := range map[string]struct {
		cfg   jwkscache.Config
		words []string
	}{
		"KS-01/F31_http_URL":            {jwkscache.Config{URL: "http://id.example/jwks"}, []string{"URL", "InsecureHosts"}},
		"KS-01/http_other_host_listed":  {jwkscache.Config{URL: "http://id.example/jwks", InsecureHosts: []string{"example"}}, []string{"InsecureHosts"}},
		"KS-01/http_not_loopback":       {jwkscache.Config{URL: "http://localhost.example/jwks", InsecureHosts: []string{"loopback"}}, []string{"InsecureHosts"}},
		"KS-01/other_mapped_address":    {jwkscache.Config{URL: "http://[::ffff:192.0.2.2]/jwks", InsecureHosts: []string{"192.0.2.1"}}, []string{"InsecureHosts"}},
		"KS-01/file_URL":                {jwkscache.Config{URL: "file:///etc/jwks"}, []string{"URL"}},
		"KS-01/relative_URL":            {jwkscache.Config{URL: "/jwks"}, []string{"URL"}},
		"KS-01/opaque_URL":              {jwkscache.Config{URL: "https:id.example"}, []string{"URL"}},
		"KS-01/URL_with_fragment":       {jwkscache.Config{URL: https + "#x"}, []string{"URL", "fragment"}},
		"KS-01/URL_not_parseable":       {jwkscache.Config{URL: "https://id.example:x/"}, []string{"URL"}},
		"KS-01/pattern_of_hosts":        {jwkscache.Config{URL: https, InsecureHosts: []string{"*.example"}}, []string{"InsecureHosts"}},
		"KS-01/host_with_port":          {jwkscache.Config{URL: https, InsecureHosts: []string{"id.example:80"}}, []string{"InsecureHosts"}},
		"KS-01/host_with_scheme":        {jwkscache.Config{URL: https, InsecureHosts: []string{"http://id.example"}}, []string{"InsecureHosts"}},
		"KS-01/host_empty":              {jwkscache.Config{URL: https, InsecureHosts: []string{""}}, []string{"InsecureHosts"}},
		"KS-28/URL_with_userinfo":       {jwkscache.Config{URL: "https://u:secret@id.example/"}, []string{"URL", "userinfo"}},
		"MD-01/G3_http_issuer":          {jwkscache.Config{Issuer: "http://id.example"}, []string{"Issuer", "InsecureHosts"}},
		"MD-01/G3_issuer_with_query":    {jwkscache.Config{Issuer: "https://id.example?x=1"}, []string{"Issuer", "query"}},
		"MD-01/G3_empty_query":          {jwkscache.Config{Issuer: "https://id.example?"}, []string{"Issuer", "query"}},
		"MD-01/G3_issuer_with_fragment": {jwkscache.Config{Issuer: "https://id.example#x"}, []string{"Issuer", "fragment"}},
		"MD-01/G3_empty_fragment":       {jwkscache.Config{Issuer: "https://id.example#"}, []string{"Issuer", "fragment"}},
		"MD-01/G3_issuer_with_userinfo": {jwkscache.Config{Issuer: "https://u:secret@id.example"}, []string{"Issuer", "userinfo"}},
		"MD-01/issuer_not_a_URL":        {jwkscache.Config{Issuer: "id.example"}, []string{"Issuer"}},
		"MD-01/issuer_without_host":     {jwkscache.Config{Issuer: "https:///x"}, []string{"Issuer"}},
		"MD-01/issuer_with_blank":       {jwkscache.Config{Issuer: "https://id.example/a b"}, []string{"Issuer"}},
		"MD-01/issuer_not_ASCII":        {jwkscache.Config{Issuer: "https://id.example/ä"}, []string{"Issuer"}},
		"MD-15/template":                {jwkscache.Config{Issuer: "https://as.example/{tenant}"}, []string{"Issuer", "template"}},
		"MD-15/wildcard":                {jwkscache.Config{Issuer: "https://*.example"}, []string{"Issuer", "template"}},
		"MD-04/no_such_kind":            {jwkscache.Config{Issuer: issuer, Discovery: 4}, []string{"Discovery"}},
		"MD-04/kind_negative":           {jwkscache.Config{Issuer: issuer, Discovery: -1}, []string{"Discovery"}},
		"MD-04/kind_without_issuer":     {jwkscache.Config{URL: https, Discovery: jwkscache.DiscoverOAuth}, []string{"Discovery"}},
		"GO-02/nothing_set":             {jwkscache.Config{}, []string{"Issuer", "URL"}},
		"GO-02/both_set":                {jwkscache.Config{Issuer: issuer, URL: https}, []string{"Issuer", "URL"}},
		"GO-02/all_faults_at_once": {
			jwkscache.Config{Issuer: "http://id.example", URL: "/x", Discovery: 9, InsecureHosts: []string{""}, UnknownKeyCooldown: -1, MaxStale: 1000 * time.Hour},
			[]string{"both set", "Issuer uses http", "URL is not", "Discovery", "InsecureHosts holds", "UnknownKeyCooldown", "MaxStale"},
		},
		"DF-09/below_range": {jwkscache.Config{URL: https, UnknownKeyCooldown: time.Second - 1}, []string{"UnknownKeyCooldown"}},
		"DF-09/above_range": {jwkscache.Config{URL: https, UnknownKeyCooldown: 10*time.Minute + 1}, []string{"UnknownKeyCooldown"}},
		"DF-09/negative":    {jwkscache.Config{URL: https, UnknownKeyCooldown: -time.Second}, []string{"UnknownKeyCooldown"}},
		"DF-10/above_range": {jwkscache.Config{URL: https, MaxStale: 72*time.Hour + 1}, []string{"MaxStale"}},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, c.cfg, c.words...)
			if _, err := jwkscache.New(c.cfg); strings.Contains(err.Error(), "secret") {
				t.Errorf("the error repeats a password: %v", err)
			}
		})
	}
}

func TestConfigAccepted(t *testing.T) {
	const https = "https://id.example/jwks"
	for name, cfg := range map[string]jwkscache.Config{
		"KS-01/https":               {URL: https},
		"KS-01/https_with_query":    {URL: https + "?p=policy"},
		"KS-01/listed_host":         {URL: "http://plain.example:8080/jwks", InsecureHosts: []string{"Plain.Example"}},
		"KS-01/listed_address":      {URL: "http://[2001:db8::1]/jwks", InsecureHosts: []string{"2001:DB8:0::1"}},
		"KS-01/loopback_name":       {URL: "http://localhost:8080/jwks", InsecureHosts: []string{"loopback"}},
		"KS-01/loopback_127":        {URL: "http://127.1.2.3/jwks", InsecureHosts: []string{"loopback"}},
		"KS-01/loopback_IPv6":       {URL: "http://[::1]:8080/jwks", InsecureHosts: []string{"loopback"}},
		"KS-01/listed_IPv4_mapped":  {URL: "http://[::ffff:192.0.2.1]/jwks", InsecureHosts: []string{"192.0.2.1"}},
		"KS-01/listed_mapped_IPv4":  {URL: "http://192.0.2.1/jwks", InsecureHosts: []string{"::ffff:192.0.2.1"}},
		"KS-01/loopback_mapped":     {URL: "http://[::ffff:127.0.0.1]/jwks", InsecureHosts: []string{"loopback"}},
		"MD-01/https":               {Issuer: "https://id.example/t1/"},
		"MD-01/http_listed":         {Issuer: "http://plain.example", InsecureHosts: []string{"plain.example"}},
		"DF-09/low_end":             {URL: https, UnknownKeyCooldown: time.Second},
		"DF-09/high_end":            {URL: https, UnknownKeyCooldown: 10 * time.Minute},
		"DF-10/high_end":            {URL: https, MaxStale: 72 * time.Hour},
		"DF-10/negative_means_none": {URL: https, MaxStale: -1},
	} {
		t.Run(name, func(t *testing.T) { accepted(t, cfg) })
	}
}

// warnings are the causes of the warnings that New raises for cfg.
func warnings(t *testing.T, cfg jwkscache.Config) []string {
	t.Helper()
	var e events
	cfg.OnEvent = e.hook
	accepted(t, cfg)
	var causes []string
	for _, ev := range e.of(verifier.EventWarning) {
		causes = append(causes, ev.Cause.Error())
	}
	return causes
}

func TestConstructionWarnings(t *testing.T) {
	const https = "https://id.example/jwks"
	transport := func(c *tls.Config) *http.Client {
		return &http.Client{Transport: &http.Transport{TLSClientConfig: c}}
	}
	for name, c := range map[string]struct {
		cfg  jwkscache.Config
		want string // "" for no warning at all
	}{
		"KS-01/insecure_hosts":     {jwkscache.Config{URL: https, InsecureHosts: []string{"loopback"}}, "InsecureHosts"},
		"KS-01/none":               {jwkscache.Config{URL: https}, ""},
		"SE-05/skip_verify":        {jwkscache.Config{URL: https, HTTPClient: transport(&tls.Config{InsecureSkipVerify: true})}, "InsecureSkipVerify"},
		"SE-05/old_TLS":            {jwkscache.Config{URL: https, HTTPClient: transport(&tls.Config{MinVersion: tls.VersionTLS11})}, "1.2"},
		"SE-05/TLS_1.2":            {jwkscache.Config{URL: https, HTTPClient: transport(&tls.Config{MinVersion: tls.VersionTLS12})}, ""},
		"SE-05/default_transport":  {jwkscache.Config{URL: https, HTTPClient: &http.Client{}}, ""},
		"SE-05/plain_transport":    {jwkscache.Config{URL: https, HTTPClient: &http.Client{Transport: &http.Transport{}}}, ""},
		"SE-05/other_RoundTripper": {jwkscache.Config{URL: https, HTTPClient: &http.Client{Transport: trip(nil)}}, "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			got := warnings(t, c.cfg)
			switch {
			case c.want == "" && len(got) == 0:
			case len(got) == 1 && c.want != "" && strings.Contains(got[0], c.want):
			default:
				t.Errorf("warnings %q, want one about %q", got, c.want)
			}
		})
	}
}

func TestConstruction(t *testing.T) {
	inWorld(t, "KS-27/constructor_does_no_IO", byIssuer, func(w *world) {
		w.verifier()
		w.pass(time.Hour)
		w.wantHits("", 0)
	})
	t.Run("SE-01/panicking_hook_stops_construction", func(t *testing.T) {
		cache, err := jwkscache.New(jwkscache.Config{
			URL: jwksURL, InsecureHosts: []string{"loopback"},
			OnEvent: func(verifier.Event) { panic("hook") },
		})
		if cache != nil {
			t.Error("a cache came with the error")
		}
		wantClass(t, err, verifier.ErrInternal)
	})
	t.Run("GO-02/zero_value_refuses", func(t *testing.T) {
		for _, cache := range []*jwkscache.Cache{nil, {}} {
			keys, err := cache.Keys(t.Context(), nil)
			if keys != nil {
				t.Error("keys from a zero value")
			}
			wantClass(t, err, verifier.ErrConfig)
			wantClass(t, cache.Warm(t.Context()), verifier.ErrConfig)
			if cache.Issuer() != "" || !isZero(cache.Status()) || cache.Close() != nil {
				t.Error("a zero value has a state")
			}
		}
	})
	t.Run("MD-01/issuer_is_reported", func(t *testing.T) {
		for _, cfg := range []jwkscache.Config{{Issuer: issuer}, {URL: jwksURL}} {
			cache, err := jwkscache.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if cache.Issuer() != cfg.Issuer {
				t.Errorf("Issuer() is %q, want %q", cache.Issuer(), cfg.Issuer)
			}
		}
	})
}

// TestConfigIsCopied changes what was given to New.
func TestConfigIsCopied(t *testing.T) {
	inWorld(t, "config_is_copied", byURL, func(w *world) {
		hosts := []string{"plain.example"}
		client := w.client()
		cache, err := jwkscache.New(jwkscache.Config{URL: "http://plain.example/jwks", InsecureHosts: hosts, HTTPClient: client})
		if err != nil {
			w.Fatal(err)
		}
		defer cache.Close()
		hosts[0], client.Transport = "other", trip(func(*http.Request) (*http.Response, error) {
			return nil, errors.New("changed afterwards")
		})
		w.body("http://plain.example/jwks", kids("one"))
		if err := cache.Warm(w.Context()); err != nil {
			w.Fatal(err)
		}
	})
}

func TestInsecureHostIsFetched(t *testing.T) {
	for host, list := range map[string]string{
		"plain.example": "plain.example", "localhost:8080": "loopback", "127.0.0.9": "loopback", "[::1]:99": "loopback",
	} {
		url := "http://" + host + "/jwks"
		edit := func(cfg *jwkscache.Config) { cfg.URL, cfg.InsecureHosts = url, []string{list} }
		inWorld(t, "KS-01/listed_host_fetched/"+host, edit, func(w *world) {
			w.body(url, kids("one"))
			w.keys()
			w.wantHits(url, 1)
		})
	}
}

// TestTwoCaches: what one cache is told changes nothing for another.
func TestTwoCaches(t *testing.T) {
	inWorld(t, "SE-10/F35_separate_policies", byURL, func(w *world) {
		const other = issuer + "/other"
		w.body(other, kids("two"))
		strict := w.another(func(cfg *jwkscache.Config) { cfg.URL, cfg.MaxStale = other, -1 })
		var wg sync.WaitGroup
		for _, cache := range []*jwkscache.Cache{w.cache, strict} {
			wg.Go(func() {
				if err := cache.Warm(w.Context()); err != nil {
					w.Error(err)
				}
			})
		}
		wg.Wait()
		one, _ := w.cache.Keys(w.Context(), nil)
		two, _ := strict.Keys(w.Context(), nil)
		if one == two || one.Len() != 1 || two.Len() != 1 {
			w.Fatal("the sets are not apart")
		}
		w.down.Store(true)
		w.pass(time.Hour)
		_, err := strict.Keys(w.Context(), nil)
		wantClass(w, err, verifier.ErrKeysUnavailable)
		w.keys()
	})
}

// TestContextBounds: the context given to a method bounds that call only.
func TestContextBounds(t *testing.T) {
	t.Run("GO-18/wait_ends_with_the_request", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, byURL)
			w.on(jwksURL, slow(3*time.Second, answer(200, kids("one"))))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			keys, err := w.cache.Keys(ctx, nil)
			if keys != nil {
				t.Error("keys came with the error")
			}
			wantClass(t, err, verifier.ErrKeysUnavailable)
			if w.elapsed() != time.Second {
				t.Errorf("waited %v", w.elapsed())
			}
			ctx, cancel = context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			tok, err := w.verifier().Verify(ctx, token("one"))
			if tok != nil {
				t.Error("a token came with the error")
			}
			wantClass(t, err, verifier.ErrKeysUnavailable)
			ctx, cancel = context.WithCancel(t.Context())
			cancel()
			wantClass(t, w.cache.Warm(ctx), verifier.ErrKeysUnavailable)
			w.pass(3 * time.Second)
			w.keys()
			w.wantHits(jwksURL, 1)
		})
	})
}
