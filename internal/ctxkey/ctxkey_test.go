// SPDX-License-Identifier: Apache-2.0

package ctxkey_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/internal/ctxkey"
)

func TestState(t *testing.T) {
	base := context.Background()
	one, two := &ctxkey.State{Method: "GET"}, &ctxkey.State{Method: "PUT", Scopes: []string{"a"}}
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
		{"through_foreign_context", foreign{second}, two},
	} {
		t.Run("GO-06/"+tc.name, func(t *testing.T) {
			if got := ctxkey.From(tc.ctx); !reflect.DeepEqual(got, tc.want) {
				t.Errorf("From = %v, want %v", got, tc.want)
			}
		})
	}
	t.Run("GO-06/foreign_key_type_does_not_collide", func(t *testing.T) {
		type key struct{}
		if got := ctxkey.From(context.WithValue(base, key{}, one)); got != nil {
			t.Errorf("From = %v, want nil", got)
		}
		for _, k := range []any{key{}, &key{}, struct{}{}, "ctxkey.key", 0} {
			if got := second.Value(k); got != nil {
				t.Errorf("Value(%T) = %v, want nil", k, got)
			}
		}
	})
	t.Run("GO-06/the_same_State_for_each_call", func(t *testing.T) {
		if a, b := ctxkey.From(first), ctxkey.From(context.WithValue(first, other{}, "v")); a == nil || a != b {
			t.Errorf("From = %p, then %p", a, b)
		}
		if ctxkey.From(first) == ctxkey.From(second) {
			t.Error("two contexts share one State")
		}
	})
	t.Run("GO-03/Put_copies", func(t *testing.T) {
		mine := ctxkey.State{Method: "GET"}
		ctx := ctxkey.Put(base, &mine)
		if mine.Method = "PUT"; ctxkey.From(ctx).Method != "GET" {
			t.Error("a later change reached the context")
		}
	})
	t.Run("SE-01/nil_context", func(t *testing.T) {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		var none context.Context
		ctxkey.Put(none, one)
	})
}

type (
	foreign struct{ context.Context } // a context type that package context does not know
	other   struct{}                  // a key
)

// TestParent: in all but the State the context is the one it is derived from.
func TestParent(t *testing.T) {
	cause := errors.New("the client left")
	parent, leave := context.WithCancelCause(context.WithValue(t.Context(), other{}, "v"))
	parent, stop := context.WithDeadline(parent, time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))
	defer stop()
	ctx := ctxkey.Put(ctxkey.Put(parent, &ctxkey.State{}), &ctxkey.State{})
	child, end := context.WithCancel(ctx)
	defer end()
	ran := make(chan struct{})
	context.AfterFunc(ctx, func() { close(ran) })
	t.Run("GO-18/values_deadline_and_channel", func(t *testing.T) {
		at, ok := ctx.Deadline()
		if want, _ := parent.Deadline(); !ok || !at.Equal(want) || ctx.Done() != parent.Done() || ctx.Value(other{}) != "v" || ctx.Err() != nil {
			t.Errorf("deadline %v, %v; value %v; error %v", at, ok, ctx.Value(other{}), ctx.Err())
		}
	})
	leave(cause)
	t.Run("GO-18/cancelled", func(t *testing.T) {
		// A child is cancelled within the call of leave only if no goroutine has to watch ctx.
		for name, c := range map[string]context.Context{"itself": ctx, "child": child} {
			if c.Err() != context.Canceled || context.Cause(c) != cause {
				t.Errorf("%s: error %v, cause %v", name, c.Err(), context.Cause(c))
			}
			<-c.Done()
		}
		<-ran
		if ctxkey.From(child) == nil {
			t.Error("the State is gone")
		}
	})
	t.Run("GO-18/without_cancel", func(t *testing.T) {
		for _, c := range []context.Context{context.WithoutCancel(ctx), ctxkey.Put(context.WithoutCancel(parent), &ctxkey.State{})} {
			if c.Err() != nil || c.Done() != nil || context.Cause(c) != nil || ctxkey.From(c) == nil {
				t.Errorf("error %v, cause %v", c.Err(), context.Cause(c))
			}
		}
	})
}

// TestPrinting: whoever prints or encodes a context gets nothing of the State.
func TestPrinting(t *testing.T) {
	const canary = "canary-5e0d"
	type token struct{ Raw string }
	state := &ctxkey.State{
		Guard: &token{canary}, Token: &token{canary}, Authorization: canary, DPoP: []string{canary},
		Method: canary, Host: canary, Target: canary, Scopes: []string{canary},
	}
	ctx := ctxkey.Put(context.Background(), state)
	derived, end := context.WithCancel(ctx)
	defer end()
	holder := struct{ Ctx context.Context }{ctx}
	all := map[string]any{
		"itself": ctx, "nested": ctxkey.Put(ctx, state), "derived": derived, "timer": timer(t, ctx),
		"value": context.WithValue(ctx, other{}, "v"), "without_cancel": context.WithoutCancel(ctx),
		"in_a_struct": holder, "in_a_pointer": &holder, "in_a_slice": []any{ctx}, "in_a_map": map[string]any{"ctx": ctx},
	}
	for name, v := range all {
		t.Run("SE-02/verbs_"+name, func(t *testing.T) {
			for _, verb := range "vsqxXdbeotTUcpgGE" {
				for _, flag := range []string{"", "+", "#", "-20", "020"} {
					if got := fmt.Sprintf("%"+flag+string(verb), v); strings.Contains(got, canary) || strings.Contains(got, fmt.Sprintf("%x", canary)) {
						t.Errorf("%%%s%c: %s", flag, verb, got)
					}
				}
			}
		})
		t.Run("SE-02/encoders_"+name, func(t *testing.T) {
			var log strings.Builder
			slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "ctx", v)
			slog.New(slog.NewTextHandler(&log, nil)).Info("m", "ctx", v)
			j, _ := json.Marshal(v) // what is not encoded at all does not leak either
			x, _ := xml.Marshal(v)
			if got := log.String() + string(j) + string(x); !strings.Contains(got, "ctx") || strings.Contains(got, canary) {
				t.Error(got)
			}
		})
	}
	t.Run("GO-06/prints_as_the_contexts_of_package_context_do", func(t *testing.T) {
		for _, tc := range []struct {
			ctx  context.Context
			want string
		}{
			{ctx, "context.Background.WithValue(ctxkey.key, *ctxkey.State)"},
			{derived, "context.Background.WithValue(ctxkey.key, *ctxkey.State).WithCancel"},
			{ctxkey.Put(foreign{ctx}, state), "ctxkey_test.foreign.WithValue(ctxkey.key, *ctxkey.State)"},
		} {
			if got := fmt.Sprint(tc.ctx); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		}
	})
}

func timer(t *testing.T, ctx context.Context) context.Context {
	ctx, stop := context.WithTimeout(ctx, time.Hour)
	t.Cleanup(stop)
	return ctx
}

// TestAllocations: context and State are one allocation, and a look-up is none.
func TestAllocations(t *testing.T) {
	base, state := context.Background(), ctxkey.State{Method: "GET"}
	ctx := ctxkey.Put(ctxkey.Put(base, &state), &state)
	for _, tc := range []struct {
		name string
		want float64
		f    func()
	}{
		{"Put", 1, func() { ctx = ctxkey.Put(base, &ctxkey.State{Method: "GET", Token: base}) }},
		{"From", 0, func() { ctxkey.From(ctx) }},
		{"From_absent", 0, func() { ctxkey.From(base) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if n := testing.AllocsPerRun(200, tc.f); n != tc.want {
				t.Errorf("%v allocations, want %v", n, tc.want)
			}
		})
	}
}
