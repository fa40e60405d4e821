// SPDX-License-Identifier: Apache-2.0

package jwkscache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/bearerguard/bearerguard/verifier"
)

const (
	fileEvery    = 10 * time.Second // how often a file in use is read
	fileFresh    = 30 * time.Second // after a pause that is shorter, nobody waits for that
	fileCooldown = time.Second      // to read it is cheap
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

// refreshFile is the attempt of a source that is a file. It is read each time: size,
// time and identity can be those of another text. Links are followed, by which mounted
// volumes are swapped.
func (a *attempt) refreshFile(ctx context.Context) error {
	var text []byte
	now := time.Now()
	err := a.calls.call(ctx, "the file system", func(context.Context) (err error) {
		text, err = readRegular(a.file, keySetLimit, func(fs.FileInfo) error { return nil })
		return err
	})
	if err != nil {
		return err
	}
	if err := a.acceptFile(text); err != nil {
		return err
	}
	if a.keys.set != a.old.keys.set || a.old.failure != nil {
		a.note(verifier.EventFetched, nil, nil)
	}
	a.keys.fetched = now
	a.keys.freshUntil = now.Add(fileFresh)
	a.keys.usableUntil = a.keys.freshUntil.Add(a.maxStale)
	return nil
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
	doc, err := setOfText(text)
	if err != nil {
		return nil, nil, err
	}
	set, skipped, err := verifier.ParseKeySet(doc)
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

var beginsPEM = []byte("-----BEGIN ")

// setOfText tells the two forms apart by how they begin.
func setOfText(text []byte) ([]byte, error) {
	start := bytes.TrimSpace(text)
	switch {
	case bytes.HasPrefix(start, []byte("{")):
		return text, nil
	case bytes.HasPrefix(start, beginsPEM):
		return setOfPEM(text)
	case bytes.HasPrefix(start, []byte("\ufeff")):
		return nil, errors.New("begins with a byte order mark: save it as UTF-8 without one")
	case bytes.Contains(start, beginsPEM):
		return nil, errors.New("something stands before the PEM block: give one PUBLIC KEY block alone, without a comment")
	}
	return nil, errors.New("neither a JWK Set nor PEM: give a JSON object with an array \"keys\", or one PUBLIC KEY block")
}
