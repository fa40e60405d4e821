// SPDX-License-Identifier: Apache-2.0

package strictjson

import (
	"strings"
	"time"
)

// maxSeconds is 9999-12-31T23:59:59Z.
const maxSeconds = 253402300799

var pow10 = [...]int64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11}

// NumericDate is the time that a number of seconds since 1970-01-01T00:00:00Z stands
// for (RFC 7519 §2), in UTC. It is false unless the value is a JSON number from 0 to
// 253402300799. Fractions and exponents are read digit by digit, never through a
// float; what is finer than a nanosecond is cut off. The work is linear in the literal
// whatever its exponent.
func (v Value) NumericDate() (time.Time, bool) {
	if v.kind != KindNumber {
		return time.Time{}, false
	}
	if seconds, plain := plainSeconds(v.raw); plain {
		return time.Unix(seconds, 0).UTC(), true
	}
	digits, point, negative := split(v.raw)
	var seconds, nanos int64
	var finer bool
	for i, at := 0, point-1; i < len(digits); i++ {
		d := int64(digits[i] - '0')
		switch {
		case digits[i] == '.':
			continue
		case d == 0:
		case at >= int64(len(pow10)):
			return time.Time{}, false
		case at >= 0:
			seconds += d * pow10[at]
		case at >= -9:
			nanos += d * pow10[at+9]
		default:
			finer = true
		}
		at--
	}
	some := nanos != 0 || finer
	if seconds > maxSeconds || seconds == maxSeconds && some || negative && (seconds != 0 || some) {
		return time.Time{}, false
	}
	return time.Unix(seconds, nanos).UTC(), true
}

// plainSeconds reads a number of at most eleven digits and nothing else, as nearly all
// are: it is below the limit.
func plainSeconds(raw string) (seconds int64, plain bool) {
	if len(raw) > 11 {
		return 0, false
	}
	for i := range len(raw) {
		c := raw[i] - '0'
		if c > 9 {
			return 0, false
		}
		seconds = seconds*10 + int64(c)
	}
	return seconds, true
}

// split takes a valid number apart: its digits, perhaps with a dot among them, and how
// many of them stand before the decimal point once the exponent has moved it.
func split(raw string) (digits string, point int64, negative bool) {
	digits, negative = strings.CutPrefix(raw, "-")
	exponent := ""
	if e := strings.IndexAny(digits, "eE"); e >= 0 {
		digits, exponent = digits[:e], digits[e+1:]
	}
	point = int64(len(digits))
	if dot := strings.IndexByte(digits, '.'); dot >= 0 {
		point = int64(dot)
	}
	return digits, point + power(exponent), negative
}

// power is the value of an exponent. Beyond any literal's length it stands still,
// which is as good as infinite.
func power(exponent string) int64 {
	text, negative := strings.CutPrefix(exponent, "-")
	var n int64
	for _, c := range []byte(strings.TrimPrefix(text, "+")) {
		if n < 1<<50 {
			n = n*10 + int64(c-'0')
		}
	}
	if negative {
		return -n
	}
	return n
}
