// SPDX-License-Identifier: Apache-2.0

// The quickstart shows a protected API and what it answers: an authorization
// server for tests issues real tokens over real HTTP, and the same API stands
// behind net/http, Echo and Gin. Everything listens on loopback only.
//
//	go run ./examples/quickstart          # prints a table, then serves until interrupted
//	go run ./examples/quickstart -once    # prints the table; exit code 1 if an answer was not the expected one
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/bearerguard/bearerguard/jwkscache"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/oauthtest"
	"github.com/bearerguard/bearerguard/verifier"
)

const (
	thisAPI  = "https://orders.example"  // the audience that our tokens must name
	otherAPI = "https://billing.example" // another API of the same authorization server

	clientID     = "orders-app"
	clientSecret = "quickstart-secret"

	// cooldown is how long the key cache waits before it asks the issuer again about
	// a key it does not know. The default of 30 s would make a demonstration dull.
	cooldown = time.Second
)

func main() {
	once := flag.Bool("once", false, "end after the table")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, *once)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, once bool) error {
	// In real life this is your identity provider, and not part of your program.
	as, err := oauthtest.Listen(oauthtest.Config{
		Audience: []string{thisAPI, otherAPI},
		Clients:  []oauthtest.Client{{ID: clientID, Secret: clientSecret}},
	})
	if err != nil {
		return err
	}
	defer as.Close()

	log := &lastDecision{}
	keys, guard, err := protect(as.Issuer(), log.record)
	if err != nil {
		return err
	}
	defer keys.Close()

	apis, stop, err := startAPIs(guard)
	defer stop()
	if err != nil {
		return err
	}
	if err := show(ctx, out, as, apis, log); err != nil || once {
		return err
	}
	printCurl(out, as.Issuer(), apis)
	<-ctx.Done()
	return nil
}

// protect makes what an API needs: keys of the issuer, a verifier, and a guard.
func protect(issuer string, onEvent func(verifier.Event)) (*jwkscache.Cache, *middleware.Guard, error) {
	keys, err := jwkscache.New(jwkscache.Config{
		Issuer:             issuer,
		InsecureHosts:      []string{"loopback"}, // plain http, for this machine only
		UnknownKeyCooldown: cooldown,
	})
	if err != nil {
		return nil, nil, err
	}
	v, err := verifier.New(verifier.Config{
		Issuer:   issuer,
		Audience: []string{thisAPI},
		Keys:     keys,
		OnEvent:  onEvent, // verifier.LogEvents(slog.Default()) in real life
	})
	if err != nil {
		keys.Close()
		return nil, nil, err
	}
	guard, err := middleware.New(middleware.Config{Verifier: v, OnEvent: onEvent})
	if err != nil {
		keys.Close()
	}
	return keys, guard, err
}
