// SPDX-License-Identifier: Apache-2.0

package jwkscache

import (
	"net/http"

	"github.com/bearerguard/bearerguard/internal/fetch"
)

// SetClient lets a cache with Config.PublicOnly reach a network in memory, which has
// no addresses: all but the guard of its connections stays in place.
func SetClient(c *Cache, client *http.Client) { c.client = fetch.NewClient(client) }
