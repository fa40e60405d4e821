// SPDX-License-Identifier: Apache-2.0

package oauthtest

// Endpoint names one endpoint of the server, for its faults and for the requests
// that it recorded.
type Endpoint string

// The endpoints.
const (
	EndpointMetadata      Endpoint = "metadata"             // RFC 8414 §3, OpenID Connect Discovery 1.0 §4
	EndpointKeySet        Endpoint = "key set"              // RFC 7517 §5
	EndpointAuthorization Endpoint = "authorization"        // RFC 6749 §3.1
	EndpointToken         Endpoint = "token"                // RFC 6749 §3.2
	EndpointIntrospection Endpoint = "introspection"        // RFC 7662 §2
	EndpointRevocation    Endpoint = "revocation"           // RFC 7009 §2
	EndpointUserinfo      Endpoint = "userinfo"             // OpenID Connect Core 1.0 §5.3
	EndpointDevice        Endpoint = "device authorization" // RFC 8628 §3.1
	EndpointDevicePage    Endpoint = "device page"          // RFC 8628 §3.3
)
