// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"fmt"
	"slices"

	"github.com/bearerguard/bearerguard/internal/strictjson"
)

// ClaimPath leads to a claim: the exact name of a top-level claim, then the names
// inside the objects below it. A name is never split: {"realm_access", "roles"} is the
// member roles of the claim realm_access, {"realm_access.roles"} is a claim of that
// very name. From 1 to 8 names, none of them empty. nil means that no path is set.
type ClaimPath []string

// Mapping says which claims the fields of [Token] come from. A field is read from one
// claim only: where a path is set, the claim of RFC 9068 is not looked at, also if the
// claim of the path is missing. A missing claim, or a missing object on the way to it,
// leaves the field empty.
//
// No path may begin with iss, sub, aud, exp, nbf, iat, jti, cnf or act, whose meaning
// RFC 7519 and its kin fix, none but that of Scopes with scope, and Scopes may not
// share a claim with Roles, Groups or Entitlements, nor be roles, groups or
// entitlements: what a user may do is no grant to a client (RFC 9068 §2.2.3.1).
type Mapping struct {
	// Scopes is where Token.Scopes come from: a string, split at spaces, or an array of
	// strings, one scope each (RFC 6749 §3.3). Anything else, also on the way there, is
	// [ErrInvalidClaim]. nil means scope, as a string only (RFC 8693 §4.2); {"scope"}
	// allows it to be an array.
	Scopes ClaimPath
	// ClientID is where Token.ClientID comes from, also for Config.Clients: a string;
	// anything else, also on the way there, is [ErrInvalidClaim]. A profile that requires
	// client_id requires this claim instead. nil means client_id (and azp for
	// Config.Clients, where client_id is absent).
	ClientID ClaimPath
	// Roles, Groups and Entitlements are where these fields come from: arrays of strings
	// or of objects with a string value (RFC 7643 §4.1.2); anything else leaves the
	// field empty. nil means roles, groups and entitlements (RFC 9068 §2.2.3.1).
	Roles, Groups, Entitlements ClaimPath
}

// RequiredClaim is a claim that a token must have, beyond those of the profile. A token
// without it is [ErrMissingClaim], one with another value [ErrInvalidClaim].
type RequiredClaim struct {
	// Path leads to the claim. Required. It may not begin with iss, aud, exp, nbf, iat or
	// cnf, which are checked otherwise.
	Path ClaimPath
	// Values lists the strings of which the claim must be one, compared exactly; an array
	// is none of them. Empty means that the claim must be the boolean true.
	Values []string
}

const maxPath = 8

// claimNames is the checked form of a Mapping, with the names of RFC 9068 where it
// sets none.
type claimNames struct {
	Mapping
	scopeLists bool        // scopes may come as an array
	clients    []ClaimPath // where Config.Clients looks: at the first that is not empty
}

// standard serves all issuers without a Mapping, of which there may be thousands.
var standard = &claimNames{
	Mapping: Mapping{
		Scopes: ClaimPath{"scope"}, ClientID: ClaimPath{"client_id"},
		Roles: ClaimPath{"roles"}, Groups: ClaimPath{"groups"}, Entitlements: ClaimPath{"entitlements"},
	},
	clients: []ClaimPath{{"client_id"}, {"azp"}},
}

var subjectPath, idPath = ClaimPath{"sub"}, ClaimPath{"jti"}

func namesOf(m Mapping) *claimNames {
	n := *standard
	custom := false
	for _, c := range []struct {
		from ClaimPath
		into *ClaimPath
	}{
		{m.Scopes, &n.Scopes}, {m.ClientID, &n.ClientID},
		{m.Roles, &n.Roles}, {m.Groups, &n.Groups}, {m.Entitlements, &n.Entitlements},
	} {
		if c.from != nil {
			custom, *c.into = true, slices.Clone(c.from)
		}
	}
	if !custom {
		return standard
	}
	n.scopeLists = m.Scopes != nil
	if m.ClientID != nil {
		n.clients = []ClaimPath{n.ClientID}
	}
	return &n
}

// paths are where the required claims of RFC 9068 §2.2 are to be found.
func paths(required []string, n *claimNames) []ClaimPath {
	list := make([]ClaimPath, 0, len(required))
	for _, name := range required {
		if name == "client_id" {
			list = append(list, n.ClientID)
		} else {
			list = append(list, ClaimPath{name})
		}
	}
	return list
}

func copyDemands(demands []RequiredClaim) []RequiredClaim {
	list := slices.Clone(demands)
	for i := range list {
		list[i] = RequiredClaim{slices.Clone(list[i].Path), slices.Clone(list[i].Values)}
	}
	return list
}

// find follows the path by exact names (RFC 7519 §4). found is false if a name is
// missing, and where what should hold it is no object, which is the error.
func (p ClaimPath) find(obj strictjson.Object) (val strictjson.Value, found bool, err error) {
	for i, name := range p {
		if i > 0 {
			var isObject bool
			if obj, isObject = val.Object(); !isObject {
				return strictjson.Value{}, false, invalid(p.label(), "not inside an object")
			}
		}
		if val, found = obj.Get(name); !found {
			return strictjson.Value{}, false, nil
		}
	}
	return val, found, nil
}

// text is the string that the path leads to; "" if it is missing.
func (p ClaimPath) text(obj strictjson.Object) (string, error) {
	val, found, err := p.find(obj)
	if !found {
		return "", err
	}
	text, ok := val.Text()
	if !ok {
		return "", invalid(p.label(), "not a string")
	}
	return text, nil
}

// label names the path in errors: it is the configuration's and not the token's.
func (p ClaimPath) label() string {
	if len(p) == 1 {
		return p[0]
	}
	return fmt.Sprintf("%q", []string(p))
}

// fixed are claims that no Mapping may give another meaning.
var fixed = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf", "act"}

func checkMapping(f *faults, m Mapping) {
	for _, c := range []struct {
		field string
		path  ClaimPath
	}{
		{"Scopes", m.Scopes}, {"ClientID", m.ClientID},
		{"Roles", m.Roles}, {"Groups", m.Groups}, {"Entitlements", m.Entitlements},
	} {
		switch field := "Mapping." + c.field; {
		case c.path == nil || !checkPath(f, field, c.path):
		case slices.Contains(fixed, c.path[0]):
			f.field("%s leads to %s, whose meaning is fixed: name the issuer's own claim, or leave it nil", field, c.path[0])
		case c.path[0] == "scope" && c.field != "Scopes":
			f.field("%s leads to scope, which says what the client was granted and nothing else (RFC 9068 §2.2.3): name another claim", field)
		}
	}
	n := namesOf(m)
	user := []ClaimPath{n.Roles, n.Groups, n.Entitlements, standard.Roles, standard.Groups, standard.Entitlements}
	if slices.ContainsFunc(user, func(path ClaimPath) bool { return len(path) > 0 && slices.Equal(n.Scopes, path) }) {
		f.field("Mapping.Scopes leads to the claim %s, which is that of Roles, Groups or Entitlements: scopes are never made of these (RFC 9068 §2.2.3.1); map each to a claim of its own", n.Scopes.label())
	}
}

func checkPath(f *faults, field string, path ClaimPath) bool {
	switch {
	case len(path) == 0:
		f.field("%s has no name: give from 1 to %d, from the top of the claims downward", field, maxPath)
	case len(path) > maxPath:
		f.field("%s has %d names: give at most %d", field, len(path), maxPath)
	case slices.Contains(path, ""):
		f.field("%s holds an empty name: remove it (an unset environment variable?)", field)
	default:
		return true
	}
	return false
}

// settled are claims that have settings of their own, whose checks do more than
// compare.
var settled = []string{"iss", "aud", "exp", "nbf", "iat", "cnf"}

// maxRequired bounds the work for one token.
const maxRequired = 32

func checkRequired(f *faults, demands []RequiredClaim) {
	if len(demands) > maxRequired {
		f.field("RequiredClaims has %d entries: give at most %d", len(demands), maxRequired)
	}
	for i, d := range demands {
		field := fmt.Sprintf("RequiredClaims[%d]", i)
		if checkPath(f, field+".Path", d.Path) && slices.Contains(settled, d.Path[0]) {
			f.field("%s.Path leads to %s, which is checked by settings of its own: use Issuer, Audience and Leeway, and middleware for cnf", field, d.Path[0])
		}
		for j, s := range d.Values {
			if s == "" {
				f.field("%s.Values holds an empty string: remove it (an unset environment variable?)", field)
			} else if slices.Contains(d.Values[:j], s) {
				f.field("%s.Values holds %q twice: remove one", field, s)
			}
		}
	}
}
