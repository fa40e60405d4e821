// SPDX-License-Identifier: Apache-2.0

package mtls_test

import (
	"testing"

	"github.com/bearerguard/bearerguard/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
