// SPDX-License-Identifier: Apache-2.0

package providers

import (
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/verifier"
)

// Google is for ID tokens of Google service accounts, as one service sends them to
// another (Cloud Run, Cloud Scheduler, Pub/Sub push). serviceAccounts lists the e-mail
// addresses of the accounts that may call. Required: anyone with a Google Cloud
// project can have a token for any audience, so that the audience alone proves
// nothing about the caller. Options.Audience is what the callers ask for, usually the
// URL of this service.
//
// Departures from RFC 9068: typ is JWT, the client is in azp, and there is no jti.
// These are ID tokens; the claims email, which must be one of serviceAccounts, and
// email_verified, which must be true, are what tells the caller. There are no scopes.
//
// See https://cloud.google.com/run/docs/authenticating/service-to-service.
func Google(serviceAccounts []string, o Options) (verifier.Config, error) {
	p := preset{function: "Google"}
	p.accounts(serviceAccounts)
	p.needAudience(o, "the audience that the callers ask for, usually the URL of this service")
	const issuer = "https://accounts.google.com"
	return p.config(verifier.Config{
		Issuer:         issuer,
		TokenTypes:     []string{"JWT"},
		OptionalClaims: []string{"jti"},
		Mapping:        verifier.Mapping{ClientID: verifier.ClaimPath{"azp"}},
		RequiredClaims: []verifier.RequiredClaim{
			{Path: verifier.ClaimPath{"email"}, Values: slices.Clone(serviceAccounts)},
			{Path: verifier.ClaimPath{"email_verified"}},
		},
	}, discovered(issuer), o)
}

// accounts checks the e-mail addresses of service accounts, whose domains are
// Google's own.
func (p *preset) accounts(list []string) {
	if len(list) == 0 {
		p.fault("serviceAccounts is empty: list the e-mail addresses of the service accounts that may call, since anyone can have a token for any audience")
	}
	for _, email := range list {
		name, host, _ := strings.Cut(email, "@")
		if !only(name, "-._") || !hostName(host) || !strings.HasSuffix(host, ".gserviceaccount.com") || !lower(email) {
			p.fault("serviceAccounts holds %q, which is not the e-mail address of a service account in lower case: give it as name@project.iam.gserviceaccount.com", email)
		}
	}
}

// GitHubActions is for the OIDC tokens of GitHub Actions workflows. owners lists the
// organizations and users whose repositories may call, spelled as GitHub does, upper
// and lower case included. Required: every workflow of every repository can have a
// token for any audience. Options.Audience is what the workflows ask for; choose the
// URL of this API, not the default of GitHub, which other services accept, too.
//
// Departures from RFC 9068: typ is JWT, and there is no client_id. There are no scopes.
// The owner is rarely enough: append to RequiredClaims of the result what else must
// hold, such as repository, ref, environment, job_workflow_ref, or sub, which names
// several of them; and repository_owner_id, which is not given to others as a name
// can be.
//
// See https://docs.github.com/en/actions/reference/security/oidc.
func GitHubActions(owners []string, o Options) (verifier.Config, error) {
	p := preset{function: "GitHubActions"}
	if len(owners) == 0 {
		p.fault("owners is empty: list the owners of the repositories that may call, since every workflow can have a token for any audience")
	}
	for _, owner := range owners {
		if !only(owner, "-_") {
			p.fault("owners holds %q, which is not the name of an organization or user: give the name alone; append to RequiredClaims to name a repository", owner)
		}
	}
	p.needAudience(o, "the audience that the workflows ask for, such as the URL of this API")
	const issuer = "https://token.actions.githubusercontent.com"
	return p.config(verifier.Config{
		Issuer:         issuer,
		TokenTypes:     []string{"JWT"},
		OptionalClaims: []string{"client_id"},
		RequiredClaims: []verifier.RequiredClaim{
			{Path: verifier.ClaimPath{"repository_owner"}, Values: slices.Clone(owners)},
		},
	}, discovered(issuer), o)
}
