// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/labstack/echo/v4"

	"github.com/bearerguard/bearerguard/adapters/echov4"
	"github.com/bearerguard/bearerguard/adapters/ginv1"
	"github.com/bearerguard/bearerguard/adapters/nethttp"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scopes"
)

func netHTTP(g *middleware.Guard) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /orders", nethttp.Require(g, scopes.All("orders:read"))(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(w, greeting(r.Context()))
		})))
	return mux
}

func echoV4(g *middleware.Guard) http.Handler {
	e := echo.New()
	e.GET("/orders", func(c echo.Context) error {
		return c.String(http.StatusOK, greeting(c.Request().Context())+"\n")
	}, echov4.Require(g, scopes.All("orders:read")))
	return e
}

func ginV1(g *middleware.Guard) http.Handler {
	gin.SetMode(gin.ReleaseMode) // no route listing on the terminal
	r := gin.New()
	r.GET("/orders", ginv1.Require(g, scopes.All("orders:read")), func(c *gin.Context) {
		c.String(http.StatusOK, greeting(c.Request.Context())+"\n")
	})
	return r
}

// greeting is all that the three handlers do. It runs for verified tokens only.
func greeting(ctx context.Context) string {
	tok, _ := middleware.TokenFrom(ctx)
	return "two orders for " + tok.ClientID
}

// api is one running server.
type api struct{ name, url string }

// startAPIs serves the API three times. Call stop also after an error.
func startAPIs(g *middleware.Guard) (apis []api, stop func(), err error) {
	var servers []*http.Server
	stop = func() {
		for _, s := range servers {
			s.Close()
		}
	}
	for _, a := range []struct {
		name    string
		handler http.Handler
	}{
		{"net/http", netHTTP(g)},
		{"Echo", echoV4(g)},
		{"Gin", ginV1(g)},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, stop, err
		}
		s := &http.Server{Handler: a.handler, ReadHeaderTimeout: 5 * time.Second}
		servers = append(servers, s)
		apis = append(apis, api{a.name, "http://" + l.Addr().String() + "/orders"})
		go func() {
			if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				fmt.Println("server stopped:", err)
			}
		}()
	}
	return apis, stop, nil
}
