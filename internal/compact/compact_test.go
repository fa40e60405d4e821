// SPDX-License-Identifier: Apache-2.0

package compact

import (
	"encoding/base64"
	"errors"
	"runtime"
	"strings"
	"testing"
)

var encode = base64.RawURLEncoding.EncodeToString

var (
	header    = encode([]byte(`{"alg":"RS256"}`))
	payload   = encode([]byte(`{"iss":"a"}`))
	signature = encode([]byte("\x01\x02\x03\x04"))
	good      = header + "." + payload + "." + signature
)

func TestSplitAccepts(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	tests := []struct{ name, raw, header, payload, signature string }{
		{"JV-01/three_segments", good, `{"alg":"RS256"}`, `{"iss":"a"}`, "\x01\x02\x03\x04"},
		{"JV-02/whole_alphabet", alphabet + "." + alphabet + "." + alphabet, whole, whole, whole},
		{"JV-03/lengths_2_3_0_mod_4", "AA.AAA.AAAA", "\x00", "\x00\x00", "\x00\x00\x00"},
		{"JV-33/shortest", "_w.-A.-Q", "\xff", "\xf8", "\xf9"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Split(tt.raw)
			if err != nil {
				t.Fatal(err)
			}
			if string(got.Header) != tt.header || string(got.Payload) != tt.payload || string(got.Signature) != tt.signature {
				t.Errorf("got segments %q %q %q", got.Header, got.Payload, got.Signature)
			}
			if want := tt.raw[:strings.LastIndexByte(tt.raw, '.')]; got.SigningInput != want {
				t.Errorf("signing input %q, want %q", got.SigningInput, want)
			}
		})
	}
}

// whole is what the 64 letters of the alphabet decode to: 0 to 63 in six bits each.
var whole = "\x00\x10\x83\x10\x51\x87\x20\x92\x8b\x30\xd3\x8f\x41\x14\x93\x51\x55\x97\x61\x96\x9b\x71\xd7\x9f" +
	"\x82\x18\xa3\x92\x59\xa7\xa2\x9a\xab\xb2\xdb\xaf\xc3\x1c\xb3\xd3\x5d\xb7\xe3\x9e\xbb\xf3\xdf\xbf"

var dots = strings.Repeat(".", 1_000_000)

// splitRefused is the table of texts that are not a compact JWS.
var splitRefused = []struct {
	name, raw string
	want      error
}{
	{"JV-01/empty", "", errSegments},
	{"JV-01/one_segment", header, errSegments},
	{"JV-01/two_segments", header + "." + payload, errSegments},
	{"JV-01/four_segments", good + ".AA", errSegments},
	{"JV-01/four_segments_last_empty", good + ".", errSegments},
	{"JV-01/B4_five_segments", good + ".AA.AA", ErrFiveSegments},
	{"JV-01/B4_five_segments_empty_key", header + "..AA.AA.AA", ErrFiveSegments},
	{"JV-01/B4_five_empty_segments", "....", ErrFiveSegments},
	{"JV-01/six_segments", good + ".AA.AA.AA", errSegments},
	{"JV-01/six_segments_last_empty", good + ".AA.AA.", errSegments},
	{"JV-01/B29_million_dots", dots, errSegments},
	{"JV-01/B29_million_dots_after_token", good + dots, errSegments},
	{"JV-01/B9_flattened_serialization", `{"protected":"` + header + `","payload":"` + payload + `","signature":"` + signature + `"}`, errSegments},
	{"JV-01/B9_general_serialization", `{"payload":"` + payload + `","signatures":[{"protected":"` + header + `","signature":"` + signature + `"}]}`, errSegments},
	{"JV-01/B9_serialization_with_two_dots", `{"payload":"` + payload + `","a.b":".","signature":"` + signature + `"}`, errBase64},
	{"JV-01/B9_polyglot", `{"` + header + `":1,"x.` + payload + `.` + signature + `":0}`, errBase64},
	{"JV-01/B34_opaque", "2YotnFZFEjr1zCsicMWpAA", errSegments},
	{"JV-01/B33_uuid", "7d444840-9dc0-11d1-b245-5ffdce74fad2", errSegments},
	{"JV-01/B33_macaroon", "MDAxY2xvY2F0aW9uIGh0dHA6Ly9teWJhbmsvCg==", errSegments},
	{"JV-01/B33_paseto", "v4.public.eyJkYXRhIjoidGhpcyBpcyBhIHNpZ25lZCBtZXNzYWdlIn0.Zm9v", errSegments},
	{"JV-01/B33_paseto_without_footer", "v4.public.eyJkYXRhIjoidGhpcyBpcyBhIn0A", errBase64},
	{"JV-02/B33_sd_jwt", good + "~WyJzYWx0IiwiYSIsImIiXQ~", errBase64},
	{"JV-02/B10_plus", "+A." + payload + "." + signature, errBase64},
	{"JV-02/B10_slash", header + "./w." + signature, errBase64},
	{"JV-02/B10_plus_in_signature", header + "." + payload + ".A+ID", errBase64},
	{"JV-02/tilde", header + "." + payload + ".AA~A", errBase64},
	{"JV-02/space_before", " " + good, errBase64},
	{"JV-02/space_after", good + " ", errBase64},
	{"JV-02/space_inside", header + "." + payload + ".AQ ID", errBase64},
	{"JV-02/nul", header + "." + payload + ".AQ\x00D", errBase64},
	{"JV-02/full_width_letter", header + "." + payload + ".Ａ", errBase64},
	{"JV-02/byte_above_ascii", header + "." + payload + ".AQ\xc1D", errBase64},
	{"JV-03/B11_padding_header", "AA==." + payload + "." + signature, errBase64},
	{"JV-03/B11_padding_payload", header + ".AAA=." + signature, errBase64},
	{"JV-03/B11_padding_signature", good + "==", errBase64},
	{"JV-03/newline_inside", header + "." + payload + ".AQ\nID", errBase64},
	{"JV-03/newline_last_in_header", header + "\n." + payload + "." + signature, errBase64},
	{"JV-03/newline_at_end", good + "\n", errBase64},
	{"JV-03/carriage_return", header + ".ey\rJ9." + signature, errBase64},
	{"JV-03/only_newlines", header + ".\n\n." + signature, errBase64},
	{"JV-03/length_1_mod_4", header + "." + payload + ".A", errBase64},
	{"JV-03/length_5", header + ".AAAAA." + signature, errBase64},
	{"JV-03/B13_trailing_bits_of_two", header + "." + payload + ".AB", errBase64},
	{"JV-03/B13_trailing_bits_of_three", header + "." + payload + ".AAB", errBase64},
	{"JV-03/B13_trailing_bits_in_payload", header + ".eyJpc3MiOiJhIn1." + signature, errBase64},
	{"JV-33/B2_empty_signature", header + "." + payload + ".", errEmpty},
	{"JV-33/B30_empty_payload", header + ".." + signature, errEmpty},
	{"JV-33/empty_header", "." + payload + "." + signature, errEmpty},
	{"JV-33/only_two_dots", "..", errEmpty},
	{"JV-01/B3_signature_and_dot_removed", good[:strings.LastIndexByte(good, '.')], errSegments},
	{"JV-01/one_dot", ".", errSegments},
}

func TestSplitRefuses(t *testing.T) {
	for _, tt := range splitRefused {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Split(tt.raw)
			if !errors.Is(err, tt.want) || got.Header != nil || got.SigningInput != "" {
				t.Errorf("Split = %+v, %v; want error %v", got, err, tt.want)
			}
		})
	}
}

// Every change of unused trailing bits must be seen, since it is another text of the
// same bytes.
func TestOnlyOneTextPerBytes(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	t.Run("JV-03/B13_one_last_letter_per_value", func(t *testing.T) {
		for _, tt := range []struct {
			prefix string
			want   int
		}{{"A", 4}, {"AA", 16}, {"AAA", 64}} {
			n := 0
			for _, c := range alphabet {
				if _, err := Decode(tt.prefix + string(c)); err == nil {
					n++
				}
			}
			if n != tt.want {
				t.Errorf("after %q: %d last letters accepted, want %d", tt.prefix, n, tt.want)
			}
		}
	})
}

func TestDecode(t *testing.T) {
	tests := []struct {
		name, in, want string
		ok             bool
	}{
		{"JV-03/empty", "", "", true},
		{"JV-03/one_byte", "_w", "\xff", true},
		{"JV-03/three_bytes", "AQAB", "\x01\x00\x01", true},
		{"JV-03/padded", "_w==", "", false},
		{"JV-03/length_1", "A", "", false},
		{"JV-03/trailing_bits", "_x", "", false},
		{"JV-03/line_feed", "AQ\nAB", "", false},
		{"JV-03/carriage_return_last", "AQAB\r", "", false},
		{"JV-03/only_carriage_return", "\r", "", false},
		{"JV-02/plus", "+w", "", false},
		{"JV-02/dot", "AQ.AB", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Decode(tt.in)
			if (err == nil) != tt.ok || string(got) != tt.want {
				t.Errorf("Decode = %q, %v", got, err)
			}
		})
	}
}

// Appending to one segment must not write into the next.
func TestSegmentsDoNotOverlap(t *testing.T) {
	got, err := Split(good)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(got.Header, "xxxx"...)
	_ = append(got.Payload, "xxxx"...)
	if string(got.Payload) != `{"iss":"a"}` || string(got.Signature) != "\x01\x02\x03\x04" {
		t.Errorf("a segment was overwritten: %q %q", got.Payload, got.Signature)
	}
}

func TestErrorsQuoteNothing(t *testing.T) {
	const secret = "c2VjcmV0LXZhbHVl"
	for _, raw := range []string{secret, secret + ".+." + secret, secret + "." + secret + ".", secret + "...." + secret, secret + "......"} {
		if _, err := Split(raw); err == nil || strings.Contains(err.Error(), "c2Vj") {
			t.Errorf("error %v", err)
		}
	}
}

func TestCost(t *testing.T) {
	t.Run("JV-01/one_allocation", func(t *testing.T) {
		if n := testing.AllocsPerRun(100, func() { _, _ = Split(good) }); n != 1 {
			t.Errorf("%v allocations, want 1", n)
		}
	})
	for name, raw := range map[string]string{
		"JV-01/B29_dots_cost_nothing":     strings.Repeat(".", 1_000_000),
		"JV-01/B29_segments_cost_nothing": strings.Repeat("AA.", 300_000),
	} {
		t.Run(name, func(t *testing.T) {
			// Of so many runs, the few allocations of the runtime itself do not count.
			if n := testing.AllocsPerRun(100, func() { _, _ = Split(raw) }); n != 0 {
				t.Errorf("%v allocations, want none", n)
			}
		})
	}
	t.Run("JV-03/memory_below_input", func(t *testing.T) {
		raw := header + "." + strings.Repeat("AAAA", 1<<18) + "." + signature
		if n := bytesOf(func() { _, _ = Split(raw) }); n > uint64(len(raw)) {
			t.Errorf("%d bytes allocated for %d", n, len(raw))
		}
	})
}

func bytesOf(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func BenchmarkSplit(b *testing.B) {
	raw := encode([]byte(strings.Repeat("h", 60))) + "." + encode([]byte(strings.Repeat("p", 400))) + "." + encode([]byte(strings.Repeat("s", 256)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Split(raw); err != nil {
			b.Fatal(err)
		}
	}
}
