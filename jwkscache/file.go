// SPDX-License-Identifier: Apache-2.0

package jwkscache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

const (
	fileEvery    = 10 * time.Second // how often a file in use is looked at
	fileFresh    = 30 * time.Second // after a pause that is shorter, nobody waits for that
	fileCooldown = time.Second      // a look is cheap
	fileSettled  = 2 * time.Second  // two changes so close may bear the same time
)

// checkFile refuses what is set beside File without a meaning.
func (cfg Config) checkFile(f *faults, s *settings) {
	if cfg.File == "" {
		return
	}
	s.cooldown = fileCooldown
	for _, other := range []struct {
		name string
		set  bool
	}{
		{"Issuer", cfg.Issuer != ""},
		{"URL", cfg.URL != ""},
		{"InsecureHosts", len(cfg.InsecureHosts) > 0},
		{"HTTPClient", cfg.HTTPClient != nil},
		{"UnknownKeyCooldown", cfg.UnknownKeyCooldown != 0},
		{"Snapshots", s.snapshots != nil},
	} {
		if other.set {
			f.add("File is set together with %s: remove %s, or File", other.name, other.name)
		}
	}
}

// refreshFile is the attempt of a source that is a file: a look at it, and a read if
// it is another one or has changed.
func (a *attempt) refreshFile(ctx context.Context) error {
	var text []byte
	var seen fs.FileInfo
	now := time.Now()
	err := a.calls.call(ctx, "the file system", func(context.Context) (err error) {
		text, seen, err = a.readFile()
		return err
	})
	if err != nil {
		return err
	}
	if seen != nil {
		if err := a.acceptFile(text); err != nil {
			return err
		}
		a.keys.file = settled(seen, now)
	}
	if a.keys.set != a.old.keys.set || a.old.failure != nil {
		a.note(verifier.EventFetched, nil, nil)
	}
	a.keys.fetched = now
	a.keys.freshUntil = now.Add(fileFresh)
	a.keys.usableUntil = a.keys.freshUntil.Add(a.maxStale)
	return nil
}

// readFile returns the text and what was seen of the file before; no file info if it
// has not changed. It follows links, by which mounted volumes are swapped.
func (a *attempt) readFile() ([]byte, fs.FileInfo, error) {
	info, err := os.Stat(a.file)
	switch {
	case err != nil:
		return nil, nil, err
	case !info.Mode().IsRegular():
		return nil, nil, fmt.Errorf("%s is not a regular file", a.file)
	case a.keys.file != nil && same(a.keys.file, info):
		return nil, nil, nil
	}
	text, err := readRegular(a.file, keySetLimit, func(fs.FileInfo) error { return nil })
	if err != nil {
		return nil, nil, err
	}
	// Of a file that changes while it is read, halves of two key sets could look like one.
	after, err := os.Stat(a.file)
	if err == nil && !same(info, after) {
		err = fmt.Errorf("%s changed while it was read", a.file)
	}
	if err != nil {
		return nil, nil, err
	}
	return text, info, nil
}

// settled returns what a later look is compared with, or nil, so that the file is read
// again: it was read so soon after a change that another one, within the same tick of
// the file system's clock, would not show.
func settled(info fs.FileInfo, read time.Time) fs.FileInfo {
	if info.ModTime().Add(fileSettled).Before(read) {
		return info
	}
	return nil
}

func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// acceptFile takes a text as the new set. The application configured it itself: there
// is no issuer to tell of private keys, only a file to correct, and a key without kid
// serves any (KS-19, KS-22).
func (a *attempt) acceptFile(text []byte) error {
	digest := sha256.Sum256(text)
	if a.keys.set != nil && digest == a.keys.digest {
		return nil
	}
	set, skipped, err := localSet(text)
	if err != nil {
		return fmt.Errorf("%s: %w", a.file, err)
	}
	for _, note := range skipped {
		a.note(verifier.EventKeySkipped, nil, note)
	}
	if set, err = a.narrow(set); err != nil {
		return err
	}
	if set.Len() == 0 {
		return fmt.Errorf("%s: no key is left by Config.Select", a.file)
	}
	a.keys.set, a.keys.digest = set, digest
	return nil
}

// localSet reads a key set, or one public key in PEM form.
func localSet(text []byte) (*verifier.KeySet, []error, error) {
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("-----BEGIN ")) {
		var err error
		if text, err = setOfPEM(text); err != nil {
			return nil, nil, err
		}
	}
	set, skipped, err := verifier.ParseKeySet(text)
	if err != nil {
		return nil, nil, err
	}
	for _, note := range skipped {
		if errors.Is(note, verifier.ErrPrivateKey) {
			return nil, nil, fmt.Errorf("%w: give only the public members", note)
		}
	}
	if set.Len() == 0 {
		return nil, nil, errors.Join(append(skipped, errors.New("no usable key: give at least one public key"))...)
	}
	return set.Local(), skipped, nil
}
