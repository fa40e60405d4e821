// SPDX-License-Identifier: Apache-2.0

// Package oauthtest is the test kit: everything it takes to test an API that is
// protected by access tokens.
//
// [NewServer] and [Listen] are an authorization server with real metadata, keys,
// endpoints and grants, which can also misbehave. It runs in memory, inside a
// testing/synctest bubble if need be, or on a loopback address. [Server.Token] makes
// good tokens, and bad ones by edits; [Server.Hostile] makes every bad token of the
// attack catalogue.
//
// [Attack] fires that catalogue at a route of your own handler, [AttackURL] at a running
// server; [CheckRoutes] and [CheckPaths] find routes that no guard covers. [Principal]
// and [Identify] test a handler without any token. [TestKeySource] and
// [TestTokenVerifier] check implementations of your own. docs/testing.md is the guide.
//
// The keys of the server are thrown away and its clients' secrets are public: it is no
// authorization server for anything but tests.
package oauthtest
