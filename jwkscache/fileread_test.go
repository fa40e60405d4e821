// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// TestFileRead: a file is taken only if it is one, and stays as it was while it is read.
func TestFileRead(t *testing.T) {
	at := midnight.Add(-time.Hour)
	for name, c := range map[string]struct {
		limit     int64
		meanwhile func(t testing.TB, path string)
		word      string // of the error; "" if the file is good
	}{
		"unchanged": {5, func(testing.TB, string) {}, ""},
		"replaced":  {5, func(t testing.TB, path string) { write(t, path, "other") }, ""}, // the open one is whole
		"removed":   {5, func(t testing.TB, path string) { must(t, os.Remove(path)) }, ""},
		"longer": {50, func(t testing.TB, path string) {
			must(t, os.WriteFile(path, []byte("first, and more"), 0o600))
			changed(t, path, at)
		}, "changed while it was read"},
		"shorter":    {50, func(t testing.TB, path string) { must(t, os.Truncate(path, 2)); changed(t, path, at) }, "changed while it was read"},
		"other_time": {50, func(t testing.TB, path string) { changed(t, path, at.Add(time.Second)) }, "changed while it was read"},
		"too_large":  {5, func(t testing.TB, path string) { must(t, os.WriteFile(path, []byte("first!"), 0o600)) }, "larger than 5 bytes"},
	} {
		t.Run("F36/while_it_is_read_"+name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "jwks.json")
			write(t, path, "first")
			text, err := jwkscache.ReadRegular(path, c.limit, func(fs.FileInfo) error {
				c.meanwhile(t, path)
				return nil
			})
			switch {
			case c.word == "" && (err != nil || string(text) != "first"):
				t.Errorf("%q, %v", text, err)
			case c.word != "" && (err == nil || text != nil || !strings.Contains(err.Error(), c.word)):
				t.Errorf("%q, error %v, want %q", text, err, c.word)
			}
		})
	}
	for name, put := range map[string]func(t testing.TB, path string){
		"pipe":      pipe,
		"directory": func(t testing.TB, path string) { must(t, os.Mkdir(path, 0o700)) },
	} {
		t.Run("F36/put_in_its_place_"+name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "jwks.json")
			put(t, path)
			asked := func(fs.FileInfo) error { t.Error("read"); return nil }
			if text, err := jwkscache.ReadRegular(path, 5, asked); err == nil || !strings.Contains(err.Error(), "regular") {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
}

// TestFileForms: what is neither form is told what it should be.
func TestFileForms(t *testing.T) {
	key := publicPEM(private()["one"].Public())
	for name, c := range map[string]struct{ text, word string }{
		"PEM_with_line_ends_of_Windows": {strings.ReplaceAll(key, "\n", "\r\n"), ""},
		"JSON_after_blanks":             {" \r\n\t" + kids("one"), ""},
		"comment_before_PEM":            {"# our key\n" + key, "something stands before the PEM block"},
		"mark_before_PEM":               {"\ufeff" + key, "byte order mark"},
		"mark_before_JSON":              {"\ufeff" + kids("one"), "byte order mark"},
		"list_of_keys":                  {"[" + string(jwk("one", nil)) + "]", "neither a JWK Set nor PEM"},
		"DER":                           {"0\x82\x01", "one PUBLIC KEY block"},
		"empty":                         {"", `a JSON object with an array "keys"`},
	} {
		inFile(t, "KS-29/"+name, func(w *world, path string) {
			write(w, path, c.text)
			err := w.cache.Warm(w.Context())
			if c.word == "" {
				must(w, err)
				return
			}
			if e := wantClass(w, err, verifier.ErrKeysUnavailable); !strings.Contains(e.Error(), c.word) || !strings.Contains(e.Error(), path) {
				w.Errorf("%q, want %q", e, c.word)
			}
		})
	}
}
