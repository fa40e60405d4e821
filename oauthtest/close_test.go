// SPDX-License-Identifier: Apache-2.0

package oauthtest

import "testing"

// TestCloseWaits: a server that is closed before it ever came to serve would else
// leave its goroutine and its listener behind for a while.
func TestCloseWaits(t *testing.T) {
	t.Run("TA-01/closes_cleanly", func(t *testing.T) {
		for range 200 {
			s, err := Listen(Config{Algorithm: "ES256"})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-s.host.served:
			default:
				t.Fatal("Close returned while Serve was running")
			}
		}
	})
}
