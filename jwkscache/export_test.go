// SPDX-License-Identifier: Apache-2.0

package jwkscache

// SetRandom makes the waits of c repeatable. random draws from 0 to n-1. Call it
// before the first use of c.
func SetRandom(c *Cache, random func(n uint64) uint64) { c.random = random }
