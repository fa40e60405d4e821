// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
)

const (
	issuerName = "https://login.example.com"
	thisAPI    = "https://api.example.com"
	scopeAsked = "orders:read"
	lifetime   = 12 * time.Hour // more than any pass takes
)

// sizes are the lengths of tokens, in bytes; a token differs by 3 % at most.
var sizes = []int{900, 4096}

// claimSet is the payload of an access token (RFC 9068 §2.2) with some claims more,
// as issuers send them; Tenant and Permissions are private ones.
type claimSet struct {
	Issuer       string   `json:"iss"`
	Audience     []string `json:"aud"`
	Subject      string   `json:"sub"`
	ClientID     string   `json:"client_id"`
	IssuedAt     int64    `json:"iat"`
	NotBefore    int64    `json:"nbf"`
	Expiry       int64    `json:"exp"`
	ID           string   `json:"jti"`
	Scope        string   `json:"scope"`
	ACR          string   `json:"acr"`
	AuthTime     int64    `json:"auth_time"`
	Roles        []string `json:"roles"`
	Tenant       string   `json:"tenant"`
	Groups       []string `json:"groups,omitempty"`
	Entitlements []string `json:"entitlements,omitempty"`
	Permissions  []string `json:"permissions,omitempty"`
}

// goodClaims are those of the n-th token: each has its own subject and jti.
func goodClaims(n int, now time.Time) claimSet {
	return claimSet{
		Issuer:    issuerName,
		Audience:  []string{thisAPI, issuerName + "/userinfo"},
		Subject:   fmt.Sprintf("%012d", 248_289_760_000+n),
		ClientID:  "s6BhdRkqt3",
		IssuedAt:  now.Unix(),
		NotBefore: now.Unix(),
		Expiry:    now.Add(lifetime).Unix(),
		ID:        fmt.Sprintf("4f1c%012x", n),
		Scope:     "openid profile email orders:read orders:write",
		ACR:       "2",
		AuthTime:  now.Add(-time.Minute).Unix(),
		Roles:     []string{"clerk", "auditor"},
		Tenant:    "acme",
	}
}

// grow adds groups, entitlements and permissions until a token of c, with frame
// bytes beside the payload, is as near to size as one more of them allows.
func (c *claimSet) grow(size, frame int) error {
	for i := 0; ; i++ {
		before, err := c.encodedLen()
		if err != nil {
			return err
		}
		larger := *c
		larger.add(i)
		after, err := larger.encodedLen()
		if err != nil {
			return err
		}
		if frame+after-size > size-frame-before {
			return nil
		}
		*c = larger
	}
}

func (c *claimSet) add(i int) {
	switch i % 3 {
	case 0:
		c.Groups = append(c.Groups, fmt.Sprintf("team-%02d", i))
	case 1:
		c.Entitlements = append(c.Entitlements, fmt.Sprintf("emea:%02d", i))
	case 2:
		c.Permissions = append(c.Permissions, fmt.Sprintf("invoices.export.%02d", i))
	}
}

// encodedLen is the length of the second segment of a token of c.
func (c *claimSet) encodedLen() (int, error) {
	payload, err := json.Marshal(c)
	return base64.RawURLEncoding.EncodedLen(len(payload)), err
}
