// SPDX-License-Identifier: Apache-2.0

package oauthtest

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"time"
)

// refusalLimit is for the rest of a refusal: no page is as long.
const refusalLimit = 4 << 20

// endless is errCut where a refusal goes on and on: not all handlers that run behind one
// pause.
func endless(rest io.Reader) error {
	if n, err := io.CopyN(io.Discard, rest, refusalLimit); n < refusalLimit && errors.Is(err, io.EOF) {
		return nil
	}
	return errCut
}

var errCut = errors.New("the rest of the body was not waited for")

// bodyTime is how long a body is waited for once the header is there: that of a refusal
// should have an end, any other may be a stream.
func (r routeReply) bodyTime() time.Duration {
	kind, _, _ := mime.ParseMediaType(r.header.Get("Content-Type"))
	switch {
	case r.status == http.StatusUnauthorized:
		return askedTime
	case r.status == http.StatusSwitchingProtocols || kind == "text/event-stream":
		return 0
	}
	return askedBegin
}
