// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/bearerguard/bearerguard/internal/leaktest"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	leaktest.Main(m)
}
