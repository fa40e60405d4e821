// SPDX-License-Identifier: Apache-2.0

// Package middleware decides about HTTP requests: a [Guard] takes the access token
// from the request, has it verified, and puts it into the request context or
// answers with the status and challenge of RFC 6750. The adapters nethttp, echov4
// and ginv1 fit it to a framework; they decide nothing themselves.
//
// Give all rules of a route in one call of Require: they are then answered
// together, in a fixed order. Nested guards run outermost first, and each answers
// for its own rules only; its challenge also lists the scopes met outside of it,
// and cannot list those asked for further inside. A token is verified once however
// many guards made from one Guard value a request passes within 5 seconds.
//
// A guarded route treats HEAD and OPTIONS like any other method. net/http sends
// HEAD to the handler for GET; Echo and Gin need HEAD registered. Put the CORS layer
// outside the Guard, so that it answers preflights, which carry no credentials, and
// adds its headers to refusals, too; where that is not possible, set
// [Config.Preflight], and see to it that OPTIONS reaches the Guard: a route for GET
// alone does not pass it on.
//
// Every request is judged on its own. A long-lived stream or WebSocket is judged
// when it opens; Token.ExpiresAt tells the handler when to end it.
//
// Only the Authorization header is read, one line of it, scheme Bearer. A Guard
// never reads the query, the body, cookies or any other header for a token.
package middleware
