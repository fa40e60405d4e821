// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

// twice serves every request two times and answers with the second answer: by then
// the token has been seen before. At the end t fails for requests whose two answers
// differed, in status or in challenges.
func twice(t testing.TB, h http.Handler) http.Handler {
	s := &sentTwice{h: h}
	t.Cleanup(func() {
		if s.served < 1000 {
			t.Errorf("only %d requests were served twice", s.served)
		}
		for _, line := range s.differ {
			t.Error(line)
		}
	})
	return s
}

type sentTwice struct {
	h http.Handler

	mu     sync.Mutex
	served int
	differ []string
}

func (s *sentTwice) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	again := func() *http.Request {
		c := r.Clone(r.Context())
		c.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
		return c
	}
	first := httptest.NewRecorder()
	s.h.ServeHTTP(first, again())
	second := &watchedWriter{ResponseWriter: w, status: http.StatusOK}
	s.h.ServeHTTP(second, again())
	s.compare(r, first, second)
}

// failing is the end of a body: err, or io.EOF if that is nil.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

func (s *sentTwice) compare(r *http.Request, first *httptest.ResponseRecorder, second *watchedWriter) {
	const challenge = "WWW-Authenticate"
	a, b := first.Header().Values(challenge), second.Header().Values(challenge)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.served++
	if first.Code != second.status || !slices.Equal(a, b) {
		s.differ = append(s.differ, fmt.Sprintf("%s: first %d %q, then %d %q", r.Method, first.Code, a, second.status, b))
	}
}

// watchedWriter notes the status.
type watchedWriter struct {
	http.ResponseWriter
	status int
}

func (w *watchedWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *watchedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// TestTwiceNotices shows that the comparison can fail.
func TestTwiceNotices(t *testing.T) {
	calls := 0
	s := &sentTwice{h: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls++; calls%2 == 0 {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})}
	s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	challenged := 0
	s.h = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		challenged++
		w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer error=%q", fmt.Sprint(challenged)))
		w.WriteHeader(http.StatusUnauthorized)
	})
	s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	s.h = http.NotFoundHandler()
	s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if len(s.differ) != 2 || s.served != 3 {
		t.Errorf("%d differences in %d requests: %q", len(s.differ), s.served, s.differ)
	}
}
