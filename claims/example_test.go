// SPDX-License-Identifier: Apache-2.0

package claims_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/scopes"
	"github.com/bearerguard/bearerguard/verifier"
)

// A scope rule and a role rule stand side by side. Without the scope the client is
// told what to ask for; without the role there is nothing to ask for.
func Example() {
	route := []verifier.Requirement{scopes.All("orders:write"), claims.AnyRole("clerk", "manager")}

	for _, tok := range []*verifier.Token{
		{Scopes: []string{"orders:write"}, Roles: []string{"clerk"}},
		{Scopes: []string{"orders:write"}, Roles: []string{"guest"}},
		{Scopes: []string{"clerk"}, Roles: []string{"clerk", "orders:write"}},
	} {
		fmt.Println(verifier.ClassOf(tok.Require(route...)))
	}
	// Output:
	// <nil>
	// forbidden
	// insufficient scope
}

// Staff is a rule of an application: the user's e-mail address is verified and of
// exactly this domain. Everything about it is strict. The claims are decoded into a
// map, where a name that differs by case is another name; email_verified must be the
// boolean true, since some issuers let users type what they like; and the address
// must hold one @ only, since what looks like a domain can stand before the last one,
// or more can follow behind it.
type Staff struct{ Domain string }

func (s Staff) Check(tok *verifier.Token) error {
	var user map[string]any
	if err := tok.Decode(&user); err != nil {
		return fmt.Errorf("%w: %v", verifier.ErrForbidden, err)
	}
	email, _ := user["email"].(string)
	name, domain, found := strings.Cut(email, "@")
	if user["email_verified"] != true || !found || name == "" || domain != s.Domain {
		return verifier.ErrForbidden // 403 without challenge: more scope would not help
	}
	return nil
}

// Challenge says whether the rule itself is sound: without a domain, an address such
// as "ada@" would do.
func (s Staff) Challenge() (verifier.Challenge, error) {
	if s.Domain == "" {
		return verifier.Challenge{}, errors.New("Staff.Domain is empty")
	}
	return verifier.Challenge{}, nil
}

// A rule on another claim is a type of the application. It stands beside the rules of
// this package and those of scopes.
func Example_emailDomain() {
	as, err := oauthtest.Listen(oauthtest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer as.Close()
	v, err := verifier.New(as.VerifierConfig("https://api.example.com"))
	if err != nil {
		log.Fatal(err)
	}
	for _, email := range []string{"ada@company.com", "ada@evil.com@company.com"} {
		raw := as.Token(oauthtest.Claim("email", email), oauthtest.Claim("email_verified", true))
		_, err := v.Verify(context.Background(), raw, Staff{"company.com"})
		fmt.Println(email, verifier.ClassOf(err))
	}
	// Output:
	// ada@company.com <nil>
	// ada@evil.com@company.com forbidden
}

func TestEmailDomain(t *testing.T) {
	a := newAPI(t)
	rule := rules(Staff{"company.com"})
	mail := func(email, verified any) []oauthtest.Edit {
		return []oauthtest.Edit{oauthtest.Claim("email", email), oauthtest.Claim("email_verified", verified)}
	}
	t.Run("SC-10/D61_good_address", func(t *testing.T) { passes(t, a.get(rule, mail("ada@company.com", true)...)) })
	for name, email := range map[string]any{
		"D61_two_at": "a@evil.com@company.com", "D61_two_at_reversed": "a@company.com@evil.com", "D61_longer_domain": "a@company.com.evil.com",
		"D61_upper_case": "a@COMPANY.com", "D61_upper_case_all": "A@COMPANY.COM", "quoted": `"a@company.com"@evil.com`, "quoted_at": `"a@evil.com"@company.com`,
		"subdomain": "a@x.company.com", "prefix": "a@evilcompany.com", "suffix": "a@company.comx", "trailing_dot": "a@company.com.", "trailing_space": "a@company.com ",
		"newline": "a@company.com\n", "nul": "a@company.com\x00", "no_name": "@company.com", "no_at": "company.com", "only_at": "@", "empty": "",
		"comment": "a@evil.com(@company.com)", "list_of_two": "a@evil.com,b@company.com", "display_name": "Ada <a@company.com>", "look_alike": "a@c\u043empany.com",
		"wide_at": "a\uff20company.com", "number": 1, "null": nil, "list": []string{"a@company.com"}, "object": map[string]any{"value": "a@company.com"},
	} {
		t.Run("SC-10/"+name, func(t *testing.T) { forbidden(t, a.get(rule, mail(email, true)...)) })
	}
	for name, verified := range map[string]any{"D61_false": false, "D61_text": "true", "one": 1, "null": nil, "list": []bool{true}, "object": map[string]any{"x": true}} {
		t.Run("SC-10/verified_is_"+name, func(t *testing.T) { forbidden(t, a.get(rule, mail("a@company.com", verified)...)) })
	}
	verified := oauthtest.Claim("email_verified", true)
	t.Run("SC-10/verified_is_absent", func(t *testing.T) { forbidden(t, a.get(rule, oauthtest.Claim("email", "a@company.com"))) })
	t.Run("SC-10/email_is_absent", func(t *testing.T) { forbidden(t, a.get(rule, verified)) })
	t.Run("JV-06/name_in_upper_case", func(t *testing.T) { forbidden(t, a.get(rule, verified, oauthtest.Claim("EMAIL", "a@company.com"))) })
	t.Run("JV-06/names_in_both_cases", func(t *testing.T) {
		forbidden(t, a.get(rule, append(mail("a@company.com", true), oauthtest.Claim("Email", "a@company.com"))...))
	})
	t.Run("SC-10/empty_domain_is_found_at_registration", func(t *testing.T) {
		if rt, err := a.guard.Route(Staff{}); rt != nil || verifier.ClassOf(err) != verifier.ErrConfig {
			t.Errorf("got %v, %v; want a configuration error", rt, err)
		}
		if w := a.get(rule, mail("ada@company.com", true)...); w.Code != http.StatusNoContent {
			t.Errorf("%d: the rule refuses everything", w.Code)
		}
	})
}
