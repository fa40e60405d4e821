// SPDX-License-Identifier: Apache-2.0

package leaktest

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if os.Getenv("LEAKTEST_LEAK") != "" {
		grace = 0 // the leak is certain: no need to wait for it
	}
	Main(m)
}
