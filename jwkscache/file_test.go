// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

// byFile configures a file alone.
func byFile(path string) func(*jwkscache.Config) {
	return func(cfg *jwkscache.Config) { cfg.URL, cfg.HTTPClient, cfg.File = "", nil, path }
}

// write replaces a file as an editor does, by a new one of another name. It is long
// unchanged by the time of the test, which begins in the year 2000.
func write(t testing.TB, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path+".new", []byte(text), 0o600))
	changed(t, path+".new", midnight.Add(-time.Hour))
	must(t, os.Rename(path+".new", path))
}

func changed(t testing.TB, path string, at time.Time) {
	t.Helper()
	must(t, os.Chtimes(path, at, at))
}

// inFile runs a test with a cache of a file that holds the key one.
func inFile(t *testing.T, name string, test func(w *world, path string)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jwks.json")
	write(t, path, kids("one"))
	inWorld(t, name, byFile(path), func(w *world) {
		test(w, path)
		w.wantHits("", 0)
	})
}

// holds tells which keys the cache serves now. To ask may begin a refresh behind it.
func (w *world) holds() string {
	w.Helper()
	var ids []string
	for _, k := range w.keys().Describe() {
		ids = append(ids, k.ID)
	}
	return strings.Join(ids, ",")
}

func (w *world) wantKeys(want string) {
	w.Helper()
	if got := w.holds(); got != want {
		w.Fatalf("after %v: keys %q, want %q", w.elapsed(), got, want)
	}
}

func TestFile(t *testing.T) {
	inFile(t, "KS-29/tokens_verify", func(w *world, _ string) {
		if _, err := w.verifier().Verify(w.Context(), token("one")); err != nil {
			w.Fatal(err)
		}
		_, err := w.verifier().Verify(w.Context(), token("two"))
		wantClass(w, err, verifier.ErrUnknownKey)
		if w.cache.Issuer() != "" {
			w.Error("a file has an issuer")
		}
	})
	inFile(t, "KS-29/change_is_seen_within_10_s", func(w *world, path string) {
		w.wantKeys("one")
		write(w, path, kids("two"))
		w.pass(8*time.Second - time.Nanosecond)
		w.wantKeys("one") // looked at in the background only
		w.pass(2 * time.Second)
		w.wantKeys("two")
		w.wantEvents(verifier.EventFetched, 2)
	})
	inFile(t, "KS-29/removed_key_is_refused", func(w *world, path string) {
		v := w.verifier()
		if _, err := v.Verify(w.Context(), token("one")); err != nil {
			w.Fatal(err)
		}
		write(w, path, kids("two"))
		w.pass(10 * time.Second)
		_, err := v.Verify(w.Context(), token("one"))
		wantClass(w, err, verifier.ErrUnknownKey)
	})
	inFile(t, "KS-11/unknown_kid_looks_at_once_after_1_s", func(w *world, path string) {
		v := w.verifier()
		w.keys()
		write(w, path, kids("one", "two"))
		w.pass(time.Second - time.Nanosecond)
		_, err := v.Verify(w.Context(), token("two"))
		wantClass(w, err, verifier.ErrUnknownKey)
		w.pass(time.Nanosecond)
		if _, err := v.Verify(w.Context(), token("two")); err != nil {
			w.Fatal(err)
		}
	})
	inFile(t, "KS-25/short_pause", func(w *world, path string) {
		w.keys()
		w.pass(20 * time.Second)
		write(w, path, kids("two"))
		w.pass(10 * time.Second)
		w.wantKeys("one") // nobody used it: served at once, and looked at behind
		w.pass(0)
		w.wantKeys("two")
	})
	inFile(t, "KS-25/long_pause", func(w *world, path string) {
		w.keys()
		w.pass(time.Hour)
		write(w, path, kids("two"))
		w.wantKeys("two")
	})
	inFile(t, "F36/volume_swap", func(w *world, path string) {
		dir := filepath.Dir(path)
		volume := func(name, text string) {
			must(w, os.Mkdir(filepath.Join(dir, name), 0o700))
			write(w, filepath.Join(dir, name, "jwks.json"), text)
			must(w, os.Symlink(name, filepath.Join(dir, "..data_tmp")))
			must(w, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		}
		volume("..1", kids("one"))
		must(w, os.Remove(path))
		must(w, os.Symlink(filepath.Join("..data", "jwks.json"), path))
		w.wantKeys("one")
		volume("..2", kids("two")) // of the same size and time
		w.pass(10 * time.Second)
		w.wantKeys("two")
		must(w, os.RemoveAll(filepath.Join(dir, "..1")))
		w.busy(time.Hour, 5*time.Second)
		w.wantEvents(verifier.EventFetchFailed, 0)
	})
}

// TestFileUnchanged: the text decides, not what the file system says of it.
func TestFileUnchanged(t *testing.T) {
	overwrite := func(w *world, path, text string) {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		must(w, err)
		_, err = f.WriteString(text)
		must(w, errors.Join(err, f.Close()))
		changed(w, path, midnight.Add(-time.Hour))
	}
	one, two := set(jwk("one", nil)), set(jwk("two", nil))
	if len(one) != len(two) {
		t.Fatal("the sets must be of the same size")
	}
	inFile(t, "KS-29/unchanged_stays_fresh", func(w *world, _ string) {
		before := w.keys()
		w.busy(time.Hour, 5*time.Second)
		if w.keys() != before {
			w.Error("a new version without a change")
		}
		w.wantEvents(verifier.EventFetched, 1)
		if got := w.cache.Status(); time.Since(got.Fetched) > 10*time.Second || got.UsableUntil.Sub(got.FreshUntil) != 24*time.Hour {
			w.Errorf("not renewed: %+v", got)
		}
	})
	inFile(t, "KS-29/other_text_of_the_same_size_time_and_identity", func(w *world, path string) {
		w.keys()
		overwrite(w, path, two)
		w.pass(10 * time.Second)
		w.wantKeys("two")
		w.wantEvents(verifier.EventFetched, 2)
	})
	inFile(t, "KS-29/same_text_in_a_new_file", func(w *world, path string) {
		before := w.keys()
		write(w, path, one)
		w.pass(10 * time.Second)
		if w.keys() != before {
			w.Error("a new version without a change")
		}
		w.wantEvents(verifier.EventFetched, 1)
	})
}

// TestFileSpoilt: the last keys stay, the fault is reported, and a good file is taken
// when it is there.
func TestFileSpoilt(t *testing.T) {
	text := func(content string) func(t testing.TB, path string) {
		return func(t testing.TB, path string) { write(t, path, content) }
	}
	for name, spoil := range map[string]func(t testing.TB, path string){
		"F36/half_written":          text(kids("one", "two")[:150]),
		"F36/half_of_a_PEM":         text(publicPEM(private()["two"].Public())[:60]),
		"F36/empty":                 text(""),
		"F36/deleted":               func(t testing.TB, path string) { must(t, os.Remove(path)) },
		"F36/directory":             func(t testing.TB, path string) { must(t, os.Remove(path)); must(t, os.Mkdir(path, 0o700)) },
		"F36/pipe":                  func(t testing.TB, path string) { must(t, os.Remove(path)); pipe(t, path) },
		"F36/dangling_link":         func(t testing.TB, path string) { must(t, os.Remove(path)); must(t, os.Symlink("none", path)) },
		"F36/permission_lost":       unreadableFile,
		"KS-29/over_512_KiB":        text(kids("two") + strings.Repeat(" ", 512<<10+1-len(kids("two")))),
		"KS-14/no_usable_key":       text(set(jwk("two", map[string]any{"use": "enc"}))),
		"KS-14/no_key":              text(`{"keys":[]}`),
		"KS-19/private_members":     text(set(jwk("two", nil), privateJWK("one"))),
		"KS-24/duplicate_member":    text(`{"keys":[],` + kids("two")[1:]),
		"KS-05/error_page":          text("<html>"),
		"KS-29/two_PEM_blocks":      text(strings.Repeat(publicPEM(private()["two"].Public()), 2)),
		"KS-29/PEM_of_another_kind": text(pemOf("CERTIFICATE", []byte("x"), nil)),
	} {
		inFile(t, name, func(w *world, path string) {
			before := w.keys()
			spoil(w, path)
			w.pass(10 * time.Second)
			if w.keys() != before {
				w.Fatal("the keys were given up")
			}
			failed := w.of(verifier.EventFetchFailed)
			if len(failed) == 0 || failed[0].Class != verifier.ErrKeysUnavailable {
				w.Fatalf("events %v", failed)
			}
			w.busy(time.Hour, time.Minute)
			must(w, os.RemoveAll(path))
			write(w, path, kids("three"))
			w.keys()
			w.pass(10 * time.Second)
			w.wantKeys("three")
			if got := w.cache.Status(); got.Err != nil || got.Failures != 0 {
				w.Errorf("%+v", got)
			}
		})
	}
	inFile(t, "KS-29/512_KiB", func(w *world, path string) {
		write(w, path, kids("two")+strings.Repeat(" ", 512<<10-len(kids("two"))))
		w.wantKeys("two")
	})
}

// unreadableFile takes the permission to read away, which root does not need.
func unreadableFile(t testing.TB, path string) {
	t.Helper()
	write(t, path, kids("two"))
	must(t, os.Chmod(path, 0))
	if f, err := os.Open(path); err == nil {
		f.Close()
		t.Skip("this user reads files without permission")
	} else if !errors.Is(err, fs.ErrPermission) {
		t.Fatal(err)
	}
}

func TestFileOutage(t *testing.T) {
	inFile(t, "KS-12/deleted_file_until_the_bound", func(w *world, path string) {
		w.keys()
		must(w, os.Remove(path))
		w.pass(10 * time.Second)
		end := w.cache.Status().UsableUntil
		w.busy(time.Until(end)-time.Minute, time.Minute)
		w.pass(time.Until(end) - time.Nanosecond)
		w.keys()
		w.pass(time.Nanosecond)
		_, err := w.verifier().Verify(w.Context(), token("one"))
		if e := wantClass(w, err, verifier.ErrKeysUnavailable); e.RetryAfter > 10*time.Second {
			w.Errorf("retry after %v", e.RetryAfter)
		}
		w.wantEvents(verifier.EventStaleKeys, 1)
	})
	inFile(t, "KS-27/missing_at_the_start", func(w *world, path string) {
		must(w, os.Remove(path))
		e := wantClass(w, w.cache.Warm(w.Context()), verifier.ErrKeysUnavailable)
		_, err := w.verifier().Verify(w.Context(), token("one"))
		wantClass(w, err, verifier.ErrKeysUnavailable)
		if !errors.Is(e.Cause, fs.ErrNotExist) || e.RetryAfter <= 0 || e.RetryAfter > 2*time.Second {
			w.Fatalf("%v, retry after %v", e, e.RetryAfter)
		}
		write(w, path, kids("one"))
		w.pass(e.RetryAfter)
		if err := w.cache.Warm(w.Context()); err != nil {
			w.Fatal(err)
		}
	})
	inFile(t, "KS-29/same_file_is_back", func(w *world, path string) {
		before := w.keys()
		must(w, os.Rename(path, path+".away"))
		w.busy(10*time.Second, time.Second)
		must(w, os.Rename(path+".away", path))
		w.busy(15*time.Second, time.Second)
		if w.keys() != before || w.cache.Status().Failures != 0 {
			w.Errorf("%+v", w.cache.Status())
		}
		w.wantEvents(verifier.EventFetched, 2) // the end of the trouble is reported, too
	})
	inFile(t, "KS-13/missing_for_an_hour", func(w *world, path string) {
		w.keys()
		must(w, os.Remove(path))
		w.busy(time.Hour, time.Second)
		if got := len(w.of(verifier.EventFetchFailed)); got < 300 || got > 500 {
			w.Errorf("%d looks in an hour", got)
		}
	})
	inFile(t, "KS-26/closed", func(w *world, _ string) {
		w.keys()
		w.cache.Close()
		_, err := w.cache.Keys(w.Context(), nil)
		wantClass(w, err, verifier.ErrKeysUnavailable)
		w.pass(time.Hour)
		w.wantEvents(verifier.EventFetched, 1)
	})
}

func TestFileContent(t *testing.T) {
	accepts := func(name, text string) {
		inFile(t, name, func(w *world, path string) {
			write(w, path, text)
			if _, err := w.verifier().Verify(w.Context(), token("one")); err != nil {
				w.Fatal(err)
			}
		})
	}
	accepts("KS-22/PEM_key_serves_any_kid", "\n"+publicPEM(private()["one"].Public()))
	accepts("KS-22/JWK_without_kid_serves_any_kid", strings.Replace(kids("one"), `"kid":"one"`, `"x-y":"z"`, 1))
	accepts("KS-15/unusable_key_beside_a_good_one", set(json.RawMessage(`{"kty":"XX"}`), jwk("one", nil)))
	inFile(t, "KS-22/JWK_with_kid_serves_that_kid_only", func(w *world, path string) {
		write(w, path, set(jwk("one", map[string]any{"kid": "other"})))
		_, err := w.verifier().Verify(w.Context(), token("one"))
		wantClass(w, err, verifier.ErrUnknownKey)
	})
	inFile(t, "KS-15/skipped_key_is_reported", func(w *world, path string) {
		write(w, path, set(json.RawMessage(`{"kty":"XX"}`), jwk("one", nil)))
		w.keys()
		w.wantEvents(verifier.EventKeySkipped, 1)
	})
	for name, bad := range map[string]string{
		"private_JWK": set(privateJWK("one")),
		"private_PEM": pemOf("PRIVATE KEY", []byte("x"), nil),
	} {
		inFile(t, "KS-19/cold_"+name, func(w *world, path string) {
			write(w, path, bad)
			e := wantClass(w, w.cache.Warm(w.Context()), verifier.ErrKeysUnavailable)
			if !strings.Contains(e.Error(), "public") {
				w.Errorf("%v names no remedy", e)
			}
		})
	}
}

func TestFileConfig(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  jwkscache.Config
		word string
	}{
		"Issuer":        {jwkscache.Config{Issuer: issuer}, "remove Issuer, or File"},
		"URL":           {jwkscache.Config{URL: jwksURL}, "remove URL, or File"},
		"Discovery":     {jwkscache.Config{Discovery: jwkscache.DiscoverOAuth}, "Discovery"},
		"InsecureHosts": {jwkscache.Config{InsecureHosts: []string{"loopback"}}, "remove InsecureHosts, or File"},
		"HTTPClient":    {jwkscache.Config{HTTPClient: &http.Client{}}, "remove HTTPClient, or File"},
		"cooldown":      {jwkscache.Config{UnknownKeyCooldown: time.Second}, "remove UnknownKeyCooldown, or File"},
		"Snapshots":     {jwkscache.Config{Snapshots: &memory{}}, "remove Snapshots, or File"},
		"MaxStale":      {jwkscache.Config{MaxStale: 73 * time.Hour}, "MaxStale"},
	} {
		t.Run("KS-29/file_with_"+name, func(t *testing.T) {
			c.cfg.File = "/nowhere"
			refused(t, c.cfg, c.word)
		})
	}
	t.Run("KS-29/no_file_no_address", func(t *testing.T) { refused(t, jwkscache.Config{}, "Issuer", "URL", "File") })
	t.Run("KS-27/constructor_does_no_input", func(t *testing.T) { accepted(t, jwkscache.Config{File: "/nowhere", MaxStale: -1}) })
	t.Run("GO-02/store_is_a_typed_nil", func(t *testing.T) {
		refused(t, jwkscache.Config{File: "/nowhere", Snapshots: (*memory)(nil)}, "Snapshots is a nil")
	})
}
