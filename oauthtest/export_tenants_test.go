// SPDX-License-Identifier: Apache-2.0

package oauthtest

// UserClaims are those of the first user.
func UserClaims(s *Server) map[string]any { return s.cfg.Users[0].Claims }
