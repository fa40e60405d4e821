// SPDX-License-Identifier: Apache-2.0

// Package oauthtest is the test kit: an authorization server for tests of APIs
// that bearerguard protects. It serves real metadata (RFC 8414, OpenID Connect
// Discovery 1.0) and a real key set, signs the tokens a test asks for, and has a
// token endpoint for the client credentials grant (RFC 6749 §4.4).
//
// [NewServer] keeps the server in memory, so that it also runs inside a
// testing/synctest bubble; [Listen] serves on a loopback address, for examples
// and for tests of programs. Its keys are thrown away and its clients' secrets
// are public: it is no authorization server for anything but tests.
package oauthtest
