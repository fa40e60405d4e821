// SPDX-License-Identifier: Apache-2.0

package jwkscache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"
)

const (
	recordVersion = 1
	recordLimit   = 2 << 20 // more than the keys of any set, however many of its signs are escaped
)

// SnapshotStore keeps the last good key set of a [Cache] beyond the life of the
// process, so that one that starts while the issuer is down can serve. One store can
// serve many caches, also of other processes: it must be safe for concurrent use. Share
// it only among processes for which addresses mean the same hosts: in another network
// the same URL can be another issuer's. Each cache has one call under way at most,
// which it stops waiting for after 5 s.
//
// A snapshot holds public keys and their times. It carries a digest that finds damage,
// but no proof of who wrote it: whoever can write to the store can forge tokens until
// the issuer answers.
//
// Snapshots are never deleted: one stays for each source that there ever was. An issuer
// that withdraws its last key cannot be told from one that is broken, so that also a
// process that starts anew uses the stored keys for Config.MaxStale: remove the
// snapshot, too, if they are to end at once.
type SnapshotStore interface {
	// Load returns what Save was last given for name. If there is none it returns nil
	// and nil, or an error that [errors.Is] fs.ErrNotExist.
	Load(ctx context.Context, name string) ([]byte, error)
	// Save replaces what is stored for name as a whole: a Load never sees a part of it.
	// name stands for an issuer and an address: 64 lower-case hexadecimal digits.
	Save(ctx context.Context, name string, snapshot []byte) error
}

// record is the stored form of a key set. The set is a text in a text, so that it is
// read by the same strict reader as a fetched one.
type record struct {
	Version    int       `json:"version"`
	Source     string    `json:"source"`
	Issuer     string    `json:"issuer,omitempty"`
	JWKSURI    string    `json:"jwks_uri,omitempty"`
	Discovered time.Time `json:"discovered,omitzero"` // when the metadata was fetched
	Fetched    time.Time `json:"fetched"`
	FreshUntil time.Time `json:"fresh_until"`
	KeySet     string    `json:"key_set"`
	SHA256     string    `json:"sha256"`
}

// sourceName binds a record to the issuer and the configured address, of which it
// shows nothing: a query can hold a secret. Neither can hold a line break.
func (s *settings) sourceName() string {
	sum := sha256.Sum256([]byte("bearerguard key set\n" + s.issuer + "\n" + s.url))
	return hex.EncodeToString(sum[:])
}

// encode returns the only text of r that decodeRecord accepts.
func (r record) encode() ([]byte, error) {
	r.SHA256 = ""
	text, err := r.marshal()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	r.SHA256 = hex.EncodeToString(sum[:])
	return r.marshal()
}

func (r record) marshal() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // it would make six bytes of one
	if err := e.Encode(r); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// decodeRecord accepts what encode made, to the byte: the digest is part of that, and
// no leniency of the JSON reader remains.
func decodeRecord(text []byte) (record, error) {
	if len(text) > recordLimit {
		return record{}, errors.New("the snapshot is too large")
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return record{}, errors.New("the snapshot is damaged: not the JSON object that was stored")
	}
	if r.Version != recordVersion {
		return record{}, errors.New("the snapshot has another format version")
	}
	if again, err := r.encode(); err != nil || !bytes.Equal(again, text) {
		return record{}, errors.New("the snapshot is damaged: its digest differs")
	}
	return r, nil
}
