// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"
)

// authorization is what a resource owner, or a client for itself, has granted once:
// the family of every code and token that comes of it, which end together when one
// of them is misused or revoked (RFC 9700 §4.14.2, RFC 7009 §2.1).
type authorization struct {
	client   string
	user     *User // nil under client credentials
	scopes   []string
	audience []string // what tokens may be asked for (RFC 8707 §2.2)
	authTime time.Time
	acr      string
	nonce    string          // of OpenID Connect, for the ID token
	details  json.RawMessage // authorization_details (RFC 9396 §2)
	actor    map[string]any  // act (RFC 8693 §4.1)
	root     *authorization  // that of the subject token (RFC 8693 §2.1); nil: this one
	revoked  bool            // guarded by the store; that of family() counts
}

// code is an authorization code (RFC 6749 §4.1.2).
type code struct {
	*authorization
	redirectURI string // as in the authorization request; "" if it had none
	challenge   string // code_challenge; "" only with LegacyGrants
	expires     time.Time
	used        bool
}

// refreshToken is one of a chain, of which the last is good (RFC 9700 §4.14.2).
type refreshToken struct {
	*authorization
	scopes  []string
	expires time.Time
	used    bool
}

// accessToken is a token that an endpoint issued.
type accessToken struct {
	*authorization
	claims    map[string]any // numbers are json.Number
	notBefore time.Time
	expires   time.Time
	opaque    bool
	revoked   bool
}

// deviceGrant is a device authorization in progress (RFC 8628).
type deviceGrant struct {
	*authorization // nil until a user decided
	client         string
	userCode       string
	scopes         []string
	audience       []string
	details        json.RawMessage
	expires        time.Time
	interval       time.Duration
	polled         time.Time
	denied         bool
}

// store is the memory of the endpoints. Its maps are read and changed under mu only.
type store struct {
	mu      sync.Mutex
	codes   map[string]*code
	spent   []string // the codes that were used, in this order
	refresh map[string]*refreshToken
	access  map[string]*accessToken // by the text, of a JWT without its signature: use find
	devices map[string]*deviceGrant // by device_code
	shown   map[string]*deviceGrant // the same, by user_code in plain form
	pending map[string]*pending     // authorization requests that wait for a decision, by ticket
	opened  []string                // the tickets of pending, the oldest first
	seen    map[string]time.Time    // jti of client assertions, until they expire
	added   int
}

func newStore() *store {
	return &store{
		codes: map[string]*code{}, refresh: map[string]*refreshToken{}, access: map[string]*accessToken{},
		devices: map[string]*deviceGrant{}, shown: map[string]*deviceGrant{}, pending: map[string]*pending{}, seen: map[string]time.Time{},
	}
}

// sweepEvery bounds the memory of a server that runs for long, at the cost of a look at
// every entry.
const sweepEvery = 1024

// maxRevoked bounds how many revoked tokens outlive their time.
const maxRevoked = 10000

// sweep forgets now and then what has expired. A device learns that its code expired for
// as long again. What was revoked stays for as long as there is room, lest it comes back
// when a test sets the clock back. The caller holds mu.
func (st *store) sweep(now time.Time) {
	if st.added++; st.added%sweepEvery != 0 {
		return
	}
	full := len(st.access) > maxRevoked
	maps.DeleteFunc(st.access, func(_ string, t *accessToken) bool {
		return !now.Before(t.expires) && (full || !t.revoked && !t.family().revoked)
	})
	maps.DeleteFunc(st.refresh, func(_ string, t *refreshToken) bool { return !now.Before(t.expires) })
	st.forgetDevices(func(d *deviceGrant) bool { return now.Sub(d.expires) > deviceLifetime })
	maps.DeleteFunc(st.seen, func(_ string, until time.Time) bool { return !now.Before(until) })
}

// addPending drops the oldest request where there are too many: if the clock stands
// still, none of them expires. The caller holds mu.
func (st *store) addPending(p *pending) {
	st.takePending(p.ticket) // Config.Random may repeat itself
	if len(st.opened) == maxPending {
		st.takePending(st.opened[0])
	}
	st.pending[p.ticket], st.opened = p, append(st.opened, p.ticket)
}

// takePending removes a request, and returns it; nil if there is none. The caller holds mu.
func (st *store) takePending(ticket string) *pending {
	p := st.pending[ticket]
	if p != nil {
		delete(st.pending, ticket)
		i := slices.Index(st.opened, ticket)
		st.opened = slices.Delete(st.opened, i, i+1)
	}
	return p
}

// roomForCode makes place for one more code, and says whether there is one. Used codes
// are kept only to notice when they come again, so that the oldest of them make place;
// a clock that stands still would else keep them all. The caller holds mu.
func (st *store) roomForCode(now time.Time) bool {
	if len(st.codes) < maxCodes {
		return true
	}
	maps.DeleteFunc(st.codes, func(_ string, c *code) bool { return !now.Before(c.expires) })
	st.spent = slices.DeleteFunc(st.spent, func(text string) bool { return st.codes[text] == nil })
	if len(st.codes) == maxCodes && len(st.spent) > 0 {
		delete(st.codes, st.spent[0])
		st.spent = st.spent[1:]
	}
	return len(st.codes) < maxCodes
}

// spend marks a code as used. The caller holds mu.
func (st *store) spend(text string) {
	st.codes[text].used = true
	st.spent = append(st.spent, text)
}
