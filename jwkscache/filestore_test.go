// SPDX-License-Identifier: Apache-2.0

package jwkscache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/verifier"
)

var (
	nameA = strings.Repeat("a", 64)
	nameB = strings.Repeat("0123456789abcdef", 4)
)

// fileStore is a store in a directory that does not exist yet.
func fileStore(t testing.TB) (*jwkscache.FileStore, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "deep", "keys")
	store, err := jwkscache.NewFileStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	return store, dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// listing is the names in dir.
func listing(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestFileStore(t *testing.T) {
	ctx := t.Context()
	t.Run("KS-29/saved_is_loaded", func(t *testing.T) {
		store, dir := fileStore(t)
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal("the constructor made the directory")
		}
		if _, err := store.Load(ctx, nameA); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("nothing stored: %v", err)
		}
		for _, text := range []string{"first", "", "second and longer"} {
			must(t, store.Save(ctx, nameA, []byte(text)))
			must(t, store.Save(ctx, nameB, []byte("other")))
			got, err := store.Load(ctx, nameA)
			if err != nil || got == nil || string(got) != text {
				t.Fatalf("%q, %v", got, err)
			}
		}
		if got := listing(t, dir); len(got) != 2 {
			t.Errorf("the directory holds %q", got)
		}
	})
	t.Run("KS-29/permissions", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("no permission bits")
		}
		store, dir := fileStore(t)
		must(t, store.Save(ctx, nameA, []byte("x")))
		for path, want := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, nameA+".json"): 0o600} {
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v", path, info.Mode(), err)
			}
		}
	})
	t.Run("GO-02/directory_empty", func(t *testing.T) {
		store, err := jwkscache.NewFileStore("")
		if store != nil {
			t.Error("a store came with the error")
		}
		wantClass(t, err, verifier.ErrConfig)
	})
	t.Run("GO-02/zero_value_refuses", func(t *testing.T) {
		for _, store := range []*jwkscache.FileStore{nil, {}} {
			_, err := store.Load(ctx, nameA)
			wantClass(t, err, verifier.ErrConfig)
			wantClass(t, store.Save(ctx, nameA, nil), verifier.ErrConfig)
		}
	})
	t.Run("KS-29/caller_leaves_before_the_rename", func(t *testing.T) {
		store, dir := fileStore(t)
		must(t, store.Save(ctx, nameA, []byte("newer")))
		if err := store.Save(&leaving{Context: ctx}, nameA, []byte("older")); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if got, err := store.Load(ctx, nameA); string(got) != "newer" || err != nil || len(listing(t, dir)) != 1 {
			t.Errorf("%q, %v, %q", got, err, listing(t, dir))
		}
	})
	t.Run("KS-29/directory_that_cannot_be_opened", func(t *testing.T) {
		store, dir := fileStore(t)
		must(t, os.MkdirAll(filepath.Dir(dir), 0o700))
		must(t, os.Mkdir(dir, 0o300))
		if f, err := os.Open(dir); err == nil {
			f.Close()
			t.Skip("this user reads directories without permission")
		}
		must(t, store.Save(ctx, nameA, []byte("x")))
		if got, err := store.Load(ctx, nameA); string(got) != "x" {
			t.Errorf("%q, %v", got, err)
		}
		must(t, os.Chmod(dir, 0o700)) // so that it can be removed
	})
	t.Run("KS-29/caller_has_left", func(t *testing.T) {
		store, dir := fileStore(t)
		left, leave := context.WithCancel(ctx)
		leave()
		if err := store.Save(left, nameA, []byte("x")); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Error("written all the same")
		}
	})
}

// leaving is the context of a caller who leaves after its first look at it.
type leaving struct {
	context.Context
	looks int
}

func (l *leaving) Err() error {
	if l.looks++; l.looks > 1 {
		return context.Canceled
	}
	return nil
}

// TestFileStoreCrowd: a file system that hangs holds no more than 16 calls.
func TestFileStoreCrowd(t *testing.T) {
	inTime := func(t *testing.T, store *jwkscache.FileStore) (save, load error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		save = store.Save(ctx, nameA, []byte("x"))
		_, load = store.Load(ctx, nameA)
		return save, load
	}
	for name, test := range map[string]func(t *testing.T, store *jwkscache.FileStore){
		"15_and_one_more": func(t *testing.T, store *jwkscache.FileStore) {
			jwkscache.Occupy(store, 15)
			for range 100 { // calls that end make room
				if save, load := inTime(t, store); save != nil || load != nil {
					t.Fatal(save, load)
				}
			}
		},
		"16_are_enough": func(t *testing.T, store *jwkscache.FileStore) {
			jwkscache.Occupy(store, 16)
			start := time.Now()
			save, load := inTime(t, store)
			if !errors.Is(save, context.DeadlineExceeded) || !errors.Is(load, context.DeadlineExceeded) || !strings.Contains(save.Error(), "too many calls") {
				t.Error(save, load)
			}
			if waited := time.Since(start); waited != time.Second {
				t.Errorf("waited %v", waited)
			}
		},
		"one_ends_in_time": func(t *testing.T, store *jwkscache.FileStore) {
			end := jwkscache.Occupy(store, 16)
			time.AfterFunc(time.Second-time.Nanosecond, end)
			if save, load := inTime(t, store); save != nil || load != nil {
				t.Error(save, load)
			}
		},
		"refused_calls_take_no_room": func(t *testing.T, store *jwkscache.FileStore) {
			end := jwkscache.Occupy(store, 16)
			for range 20 {
				if save, load := inTime(t, store); save == nil || load == nil {
					t.Fatal("room for more than 16")
				}
				if err := store.Save(t.Context(), "no name", nil); err == nil {
					t.Fatal("saved")
				}
			}
			end()
			if save, load := inTime(t, store); save != nil || load != nil {
				t.Error(save, load)
			}
		},
	} {
		t.Run("KS-29/"+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, _ := fileStore(t)
				test(t, store)
			})
		})
	}
}

func TestFileStoreNames(t *testing.T) {
	store, dir := fileStore(t)
	must(t, store.Save(t.Context(), nameA, []byte("x")))
	must(t, os.WriteFile(filepath.Join(filepath.Dir(dir), "outside.json"), []byte("x"), 0o600))
	for what, name := range map[string]string{
		"empty": "", "short": nameA[1:], "long": nameA + "a", "upper_case": strings.ToUpper(nameA),
		"parent": "../outside", "absolute": "/etc/passwd", "other_letter": nameA[1:] + "g",
		"slash": nameA[1:] + "/", "backslash": nameA[1:] + `\`, "NUL": nameA[1:] + "\x00", "dots": strings.Repeat(".", 64),
		"climbs": strings.Repeat("../", 18) + "aaaaaaaaaa",
	} {
		t.Run("KS-29/name_"+what, func(t *testing.T) {
			if _, err := store.Load(t.Context(), name); err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Load: %v", err)
			}
			if err := store.Save(t.Context(), name, []byte("y")); err == nil {
				t.Error("saved")
			}
			if got := listing(t, dir); len(got) != 1 {
				t.Errorf("the directory holds %q", got)
			}
		})
	}
}

// TestFileStoreRefuses: what somebody else put there, or could have, is not keys.
func TestFileStoreRefuses(t *testing.T) {
	const limit = 2 << 20
	for what, c := range map[string]struct {
		spoil func(t *testing.T, dir, path string)
		word  string // of the error; "" if the file is good
	}{
		"as_saved":           {func(*testing.T, string, string) {}, ""},
		"readable_by_others": {func(t *testing.T, _, path string) { must(t, os.Chmod(path, 0o644)) }, ""},
		"writable_by_group":  {func(t *testing.T, _, path string) { must(t, os.Chmod(path, 0o620)) }, "chmod"},
		"writable_by_others": {func(t *testing.T, _, path string) { must(t, os.Chmod(path, 0o602)) }, "chmod"},
		"directory_of_all":   {func(t *testing.T, dir, _ string) { must(t, os.Chmod(dir, 0o777)) }, "chmod"},
		"directory_of_group": {func(t *testing.T, dir, _ string) { must(t, os.Chmod(dir, 0o770)) }, "chmod"},
		"directory_readable": {func(t *testing.T, dir, _ string) { must(t, os.Chmod(dir, 0o755)) }, ""},
		"symlink": {func(t *testing.T, _, path string) {
			must(t, os.Rename(path, path+".moved"))
			must(t, os.Symlink(path+".moved", path))
		}, "regular"},
		"directory": {func(t *testing.T, _, path string) {
			must(t, os.Remove(path))
			must(t, os.Mkdir(path, 0o700))
		}, "regular"},
		"pipe":       {func(t *testing.T, _, path string) { must(t, os.Remove(path)); pipe(t, path) }, "regular"},
		"2_MiB":      {func(t *testing.T, _, path string) { must(t, os.Truncate(path, limit)) }, ""},
		"over_2_MiB": {func(t *testing.T, _, path string) { must(t, os.Truncate(path, limit+1)) }, "larger"},
	} {
		t.Run("KS-29/file_"+what, func(t *testing.T) {
			if runtime.GOOS == "windows" {
				t.Skip("no permission bits")
			}
			store, dir := fileStore(t)
			must(t, store.Save(t.Context(), nameA, []byte("x")))
			c.spoil(t, dir, filepath.Join(dir, nameA+".json"))
			got, err := store.Load(t.Context(), nameA)
			switch {
			case c.word == "" && err != nil:
				t.Error(err)
			case c.word != "" && (err == nil || got != nil || !strings.Contains(err.Error(), c.word)):
				t.Errorf("%d bytes, error %v, want %q", len(got), err, c.word)
			}
			if strings.HasPrefix(what, "directory_of") {
				if err := store.Save(t.Context(), nameB, []byte("x")); err == nil {
					t.Error("saved where others can write")
				}
			}
		})
	}
}

func TestFileStoreCrash(t *testing.T) {
	t.Run("F36/crash_before_the_rename", func(t *testing.T) {
		store, dir := fileStore(t)
		must(t, store.Save(t.Context(), nameA, []byte("old")))
		old := filepath.Join(dir, nameA+".123.tmp")
		young := filepath.Join(dir, nameB+".4.tmp")
		foreign := filepath.Join(dir, "notes.tmp")
		for _, path := range []string{old, young, foreign} {
			must(t, os.WriteFile(path, []byte("half of a n"), 0o600))
		}
		long := time.Now().Add(-2 * time.Minute)
		strange := filepath.Join(dir, nameB+".dir.tmp") // not made by a Save
		must(t, os.Mkdir(strange, 0o700))
		must(t, os.Chtimes(strange, long, long))
		must(t, os.Chtimes(old, long, long))
		must(t, os.Chtimes(foreign, long, long))
		another, err := jwkscache.NewFileStore(dir) // of the next process
		must(t, err)
		if got, err := another.Load(t.Context(), nameA); err != nil || string(got) != "old" {
			t.Fatalf("%q, %v", got, err)
		}
		must(t, another.Save(t.Context(), nameA, []byte("new")))
		if got, err := another.Load(t.Context(), nameA); err != nil || string(got) != "new" {
			t.Fatalf("%q, %v", got, err)
		}
		want := fmt.Sprint([]string{filepath.Base(young), filepath.Base(strange), nameA + ".json", "notes.tmp"})
		if got := fmt.Sprint(listing(t, dir)); got != want {
			t.Errorf("the directory holds %s, want %s", got, want)
		}
	})
	t.Run("F36/failed_save_leaves_nothing", func(t *testing.T) {
		store, dir := fileStore(t)
		must(t, store.Save(t.Context(), nameB, []byte("x")))
		must(t, os.Mkdir(filepath.Join(dir, nameA+".json"), 0o700)) // a rename cannot replace it
		for range 3 {
			if err := store.Save(t.Context(), nameA, []byte("x")); err == nil {
				t.Fatal("saved")
			}
		}
		if got := listing(t, dir); len(got) != 2 {
			t.Errorf("the directory holds %q", got)
		}
	})
}

// TestFileStoreShared: two processes that know nothing of each other write one file,
// while a third reads it.
func TestFileStoreShared(t *testing.T) {
	t.Run("F36/two_writers_and_a_reader", func(t *testing.T) {
		store, dir := fileStore(t)
		texts := [][]byte{bytes.Repeat([]byte("one"), 30000), bytes.Repeat([]byte("three"), 50000)}
		must(t, store.Save(t.Context(), nameA, texts[0]))
		var writers, readers sync.WaitGroup
		var stop atomic.Bool
		reading := make(chan struct{}) // else the writers may have ended before anything was read
		begun := sync.OnceFunc(func() { close(reading) })
		for _, text := range texts {
			mine, err := jwkscache.NewFileStore(dir)
			must(t, err)
			writers.Go(func() {
				<-reading
				for range 30 {
					if err := mine.Save(t.Context(), nameA, text); err != nil {
						t.Error(err)
					}
				}
			})
		}
		seen := map[int]int{}
		readers.Go(func() {
			for !stop.Load() {
				got, err := store.Load(t.Context(), nameA)
				if err != nil || !bytes.Equal(got, texts[0]) && !bytes.Equal(got, texts[1]) {
					t.Errorf("read %d bytes, %v", len(got), err)
				}
				seen[len(got)]++
				begun()
			}
		})
		writers.Wait()
		stop.Store(true)
		readers.Wait()
		if len(seen) == 0 {
			t.Error("nothing was read")
		}
		if got := listing(t, dir); len(got) != 1 {
			t.Errorf("the directory holds %q", got)
		}
	})
}

// TestFileStoreRestart is the whole way: a process, its files, and the next process.
func TestFileStoreRestart(t *testing.T) {
	store, dir := fileStore(t)
	edit := storing(store, byIssuer)
	inWorld(t, "KS-29/restart_with_files", edit, func(w *world) {
		w.keys()
		w.pass(time.Hour)
		w.down.Store(true)
		next, err := jwkscache.NewFileStore(dir)
		must(w, err)
		w.restart(storing(next, byIssuer))
		if _, err := w.verifier().Verify(w.Context(), token("one")); err != nil {
			w.Fatal(err)
		}
		w.wantCause("are used until")
	})
	inWorld(t, "F39/half_a_file", edit, func(w *world) {
		names := listing(w, dir)
		must(w, os.Truncate(filepath.Join(dir, names[0]), 200))
		w.down.Store(true)
		_, err := w.cache.Keys(w.Context(), nil)
		wantClass(w, err, verifier.ErrKeysUnavailable)
		w.wantCause("damaged")
	})
	inWorld(t, "KS-29/file_of_others", edit, func(w *world) {
		if runtime.GOOS == "windows" {
			w.Skip("no permission bits")
		}
		names := listing(w, dir)
		must(w, os.Chmod(filepath.Join(dir, names[0]), 0o666))
		w.keys()
		w.wantCause("chmod")
	})
}
