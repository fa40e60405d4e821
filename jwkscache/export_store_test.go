// SPDX-License-Identifier: Apache-2.0

package jwkscache

import "encoding/json"

// Record is the stored form of a key set.
type Record = record

// EditRecord changes a stored key set and gives it the digest that fits.
func EditRecord(text []byte, edit func(*Record)) []byte {
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		panic(err)
	}
	edit(&r)
	text, err := r.encode()
	if err != nil {
		panic(err)
	}
	return text
}

// ReadRegular reads a file as sources and stores do.
var ReadRegular = readRegular

// Occupy puts n more calls of s under way, until end is called for each.
func Occupy(s *FileStore, n int) (end func()) {
	for range n {
		s.slots <- struct{}{}
	}
	return s.leave
}
