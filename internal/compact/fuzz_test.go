// SPDX-License-Identifier: Apache-2.0

package compact

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

// FuzzSplit holds Split against a plain reading of RFC 7515 §7.1, in both directions.
func FuzzSplit(f *testing.F) {
	for _, raw := range []string{good, "", "..", header + "." + payload, good + "\n", "AA.AAB.AA", good + ".AA.AA"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := Split(raw)
		want, ok := reference(raw)
		if ok != (err == nil) {
			t.Fatalf("Split: %v; reference accepts: %v", err, ok)
		}
		if errors.Is(err, ErrFiveSegments) != (strings.Count(raw, ".") == 4) {
			t.Fatalf("%d dots: %v", strings.Count(raw, "."), err)
		}
		if err != nil {
			return
		}
		if string(got.Header) != want[0] || string(got.Payload) != want[1] || string(got.Signature) != want[2] {
			t.Fatalf("got %q %q %q, want %q", got.Header, got.Payload, got.Signature, want)
		}
		joined := encode(got.Header) + "." + encode(got.Payload)
		if joined != got.SigningInput || joined+"."+encode(got.Signature) != raw {
			t.Fatal("the segments do not join to what was split")
		}
	})
}

func reference(raw string) (segments [3]string, ok bool) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 || strings.ContainsAny(raw, "\r\n") {
		return segments, false
	}
	for i, part := range parts {
		b, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil || len(b) == 0 {
			return segments, false
		}
		segments[i] = string(b)
	}
	return segments, true
}
