// SPDX-License-Identifier: Apache-2.0

//go:build unix

package jwkscache_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/jwkscache"
)

func TestOwner(t *testing.T) {
	for name, c := range map[string]struct {
		owner, self uint32
		want        bool
	}{
		"root_for_root":           {0, 0, true},
		"root_for_a_service":      {0, 4321, true},
		"the_service_itself":      {4321, 4321, true},
		"another_for_a_service":   {5555, 4321, false},
		"another_for_root":        {5555, 0, false},
		"largest_for_the_largest": {1<<32 - 1, 1<<32 - 1, true},
	} {
		t.Run("KS-29/owner_"+name, func(t *testing.T) {
			if got := jwkscache.Trusted(c.owner, c.self); got != c.want {
				t.Errorf("trusted: %v", got)
			}
		})
	}
}

// TestFileStoreOwner: who owns a file or a directory can write to it, whatever its
// permissions say now.
func TestFileStoreOwner(t *testing.T) {
	const stranger = 5555
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	store, dir := fileStore(t)
	path := filepath.Join(dir, nameA+".json")
	link, err := jwkscache.NewFileStore(dir + ".link")
	must(t, err)
	must(t, store.Save(t.Context(), nameA, []byte("x")))
	must(t, os.Symlink(dir, dir+".link"))
	must(t, os.Lchown(dir+".link", stranger, stranger)) // the directory counts, not the link
	if _, err := link.Load(t.Context(), nameA); err != nil {
		t.Fatal(err)
	}
	refuses := func(t *testing.T, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "belongs to another user: run chown") {
			t.Errorf("error %v", err)
		}
	}
	t.Run("KS-29/file_of_another_user", func(t *testing.T) {
		must(t, os.Chown(path, stranger, 0))
		_, err := store.Load(t.Context(), nameA)
		refuses(t, err)
		must(t, os.Chown(path, 0, stranger)) // the group has no say without its permission
		if _, err := store.Load(t.Context(), nameA); err != nil {
			t.Error(err)
		}
	})
	t.Run("KS-29/directory_of_another_user", func(t *testing.T) {
		must(t, os.Chown(dir, stranger, 0))
		for _, s := range []*jwkscache.FileStore{store, link} {
			_, err := s.Load(t.Context(), nameA)
			refuses(t, err)
			refuses(t, s.Save(t.Context(), nameA, []byte("y")))
		}
	})
}
