// SPDX-License-Identifier: Apache-2.0

package strictjson

import (
	"math/big"
	"strings"
	"testing"
	"time"
)

func TestNumericDate(t *testing.T) {
	zeros := strings.Repeat("0", 1000)
	tests := []struct {
		name, in    string
		sec, nanos  int64
		outOfBounds bool
	}{
		{name: "JV-20/zero", in: "0"},
		{name: "JV-20/one", in: "1", sec: 1},
		{name: "JV-20/usual", in: "1700000000", sec: 1700000000},
		{name: "JV-20/greatest", in: "253402300799", sec: 253402300799},
		{name: "JV-20/greatest_with_zero_fraction", in: "253402300799.000", sec: 253402300799},
		{name: "JV-20/just_below_greatest", in: "253402300798.999999999", sec: 253402300798, nanos: 999999999},
		{name: "JV-20/one_above", in: "253402300800", outOfBounds: true},
		{name: "JV-20/a_fraction_above", in: "253402300799.5", outOfBounds: true},
		{name: "JV-20/less_than_a_nanosecond_above", in: "253402300799.0000000001", outOfBounds: true},
		{name: "JV-20/thirteen_digits", in: "1700000000000", outOfBounds: true},
		{name: "JV-20/beyond_int64", in: "18446744073709551616", outOfBounds: true},
		{name: "JV-20/beyond_int64_by_wrapping", in: "18446744075409551616", outOfBounds: true},
		{name: "JV-20/B28_1e400", in: "1e400", outOfBounds: true},
		{name: "JV-20/minus_1e400", in: "-1e400", outOfBounds: true},
		{name: "JV-20/exponent_beyond_int64", in: "1e18446744073709551617", outOfBounds: true},
		{name: "JV-20/1e12", in: "1e12", outOfBounds: true},
		{name: "JV-20/minus_one", in: "-1", outOfBounds: true},
		{name: "JV-20/minus_a_fraction", in: "-0.5", outOfBounds: true},
		{name: "JV-20/minus_less_than_a_nanosecond", in: "-1e-400", outOfBounds: true},
		{name: "JV-20/minus_zero_is_zero", in: "-0.0"},
		{name: "JV-20/1e11", in: "1e11", sec: 1e11},
		{name: "JV-20/exponent_plus", in: "1.7E+9", sec: 1700000000},
		{name: "JV-20/exponent_splits_a_second", in: "17000000005e-1", sec: 1700000000, nanos: 5e8},
		{name: "JV-20/exponent_leading_zeros", in: "1e" + zeros + "9", sec: 1e9},
		{name: "JV-20/zero_with_huge_exponent", in: "0e400"},
		{name: "JV-20/zero_with_huge_exponent_and_fraction", in: "0.00e99999999999999999999"},
		{name: "JV-20/tiny", in: "1e-400"},
		{name: "JV-20/tiny_beyond_int64", in: "1e-18446744073709551617"},
		{name: "JV-20/small_digits_large_exponent", in: "0." + zeros + "17e1010", sec: 1700000000},
		{name: "JV-20/large_digits_small_exponent", in: "17" + zeros + "e-992", sec: 1700000000},
		{name: "JV-20/zero_long_fraction", in: "0." + zeros},
		{name: "JV-20/string", in: `"1700000000"`, outOfBounds: true},
		{name: "JV-20/date_string", in: `"2023-11-14T22:13:20Z"`, outOfBounds: true},
		{name: "JV-20/true", in: "true", outOfBounds: true},
		{name: "JV-20/null", in: "null", outOfBounds: true},
		{name: "JV-20/array", in: "[1700000000]", outOfBounds: true},
		{name: "JV-20/object", in: `{"a":1}`, outOfBounds: true},
		{name: "JV-21/half", in: "1700000000.5", sec: 1700000000, nanos: 5e8},
		{name: "JV-21/nine_tenths", in: "1700000000.9", sec: 1700000000, nanos: 9e8},
		{name: "JV-21/nanosecond", in: "1700000000.000000001", sec: 1700000000, nanos: 1},
		{name: "JV-21/millisecond", in: "1700000000.123", sec: 1700000000, nanos: 123e6},
		{name: "JV-21/below_a_nanosecond_is_cut", in: "1700000000.9999999999", sec: 1700000000, nanos: 999999999},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := valueOf(t, tt.in).NumericDate()
			want := time.Unix(tt.sec, tt.nanos).UTC()
			if tt.outOfBounds {
				want = time.Time{}
			}
			if ok == tt.outOfBounds || got != want {
				t.Errorf("NumericDate = %v, %v; want %v", got, ok, want)
			}
		})
	}
}

func TestNumericDateOrder(t *testing.T) {
	t.Run("JV-21/fraction_decides", func(t *testing.T) {
		later, _ := valueOf(t, "1700000000.9").NumericDate()
		earlier, _ := valueOf(t, "1700000000.5").NumericDate()
		if !later.After(earlier) {
			t.Errorf("%v is not after %v", later, earlier)
		}
	})
	// float64 has no room for nanoseconds this late.
	t.Run("JV-21/no_float_rounding", func(t *testing.T) {
		later, _ := valueOf(t, "253402300798.000000002").NumericDate()
		earlier, _ := valueOf(t, "253402300798.000000001").NumericDate()
		if later.Sub(earlier) != 1 {
			t.Errorf("difference %v", later.Sub(earlier))
		}
	})
}

// FuzzNumericDate holds the digit-wise reading against exact rational numbers.
func FuzzNumericDate(f *testing.F) {
	for _, s := range []string{"0", "-0", "1.5", "1e9", "253402300799.0", "253402300799.0000000001", "0.0017e12", "1E-3"} {
		f.Add(s)
	}
	greatest := new(big.Rat).SetInt64(maxSeconds)
	f.Fuzz(func(t *testing.T, text string) {
		p := parser{text: text}
		if len(text) > 60 || p.number() != nil || p.pos != len(text) || largeExponent(text) {
			return
		}
		exact, valid := new(big.Rat).SetString(text)
		if !valid {
			t.Fatal("number accepts what big.Rat does not")
		}
		got, ok := Value{raw: text, kind: KindNumber}.NumericDate()
		if want := exact.Sign() >= 0 && exact.Cmp(greatest) <= 0; ok != want {
			t.Fatalf("in range: %v, want %v", ok, want)
		}
		if !ok {
			return
		}
		nanos := new(big.Rat).Mul(exact, big.NewRat(1e9, 1))
		whole := new(big.Int).Quo(nanos.Num(), nanos.Denom())
		sec, rest := new(big.Int).DivMod(whole, big.NewInt(1e9), new(big.Int))
		if want := time.Unix(sec.Int64(), rest.Int64()).UTC(); got != want {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

// largeExponent keeps the reference from writing out huge powers.
func largeExponent(text string) bool {
	e := strings.IndexAny(text, "eE")
	return e >= 0 && len(strings.TrimLeft(text[e+1:], "+-0")) > 3
}
