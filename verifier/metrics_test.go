// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"fmt"
	"testing"

	"github.com/bearerguard/bearerguard/verifier"
)

// label is what a counter of events is told apart by.
type label struct {
	kind   verifier.EventKind
	issuer string
	class  string
}

// TestMetricLabels: who sends tokens must not be able to make new counters.
func TestMetricLabels(t *testing.T) {
	t.Run("SE-13/no_label_derives_from_client_input", func(t *testing.T) {
		counts := map[label]int{}
		hook := func(e verifier.Event) {
			l := label{kind: e.Kind, issuer: e.Issuer}
			if e.Class != nil {
				l.class = e.Class.Error()
			}
			counts[l]++
		}
		v := newVerifier(t, func(cfg *verifier.Config) { cfg.OnEvent = hook })
		for i := range 50 {
			word := fmt.Sprint("chosen-by-the-client-", i)
			for _, edit := range []struct{ header, claims object }{
				{nil, nil},
				{object{"kid": word}, nil},
				{object{"alg": word}, nil},
				{object{"typ": word}, nil},
				{object{word: word, "crit": []string{word}}, nil},
				{nil, object{"iss": "https://" + word + ".example"}},
				{nil, object{"aud": word}},
				{nil, object{"exp": word}},
				{nil, object{"sub": word, "client_id": word, "jti": word, "scope": word}},
			} {
				_, _ = v.Verify(t.Context(), token(edit.header, edit.claims))
			}
			_, _ = v.Verify(t.Context(), word)
		}
		if len(counts) < 7 || len(counts) > 10 {
			t.Errorf("%d labels, want one for each way of being decided: %v", len(counts), counts)
		}
		for l, n := range counts {
			if l.issuer != "" && l.issuer != issuerURL || n%50 != 0 {
				t.Errorf("%d times %+v", n, l)
			}
		}
	})
}
