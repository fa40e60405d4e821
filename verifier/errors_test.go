// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

// sentinel is one exported error value: its name and the umbrella it is under.
type sentinel struct {
	row, name string
	err       error
	umbrella  error
}

// sentinels is section 3 of the requirements. The status of each is the
// middleware's to test; here is what it rests on.
var sentinels = []sentinel{
	{"ER-01", "ErrNoCredentials", verifier.ErrNoCredentials, nil},
	{"ER-02", "ErrInvalidRequest", verifier.ErrInvalidRequest, nil},
	{"ER-03", "ErrMalformedToken", verifier.ErrMalformedToken, verifier.ErrInvalidToken},
	{"ER-04", "ErrTokenType", verifier.ErrTokenType, verifier.ErrInvalidToken},
	{"ER-05", "ErrAlgorithm", verifier.ErrAlgorithm, verifier.ErrInvalidToken},
	{"ER-06", "ErrUnknownKey", verifier.ErrUnknownKey, verifier.ErrInvalidToken},
	{"ER-07", "ErrSignature", verifier.ErrSignature, verifier.ErrInvalidToken},
	{"ER-08", "ErrIssuer", verifier.ErrIssuer, verifier.ErrInvalidToken},
	{"ER-08", "ErrAudience", verifier.ErrAudience, verifier.ErrInvalidToken},
	{"ER-09", "ErrExpired", verifier.ErrExpired, verifier.ErrInvalidToken},
	{"ER-09", "ErrNotYetValid", verifier.ErrNotYetValid, verifier.ErrInvalidToken},
	{"ER-10", "ErrMissingClaim", verifier.ErrMissingClaim, verifier.ErrInvalidToken},
	{"ER-10", "ErrInvalidClaim", verifier.ErrInvalidClaim, verifier.ErrInvalidToken},
	{"ER-11", "ErrDecryption", verifier.ErrDecryption, verifier.ErrInvalidToken},
	{"ER-12", "ErrInactive", verifier.ErrInactive, verifier.ErrInvalidToken},
	{"ER-12", "ErrRevoked", verifier.ErrRevoked, verifier.ErrInvalidToken},
	{"ER-12", "ErrSuspended", verifier.ErrSuspended, verifier.ErrInvalidToken},
	{"ER-13", "ErrBinding", verifier.ErrBinding, verifier.ErrInvalidToken},
	{"ER-16", "ErrStepUp", verifier.ErrStepUp, nil},
	{"ER-17", "ErrInsufficientScope", verifier.ErrInsufficientScope, nil},
	{"ER-18", "ErrInsufficientDetails", verifier.ErrInsufficientDetails, nil},
	{"ER-19", "ErrForbidden", verifier.ErrForbidden, nil},
	{"ER-20", "ErrKeysUnavailable", verifier.ErrKeysUnavailable, nil},
	{"ER-20", "ErrIntrospectionUnavailable", verifier.ErrIntrospectionUnavailable, nil},
	{"ER-20", "ErrStatusUnavailable", verifier.ErrStatusUnavailable, nil},
	{"ER-20", "ErrReplayStoreUnavailable", verifier.ErrReplayStoreUnavailable, nil},
	{"ER-20", "ErrMetadata", verifier.ErrMetadata, nil},
	{"ER-21", "ErrRequestTooLarge", verifier.ErrRequestTooLarge, nil},
	{"ER-22", "ErrConfig", verifier.ErrConfig, nil},
	{"ER-23", "ErrInternal", verifier.ErrInternal, nil},
	// Without a row that is built today:
	{"GO-04", "ErrInvalidToken", verifier.ErrInvalidToken, nil},
	{"GO-04", "ErrDPoPProof", verifier.ErrDPoPProof, nil},
	{"GO-04", "ErrDPoPReplay", verifier.ErrDPoPReplay, verifier.ErrDPoPProof},
	{"GO-04", "ErrDPoPNonce", verifier.ErrDPoPNonce, nil},
}

// notes are exported error values that decide no answer.
var notes = []string{"ErrPrivateKey"}

// classRows makes the names of the subtests below literal, so that they can be found.
var classRows = map[string]string{
	"ER-01": "ER-01/", "ER-02": "ER-02/", "ER-03": "ER-03/", "ER-04": "ER-04/", "ER-05": "ER-05/", "ER-06": "ER-06/",
	"ER-07": "ER-07/", "ER-08": "ER-08/", "ER-09": "ER-09/", "ER-10": "ER-10/", "ER-11": "ER-11/", "ER-12": "ER-12/",
	"ER-13": "ER-13/", "ER-16": "ER-16/", "ER-17": "ER-17/", "ER-18": "ER-18/", "ER-19": "ER-19/", "ER-20": "ER-20/",
	"ER-21": "ER-21/", "ER-22": "ER-22/", "ER-23": "ER-23/", "GO-04": "GO-04/",
}

func TestErrorClasses(t *testing.T) {
	for _, s := range sentinels {
		t.Run(classRows[s.row]+s.name, func(t *testing.T) {
			cause := errors.New("the cause")
			for _, err := range []error{
				s.err,
				&verifier.Error{Class: s.err},
				&verifier.Error{Class: s.err, Cause: cause},
				fmt.Errorf("x: %w", s.err),
				fmt.Errorf("x: %w", &verifier.Error{Class: s.err}),
				errors.Join(cause, &verifier.Error{Class: s.err}),
			} {
				checkSentinel(t, s, err)
			}
			if err := (&verifier.Error{Class: s.err, Cause: cause}); !errors.Is(err, cause) || !strings.Contains(err.Error(), "the cause") {
				t.Errorf("%v hides its cause from the operator", err)
			}
		})
	}
}

// checkSentinel asks err for every class there is: it must be exactly one, and
// under exactly one umbrella.
func checkSentinel(t *testing.T, s sentinel, err error) {
	t.Helper()
	if got := verifier.ClassOf(err); got != s.err {
		t.Errorf("ClassOf(%v) = %v", err, got)
	}
	for _, other := range sentinels {
		want := other.err == s.err || other.err == s.umbrella
		if errors.Is(err, other.err) != want {
			t.Errorf("errors.Is(%v, %s) = %v", err, other.name, !want)
		}
	}
	if err.Error() == "" {
		t.Error("no text")
	}
}

// N14: a new error value has to find its place in this table.
func TestEveryErrorValueIsListed(t *testing.T) {
	t.Run("GO-04/N14_exported_values", func(t *testing.T) {
		want := slices.Clone(notes)
		for _, s := range sentinels {
			want = append(want, s.name)
		}
		slices.Sort(want)
		if got := exportedErrors(t); !slices.Equal(got, want) {
			t.Errorf("exported errors:\n%v\nlisted:\n%v", got, want)
		}
		if class := verifier.ClassOf(verifier.ErrPrivateKey); class != nil {
			t.Errorf("a note has the class %v", class)
		}
	})
	t.Run("GO-04/N14_texts_differ", func(t *testing.T) {
		texts := map[string]bool{}
		for _, s := range sentinels {
			texts[s.err.Error()] = true
		}
		if len(texts) != len(sentinels) {
			t.Errorf("%d texts for %d classes", len(texts), len(sentinels))
		}
	})
}

// exportedErrors reads the names of the package's error variables from its source.
func exportedErrors(t *testing.T) []string {
	t.Helper()
	names := map[string]bool{}
	entries := ok(os.ReadDir("."))
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file := ok(parser.ParseFile(gotoken.NewFileSet(), entry.Name(), nil, 0))
		for _, decl := range file.Decls {
			vars, isVars := decl.(*ast.GenDecl)
			if !isVars || vars.Tok != gotoken.VAR {
				continue
			}
			for _, spec := range vars.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					if strings.HasPrefix(name.Name, "Err") {
						names[name.Name] = true
					}
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func TestClassOf(t *testing.T) {
	t.Run("GO-04/no_class", func(t *testing.T) {
		for _, err := range []error{
			nil, errors.New("x"), &verifier.Error{}, (*verifier.Error)(nil), fmt.Errorf("x: %w", (*verifier.Error)(nil)),
			&verifier.Error{Class: errors.New("mine")}, errors.Join(errors.New("a"), errors.New("b")),
		} {
			if class := verifier.ClassOf(err); class != nil {
				t.Errorf("ClassOf(%#v) = %v", err, class)
			}
		}
	})
	t.Run("GO-04/faulty_errors_can_be_printed", func(t *testing.T) {
		var none *verifier.Error
		for _, err := range []error{none, &verifier.Error{}, &verifier.Error{Cause: errors.New("c")}, &verifier.Error{Class: none}} {
			if err.Error() == "" || fmt.Sprint(err) == "" {
				t.Errorf("no text for %#v", err)
			}
			if errors.Is(err, verifier.ErrInvalidToken) {
				t.Errorf("%#v is an invalid token", err)
			}
		}
	})
	t.Run("GO-04/outer_Error_decides", func(t *testing.T) {
		inner := &verifier.Error{Class: verifier.ErrExpired}
		err := &verifier.Error{Class: verifier.ErrForbidden, Cause: inner}
		if class := verifier.ClassOf(err); class != verifier.ErrForbidden {
			t.Errorf("class %v", class)
		}
	})
	t.Run("GO-04/several_sentinels_in_order", func(t *testing.T) {
		err := errors.Join(verifier.ErrForbidden, verifier.ErrInsufficientScope, verifier.ErrExpired)
		if class := verifier.ClassOf(err); class != verifier.ErrExpired {
			t.Errorf("class %v", class)
		}
	})
}

// TestVerifierErrors looks at the errors that Verify itself makes.
func TestVerifierErrors(t *testing.T) {
	v := newVerifier(t)
	t.Run("EO-01/N11_bad_signature_and_expired", func(t *testing.T) {
		expired := sign(rsaTwo(), "RS256", goodHeader().String(), goodClaims().edit(object{"exp": 1}).String())
		tok, err := verifyTwice(t, v, expired)
		wantClass(t, tok, err, verifier.ErrSignature)
		if errors.Is(err, verifier.ErrExpired) {
			t.Error("the error of a forged token says that it expired")
		}
	})
	t.Run("GO-04/one_class_each", func(t *testing.T) {
		for name, c := range refusals(nil, nil) {
			tok, err := verifyTwice(t, c.verifier(t), c.raw)
			wantClass(t, tok, err, c.want)
			for _, s := range sentinels {
				expected := s.err == c.want || s.err == verifier.ErrInvalidToken && isInvalidToken(c.want)
				if errors.Is(err, s.err) != expected {
					t.Errorf("%s: errors.Is(err, %s) = %v", name, s.name, !expected)
				}
			}
		}
	})
	t.Run("GO-05/no_principal_with_an_error", func(t *testing.T) {
		for name, c := range refusals(nil, nil) {
			for range 2 {
				tok, err := verifyTwice(t, c.verifier(t), c.raw)
				if tok != nil || err == nil {
					t.Errorf("%s: token %v, error %v", name, tok, err)
				}
			}
		}
		tok, err := verifyTwice(t, v, token(nil, nil), refusing(verifier.ErrForbidden))
		wantClass(t, tok, err, verifier.ErrForbidden)
	})
	t.Run("ER-20/retry_time_is_carried", func(t *testing.T) {
		src := &source{err: fmt.Errorf("fetch: %w", &verifier.Error{Class: verifier.ErrMetadata, RetryAfter: 7 * time.Second})}
		tok, err := verifyTwice(t, newVerifier(t, withSource(src)), token(nil, nil))
		wantClass(t, tok, err, verifier.ErrMetadata)
		var e *verifier.Error
		if errors.As(err, &e) && e.RetryAfter != 7*time.Second {
			t.Errorf("retry after %v", e.RetryAfter)
		}
	})
	t.Run("ER-10/claim_name_is_for_the_operator", func(t *testing.T) {
		for claim, value := range map[string]any{"sub": nil, "client_id": 5, "jti": nil, "exp": "x", "scope": []int{1}} {
			_, err := verifyTwice(t, v, token(nil, object{claim: value}))
			if err == nil || !strings.Contains(err.Error(), claim) {
				t.Errorf("%v does not name %s", err, claim)
			}
		}
	})
}

func isInvalidToken(class error) bool {
	return slices.ContainsFunc(sentinels, func(s sentinel) bool { return s.err == class && s.umbrella == verifier.ErrInvalidToken })
}
