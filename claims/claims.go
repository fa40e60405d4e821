// SPDX-License-Identifier: Apache-2.0

// Package claims has the rules by which a route names the roles, groups or
// entitlements its user needs (RFC 9068 §2.2.3.1).
//
// Such a claim says what the user is, a scope what the client was granted: a route
// usually needs a rule of both kinds, side by side in one Require. None is ever made
// of the other. Where an issuer has roles under another name,
// verifier.Config.Mapping says so; the rules stay the same.
//
// Values are compared as whole strings and by case. There are no wildcards, and no
// role includes another.
package claims

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bearerguard/bearerguard/verifier"
)

// Rule is a rule about the roles, groups or entitlements of a token. It is a
// [verifier.Requirement] and a [verifier.Challenger], immutable and safe for
// concurrent use. The zero value is not a rule: it is refused when a route is
// registered, and lets no token pass.
type Rule struct {
	of     func(*verifier.Token) []string
	values []string
	every  bool
	fault  error
	denial error
}

var (
	_ verifier.Requirement = Rule{}
	_ verifier.Challenger  = Rule{}
)

// AllRoles needs every one of the roles. It is faulty without any, and if one is "".
func AllRoles(roles ...string) Rule { return rule("AllRoles", rolesOf, true, roles) }

// AnyRole needs one of the roles. It is faulty without any, and if one is "".
func AnyRole(roles ...string) Rule { return rule("AnyRole", rolesOf, false, roles) }

// AllGroups needs every one of the groups. It is faulty without any, and if one is "".
func AllGroups(groups ...string) Rule { return rule("AllGroups", groupsOf, true, groups) }

// AnyGroup needs one of the groups. It is faulty without any, and if one is "".
func AnyGroup(groups ...string) Rule { return rule("AnyGroup", groupsOf, false, groups) }

// AllEntitlements needs every one of the entitlements. It is faulty without any, and
// if one is "".
func AllEntitlements(entitlements ...string) Rule {
	return rule("AllEntitlements", entitlementsOf, true, entitlements)
}

// AnyEntitlement needs one of the entitlements. It is faulty without any, and if one
// is "".
func AnyEntitlement(entitlements ...string) Rule {
	return rule("AnyEntitlement", entitlementsOf, false, entitlements)
}

func rolesOf(t *verifier.Token) []string        { return t.Roles }
func groupsOf(t *verifier.Token) []string       { return t.Groups }
func entitlementsOf(t *verifier.Token) []string { return t.Entitlements }

func rule(name string, of func(*verifier.Token) []string, every bool, values []string) Rule {
	r := Rule{of: of, values: slices.Clone(values), every: every}
	switch {
	case len(values) == 0:
		r.fault = fmt.Errorf("claims.%s: no value is given: name at least one", name)
	case slices.Contains(values, ""):
		r.fault = fmt.Errorf("claims.%s: a value is empty: remove it (an unset environment variable?)", name)
	}
	r.denial = fmt.Errorf("the token does not meet claims.%s of this route", name)
	return r
}

var errZero = errors.New("a zero claims.Rule: make rules with AllRoles, AnyRole and their like")

func (r Rule) faulty() error {
	switch {
	case r.of == nil:
		return &verifier.Error{Class: verifier.ErrConfig, Cause: errZero}
	case r.fault != nil:
		return &verifier.Error{Class: verifier.ErrConfig, Cause: r.fault}
	}
	return nil
}

// Check returns nil if the token has the values, else [verifier.ErrForbidden], since
// no other token of the same user would do, or [verifier.ErrConfig] if the rule is
// faulty. A nil token has none.
func (r Rule) Check(tok *verifier.Token) error {
	if err := r.faulty(); err != nil {
		return err
	}
	if tok != nil && r.met(r.of(tok)) {
		return nil
	}
	return &verifier.Error{Class: verifier.ErrForbidden, Cause: r.denial}
}

func (r Rule) met(has []string) bool {
	for _, value := range r.values {
		if slices.Contains(has, value) != r.every {
			return !r.every
		}
	}
	return r.every
}

// Challenge returns the zero Challenge: a client can do nothing about a refusal (RFC
// 6750 §3.1 has no error code for it). The error is of class [verifier.ErrConfig] and
// tells the fault of the rule.
func (r Rule) Challenge() (verifier.Challenge, error) { return verifier.Challenge{}, r.faulty() }
