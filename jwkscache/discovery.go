// SPDX-License-Identifier: Apache-2.0

package jwkscache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/internal/fetch"
	"github.com/bearerguard/bearerguard/internal/strictjson"
	"github.com/bearerguard/bearerguard/verifier"
)

const (
	metadataLimit  = 256 << 10
	metadataMaxAge = time.Hour
)

// Discovery says where the metadata of an issuer is looked for.
type Discovery int

const (
	// DiscoverAny tries the locations of the other three constants in their order. The
	// next one is tried after a 4xx status other than 408 and 429, or a redirect; any
	// other failure ends the attempt. It is the zero value.
	DiscoverAny Discovery = iota
	// DiscoverOAuth inserts /.well-known/oauth-authorization-server between host and
	// path of the issuer (RFC 8414 §3).
	DiscoverOAuth
	// DiscoverOpenID appends /.well-known/openid-configuration to the issuer (OpenID
	// Connect Discovery 1.0 §4).
	DiscoverOpenID
	// DiscoverOpenIDInserted inserts /.well-known/openid-configuration between host
	// and path (RFC 8414 §5).
	DiscoverOpenIDInserted
)

// locations returns the URLs to try. They are made from the text of the issuer, so
// that no re-encoding can change its path.
func (d Discovery) locations(issuer string) []string {
	start := strings.Index(issuer, "://") + len("://")
	end := len(issuer)
	if slash := strings.IndexByte(issuer[start:], '/'); slash >= 0 {
		end = start + slash
	}
	origin, path := issuer[:end], strings.TrimSuffix(issuer[end:], "/")
	oauth := origin + "/.well-known/oauth-authorization-server" + path
	appended := origin + path + "/.well-known/openid-configuration"
	inserted := origin + "/.well-known/openid-configuration" + path
	switch d {
	case DiscoverOAuth:
		return []string{oauth}
	case DiscoverOpenID:
		return []string{appended}
	case DiscoverOpenIDInserted:
		return []string{inserted}
	}
	return slices.Compact([]string{oauth, appended, inserted})
}

// metadata is what is kept of a validated document. Everything else in it is
// ignored: it cannot widen what a token may be (MD-12).
type metadata struct {
	jwksURI     string
	fetched     time.Time
	due         time.Time       // when to fetch it anew, with the next key set: up to minFresh later
	usableUntil time.Time       // how long it serves while it cannot be renewed (MD-11)
	failure     *verifier.Error // of the last attempt to renew it, or nil
}

// usable: nil is metadata that was never fetched.
func (m *metadata) usable(now time.Time) bool { return m != nil && now.Before(m.usableUntil) }

// discover fetches the metadata, all locations together within the time of one
// request (DF-11).
func (s *settings) discover(ctx context.Context) (*metadata, error) {
	ctx, cancel := context.WithTimeout(ctx, fetch.Timeout)
	defer cancel()
	var err error
	for _, location := range s.locations {
		var resp *fetch.Response
		resp, err = s.client.Get(ctx, fetch.Request{URL: location, Accept: "application/json", Limit: metadataLimit})
		if err == nil {
			return s.readMetadata(resp.Body)
		}
		if !lookElsewhere(err) {
			break
		}
	}
	return nil, metadataError(err)
}

// lookElsewhere: there is no document here. That an issuer's own document at the
// next location is as good is ensured by the comparison of issuer (RFC 8414 §3.3).
func lookElsewhere(err error) bool {
	var fe *fetch.Error
	if !errors.As(err, &fe) {
		return false
	}
	if fe.Status == http.StatusRequestTimeout || fe.Status == http.StatusTooManyRequests {
		return false
	}
	return fe.Redirect() || fe.Status >= 400 && fe.Status <= 499
}

// metadataError tells a host that cannot be reached from one that answers badly.
func metadataError(err error) error {
	var fe *fetch.Error
	if errors.As(err, &fe) && fe.Unreachable {
		return &verifier.Error{Class: verifier.ErrKeysUnavailable, Cause: err}
	}
	return &verifier.Error{Class: verifier.ErrMetadata, Cause: err}
}

func (s *settings) readMetadata(body []byte) (*metadata, error) {
	doc, err := strictjson.ParseObject(body)
	if err != nil {
		return nil, badMetadata("%w", err)
	}
	// Code point for code point, no normalization (RFC 8414 §3.3).
	if issuer, ok := text(doc, "issuer"); !ok || issuer != s.issuer {
		return nil, badMetadata("issuer is not the configured one (compared exactly, a trailing slash included)")
	}
	uri, ok := text(doc, "jwks_uri")
	if !ok {
		return nil, badMetadata("jwks_uri is missing or not a string")
	}
	if reason := s.addressFault(uri); reason != "" {
		return nil, badMetadata("jwks_uri %s", reason)
	}
	now := time.Now()
	return &metadata{
		jwksURI:     uri,
		fetched:     now,
		due:         now.Add(s.random.between(metadataMaxAge*9/10, metadataMaxAge-minFresh)),
		usableUntil: now.Add(metadataMaxAge + s.maxStale),
	}, nil
}

func text(doc strictjson.Object, name string) (string, bool) {
	v, ok := doc.Get(name)
	if !ok {
		return "", false
	}
	return v.Text()
}

func badMetadata(format string, args ...any) error {
	return &verifier.Error{Class: verifier.ErrMetadata, Cause: fmt.Errorf("metadata document: "+format, args...)}
}
