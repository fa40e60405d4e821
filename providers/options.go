// SPDX-License-Identifier: Apache-2.0

package providers

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// Options are what every function of this package takes.
type Options struct {
	// Audience lists the identifiers of this API, one of which a token must name in aud
	// (RFC 9068 §4). Required, unless the comment of the function says otherwise.
	Audience []string
	// Clients lists the clients whose tokens are accepted, for providers that give no
	// usable aud. Other functions refuse it. nil means none.
	Clients []string
	// Keys is a template for the key source: HTTPClient, MaxStale, InsecureHosts and the
	// like. Issuer, URL, File and Discovery must be left empty; the function sets them.
	// Select gets what the function's own selection leaves. The zero value is the
	// default of each.
	Keys jwkscache.Config
	// OnEvent is verifier.Config.OnEvent, and that of Keys if it has none. nil means none.
	OnEvent func(verifier.Event)
}

// preset collects what is wrong with the inputs of one function, so that it can be
// mended in one go.
type preset struct {
	function string
	faults   []error
}

// fault adds a fault; format begins with the name of the input and ends with the
// remedy.
func (p *preset) fault(format string, args ...any) {
	p.faults = append(p.faults, fmt.Errorf("providers.%s: "+format, append([]any{p.function}, args...)...))
}

func (p *preset) err() error {
	if len(p.faults) == 0 {
		return nil
	}
	if e, ok := p.faults[0].(*verifier.Error); ok {
		return e // of a hook: nothing is wrong with the inputs
	}
	return &verifier.Error{Class: verifier.ErrConfig, Cause: errors.Join(p.faults...)}
}

// needAudience is for providers whose tokens name the API in aud: a list of clients
// would be the weaker check (RFC 9700 §2.3). what says which value to configure.
func (p *preset) needAudience(o Options, what string) {
	p.entries(o)
	if len(o.Audience) == 0 {
		p.fault("Options.Audience is empty: set it to %s", what)
	}
	if len(o.Clients) > 0 {
		p.fault("Options.Clients is set, but these tokens name the API in aud: set Audience and leave Clients empty")
	}
}

// entries refuses what an unset environment variable leaves in a list.
func (p *preset) entries(o Options) {
	const text = "Options.%s holds an empty string: remove it (an unset environment variable?)"
	if slices.Contains(o.Audience, "") {
		p.fault(text, "Audience")
	}
	if slices.Contains(o.Clients, "") {
		p.fault(text, "Clients")
	}
}

// needEither is for providers that put the API into aud only if they are told to.
// With a list of clients there is no aud to check, which is ProfileJWT; a client is
// then read from one claim only.
func (p *preset) needEither(o Options, cfg *verifier.Config, what string) {
	p.entries(o)
	switch {
	case len(o.Audience) > 0 && len(o.Clients) > 0:
		p.fault("Options.Audience and Options.Clients are both set: keep Audience if the tokens name this API in aud, else Clients")
	case len(o.Audience) == 0 && len(o.Clients) == 0:
		p.fault("Options.Audience and Options.Clients are both empty: set Audience to %s; if the tokens do not name this API, set Clients to the clients that may call it", what)
	case len(o.Clients) > 0:
		cfg.Profile = verifier.ProfileJWT
	}
}

// config makes the key source and completes cfg. source says where the keys come
// from; everything else about them is the template's.
func (p *preset) config(cfg verifier.Config, source jwkscache.Config, o Options) (verifier.Config, error) {
	cache := p.cache(source, o)
	if err := p.err(); err != nil {
		return verifier.Config{}, err
	}
	cfg.Keys = cache
	return completed(cfg, o), nil
}

func completed(cfg verifier.Config, o Options) verifier.Config {
	if cfg.Audience == nil {
		cfg.Audience = slices.Clone(o.Audience)
	}
	cfg.Clients = slices.Clone(o.Clients)
	cfg.OnEvent = o.OnEvent
	return cfg
}

// cache makes the key source. If there are faults already, it only adds those of
// the template, by means of a source that is never used.
func (p *preset) cache(source jwkscache.Config, o Options) *jwkscache.Cache {
	if t := o.Keys; t.Issuer != "" || t.URL != "" || t.File != "" || t.Discovery != jwkscache.DiscoverAny {
		p.fault("Options.Keys has Issuer, URL, File or Discovery: leave them empty, they are those of the provider")
	}
	keys := keysConfig(source, o)
	if len(p.faults) > 0 {
		keys.Issuer, keys.URL, keys.Discovery, keys.OnEvent = "", "https://keys.invalid", jwkscache.DiscoverAny, nil
	}
	cache, err := jwkscache.New(keys)
	var e *verifier.Error
	if errors.As(err, &e) && e.Class == verifier.ErrConfig {
		err = e.Cause
	}
	if err != nil {
		p.faults = append(p.faults, err)
	}
	return cache
}

func keysConfig(source jwkscache.Config, o Options) jwkscache.Config {
	keys := o.Keys
	keys.Issuer, keys.URL, keys.File, keys.Discovery = source.Issuer, source.URL, "", source.Discovery
	if source.HTTPClient != nil {
		keys.HTTPClient = source.HTTPClient
	}
	if keys.OnEvent == nil {
		keys.OnEvent = o.OnEvent
	}
	keys.Select = narrowed(source.Select, o.Keys.Select)
	return keys
}

// narrowed applies both, the provider's first: it looks at what all keys of a set name.
func narrowed(provider, user func(*verifier.KeySet) *verifier.KeySet) func(*verifier.KeySet) *verifier.KeySet {
	switch {
	case provider == nil:
		return user
	case user == nil:
		return provider
	}
	return func(set *verifier.KeySet) *verifier.KeySet { return user(provider(set)) }
}

// discovered is a source that is found by the metadata appended to the issuer
// (OpenID Connect Discovery 1.0 §4), which every provider here has.
func discovered(issuer string) jwkscache.Config {
	return jwkscache.Config{Issuer: issuer, Discovery: jwkscache.DiscoverOpenID}
}

// only reports whether s is not empty and has no byte outside letters, digits and
// extra. Identifiers become part of a URL, so that nothing else may stand in them.
func only(s, extra string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		alphanumeric := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !alphanumeric && !strings.ContainsRune(extra, r)
	})
}

// lower: issuers and claims are compared exactly, and providers spell these in lower
// case.
func lower(s string) bool { return s == strings.ToLower(s) }

// hostName: at least two labels (RFC 1123 §2.1), without port.
func hostName(s string) bool {
	labels := strings.Split(s, ".")
	return len(labels) > 1 && len(s) <= 253 && !slices.ContainsFunc(labels, func(label string) bool {
		return !only(label, "-") || len(label) > 63
	})
}
