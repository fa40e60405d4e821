// SPDX-License-Identifier: Apache-2.0

package providers_test

import (
	"fmt"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/providers"
	"github.com/bearerguard/bearerguard/verifier"
)

// The permissions of role-based access control take the place of the scopes.
func ExampleAuth0() {
	cfg, err := providers.Auth0("example.eu.auth0.com", providers.Options{
		Audience: []string{"https://api.example.com"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg.Mapping.Scopes = verifier.ClaimPath{"permissions"}
	v, err := verifier.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()
	fmt.Println(cfg.Issuer, cfg.Mapping.Scopes)
	// Output: https://example.eu.auth0.com/ [permissions]
}

func ExampleOkta() {
	cfg, err := providers.Okta("https://example.okta.com/oauth2/default", providers.Options{
		Audience: []string{"api://orders"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := verifier.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()
	fmt.Println(cfg.Issuer, cfg.Mapping.Scopes)
	// Output: https://example.okta.com/oauth2/default [scp]
}

func ExampleEntra() {
	cfg, err := providers.Entra("11111111-1111-4111-8111-111111111111", providers.Options{
		Audience: []string{"33333333-3333-4333-8333-333333333333"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := verifier.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()
	fmt.Println(cfg.Issuer)
	// Output: https://login.microsoftonline.com/11111111-1111-4111-8111-111111111111/v2.0
}

func ExampleEntraV1() {
	cfg, err := providers.EntraV1("11111111-1111-4111-8111-111111111111", providers.Options{
		Audience: []string{"api://33333333-3333-4333-8333-333333333333"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := verifier.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()
	fmt.Println(cfg.Issuer)
	// Output: https://sts.windows.net/11111111-1111-4111-8111-111111111111/
}

// The list of customers is the application's own; here it is a map.
func ExampleEntraTenants() {
	customers := map[string]bool{"11111111-1111-4111-8111-111111111111": true}
	cfg, err := providers.EntraTenants(func(tenantID string) bool { return customers[tenantID] }, providers.Options{
		Audience: []string{"33333333-3333-4333-8333-333333333333"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := verifier.NewTenants(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()
	fmt.Println(cfg.Accept("https://login.microsoftonline.com/11111111-1111-4111-8111-111111111111/v2.0"),
		cfg.Accept("https://login.microsoftonline.com/22222222-2222-4222-8222-222222222222/v2.0"))
	// Output: true false
}

func ExampleCognito() {
	cfg, err := providers.Cognito("eu-central-1", "eu-central-1_Example01", providers.Options{
		Clients: []string{"exampleappclient0001"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := verifier.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()
	fmt.Println(cfg.Issuer, cfg.Clients)
	// Output: https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Example01 [exampleappclient0001]
}

// The roles that the client orders-api defines become Token.Entitlements.
func ExampleKeycloak() {
	cfg, err := providers.Keycloak("https://id.example.com/realms/main", "orders-api", providers.Options{
		Audience: []string{"orders-api"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := verifier.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()
	fmt.Println(cfg.Mapping.Roles, cfg.Mapping.Entitlements)
	// Output: [realm_access roles] [resource_access orders-api roles]
}

// Only the listed account may call.
func ExampleGoogle() {
	cfg, err := providers.Google([]string{"shop@example-project.iam.gserviceaccount.com"}, providers.Options{
		Audience: []string{"https://orders-example.a.run.app"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := verifier.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()
	fmt.Println(cfg.RequiredClaims[0].Path, cfg.RequiredClaims[0].Values)
	// Output: [email] [shop@example-project.iam.gserviceaccount.com]
}

// Beside the owner, the environment that a job was approved for is required.
func ExampleGitHubActions() {
	cfg, err := providers.GitHubActions([]string{"example-org"}, providers.Options{
		Audience: []string{"https://api.example.com"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg.RequiredClaims = append(cfg.RequiredClaims,
		verifier.RequiredClaim{Path: verifier.ClaimPath{"repository"}, Values: []string{"example-org/shop"}},
		verifier.RequiredClaim{Path: verifier.ClaimPath{"environment"}, Values: []string{"production"}},
	)
	v, err := verifier.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()
	fmt.Println(len(cfg.RequiredClaims))
	// Output: 3
}

// A pod of the cluster needs no more than this; it accepts one namespace.
func ExampleKubernetes() {
	cfg, err := providers.Kubernetes("https://kubernetes.default.svc.cluster.local", providers.Cluster{}, providers.Options{
		Audience: []string{"https://orders.shop.svc"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg.RequiredClaims = append(cfg.RequiredClaims, verifier.RequiredClaim{
		Path:   verifier.ClaimPath{"kubernetes.io", "namespace"},
		Values: []string{"shop"},
	})
	v, err := verifier.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()
	fmt.Println(cfg.Issuer)
	// Output: https://kubernetes.default.svc.cluster.local
}

func ExampleFirebase() {
	cfg, err := providers.Firebase("example-project-1", providers.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := verifier.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()
	fmt.Println(cfg.Issuer, cfg.Audience)
	// Output: https://securetoken.google.com/example-project-1 [example-project-1]
}

// The audience is the ID of the project.
func ExampleZitadel() {
	cfg, err := providers.Zitadel("https://example.zitadel.cloud", providers.Options{
		Audience: []string{"300000000000000003"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := verifier.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()
	fmt.Println(cfg.Issuer)
	// Output: https://example.zitadel.cloud
}

// The clients do not ask for an audience here.
func ExampleHydra() {
	cfg, err := providers.Hydra("https://auth.example.com/", providers.Options{
		Clients: []string{"00000000-0000-4000-8000-0000000000c1"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := verifier.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()
	fmt.Println(cfg.Profile == verifier.ProfileJWT, cfg.Mapping.Scopes)
	// Output: true [scp]
}

// A key source with settings of its own, and what is wrong with the inputs, all at
// once.
func ExampleOptions() {
	_, err := providers.Cognito("eu-central-1", "Example01", providers.Options{
		Audience: []string{"https://api.example.com"},
		Keys:     jwkscache.Config{MaxStale: 8 * time.Hour},
	})
	fmt.Println(err)
	// Output:
	// configuration error: providers.Cognito: userPoolID is not the ID of a user pool of the region: give it as eu-central-1_AbCdEfGhI
	// providers.Cognito: Options.Clients is empty: set it to the app clients that may call this API, since these tokens name no API
	// providers.Cognito: Options.Audience is set, but these tokens have no aud: set Clients and leave Audience empty
}
