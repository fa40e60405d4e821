// SPDX-License-Identifier: Apache-2.0

package ctxkey_test

import (
	"context"
	"testing"

	"github.com/bearerguard/bearerguard/internal/ctxkey"
)

func TestState(t *testing.T) {
	base := context.Background()
	one, two := &ctxkey.State{Method: "GET"}, &ctxkey.State{Method: "PUT"}
	first := ctxkey.Put(base, one)
	second := ctxkey.Put(first, two)
	for _, tc := range []struct {
		name string
		ctx  context.Context
		want *ctxkey.State
	}{
		{"absent", base, nil},
		{"stored", first, one},
		{"hidden_by_later", second, two},
		{"through_derived_context", context.WithoutCancel(first), one},
	} {
		t.Run("GO-06/"+tc.name, func(t *testing.T) {
			if got := ctxkey.From(tc.ctx); got != tc.want {
				t.Errorf("From = %v, want %v", got, tc.want)
			}
		})
	}
	t.Run("GO-06/foreign_key_type_does_not_collide", func(t *testing.T) {
		type key struct{}
		if got := ctxkey.From(context.WithValue(base, key{}, one)); got != nil {
			t.Errorf("From = %v, want nil", got)
		}
	})
}
