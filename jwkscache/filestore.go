// SPDX-License-Identifier: Apache-2.0

package jwkscache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

var _ SnapshotStore = (*FileStore)(nil)

const (
	nameLength = 64
	tempSuffix = ".tmp"
	tempAge    = time.Minute // far beyond the limit of a Save
	storeCalls = 16
)

// FileStore is a [SnapshotStore] of one file per name in a directory. It is safe for
// concurrent use, also by several processes: a file is replaced as a whole, and after
// a crash the old or the new one is there. 16 calls at most use the file system at a
// time, so that one that hangs does not hold a thread for each of many caches; others
// wait as long as their context allows. The zero value and nil refuse with
// [verifier.ErrConfig].
//
// The directory and the files must belong to the user of the process or to root, and
// nobody else may be able to write to them: whoever can forges tokens. This is checked.
// The directories above must be as private, which is not: whoever can write to one puts
// another in the place of the last. A directory below /tmp is not safe. Windows has no
// such permission bits; see to it that the directory is as private as that.
type FileStore struct {
	dir   string
	slots chan struct{} // a place for each call under way
	swept sync.Once     // leftovers of crashed processes were removed
}

// NewFileStore returns a store in dir, which the first Save creates with permissions
// 0700 if it is missing. It does no I/O. The error is of class [verifier.ErrConfig].
func NewFileStore(dir string) (*FileStore, error) {
	if dir == "" {
		return nil, refuse(errors.New("dir is empty: give a directory that only this application can write to"))
	}
	return &FileStore{dir: dir, slots: make(chan struct{}, storeCalls)}, nil
}

// Load returns the content of the file of name, or an error that [errors.Is]
// fs.ErrNotExist. It refuses a file over 2 MiB, one that is not a regular file, and one
// that others own or can write to.
func (s *FileStore) Load(ctx context.Context, name string) ([]byte, error) {
	if err := s.enter(ctx, name); err != nil {
		return nil, err
	}
	defer s.leave()
	if err := s.privateDir(); err != nil {
		return nil, err
	}
	path := s.path(name)
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file: remove it", path)
	}
	if err != nil {
		return nil, err
	}
	return readRegular(path, recordLimit, func(open fs.FileInfo) error { return private(path, open) })
}

// readRegular reads a file of up to limit bytes that check accepts. What counts is the
// open file: path may name another one by now.
func readRegular(path string, limit int64, check func(open fs.FileInfo) error) ([]byte, error) {
	f, err := os.OpenFile(path, openFlags, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if err := check(info); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	if err == nil {
		err = unchanged(f, info)
	}
	if err != nil {
		return nil, err
	}
	return text, nil
}

// unchanged: of a file that changes while it is read, halves of two texts could look
// like one.
func unchanged(f *os.File, before fs.FileInfo) error {
	after, err := f.Stat()
	if err == nil && (after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime())) {
		err = fmt.Errorf("%s changed while it was read", f.Name())
	}
	return err
}

func (s *FileStore) privateDir() error {
	info, err := os.Stat(s.dir)
	if err != nil {
		return err
	}
	return private(s.dir, info)
}

// private refuses what anybody else can write, or give himself the permission to: he
// could put keys there.
func private(path string, info fs.FileInfo) error {
	switch {
	case foreign(info):
		return fmt.Errorf("%s belongs to another user: run chown on it, or give a directory that is the application's own", path)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s can be written by group or others: run chmod go-w on it, or give a directory below that is the application's own", path)
	}
	return nil
}

// Save replaces the file of name.
func (s *FileStore) Save(ctx context.Context, name string, snapshot []byte) error {
	if err := s.enter(ctx, name); err != nil {
		return err
	}
	defer s.leave()
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	if err := s.privateDir(); err != nil {
		return err
	}
	temp, err := s.writeTemp(name, snapshot)
	if err != nil {
		return err
	}
	if err := s.replace(ctx, temp, s.path(name)); err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(temp)))
	}
	return nil
}

// enter begins a call, which leave ends if there was no error.
func (s *FileStore) enter(ctx context.Context, name string) error {
	if err := s.check(ctx, name); err != nil {
		return err
	}
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("too many calls of the FileStore are under way: %w", ctx.Err())
	}
}

func (s *FileStore) leave() { <-s.slots }

// check refuses names that could lead out of the directory.
func (s *FileStore) check(ctx context.Context, name string) error {
	if s == nil || s.dir == "" {
		return &verifier.Error{Class: verifier.ErrConfig, Cause: errors.New("this FileStore was not made by jwkscache.NewFileStore: call it and handle its error")}
	}
	if len(name) != nameLength || strings.Trim(name, "0123456789abcdef") != "" {
		return errors.New("the name of a snapshot is 64 lower-case hexadecimal digits")
	}
	return ctx.Err()
}

func (s *FileStore) path(name string) string { return filepath.Join(s.dir, name+".json") }

// writeTemp writes a file beside the one it is to replace, since a rename is atomic
// only within one file system, and returns its path. It is on disk before that rename
// is: else a crash could leave an empty file under the final name.
func (s *FileStore) writeTemp(name string, snapshot []byte) (path string, err error) {
	f, err := os.CreateTemp(s.dir, name+".*"+tempSuffix) // 0600
	if err != nil {
		return "", err
	}
	if info, err := f.Stat(); err == nil {
		s.swept.Do(func() { s.sweep(info.ModTime().Add(-tempAge)) })
	}
	_, err = f.Write(snapshot)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// replace gives up if the caller has: it may have gone on with something newer.
func (s *FileStore) replace(ctx context.Context, temp, path string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	// A directory that cannot be opened or synced, as on Windows, is no failure: the file
	// is in place, and only after a crash the old one could be there again.
	if dir, err := os.Open(s.dir); err == nil {
		_ = dir.Sync()
		_ = dir.Close()
	}
	return nil
}

// sweep removes what processes left that ended between write and rename. Ages are
// compared by the clock of the file system alone. A failure is not worth a report: it
// shows in the next Save, or does no harm.
func (s *FileStore) sweep(before time.Time) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		name, _, ok := strings.Cut(e.Name(), ".")
		if !ok || s.check(context.Background(), name) != nil || !strings.HasSuffix(e.Name(), tempSuffix) {
			continue
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && info.ModTime().Before(before) {
			_ = os.Remove(filepath.Join(s.dir, e.Name()))
		}
	}
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
