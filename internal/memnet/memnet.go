// SPDX-License-Identifier: Apache-2.0

// Package memnet is a network in memory: a listener and the dial function that
// reaches it, joined by net.Pipe. A real http.Server and a real http.Transport
// talk over it without sockets, so that both also run inside a testing/synctest
// bubble, where a goroutine that waits for a socket would stop the clock.
package memnet

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// Listener is a [net.Listener] that only [Listener.Dial] reaches. Make it, serve
// it and dial it in the same synctest bubble, or all outside of one. It is safe
// for concurrent use.
type Listener struct {
	addr  addr
	conns chan net.Conn
	done  chan struct{}
	close sync.Once
}

var _ net.Listener = (*Listener)(nil)

// Listen returns an open listener. The address is only a name: it is what Addr
// reports, and the connections for this end of them. Their other end has an address
// for documentation (RFC 5737), since handlers expect one in http.Request.RemoteAddr.
func Listen(address string) *Listener {
	return &Listener{addr: addr(address), conns: make(chan net.Conn), done: make(chan struct{})}
}

// Accept waits for a Dial. After Close it returns net.ErrClosed.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, l.failed("accept", net.ErrClosed)
	}
}

// Close makes waiting and future calls of Accept and Dial fail. Connections that
// were accepted stay open, as those of a TCP listener do: http.Server.Close ends
// them. Further calls do nothing.
func (l *Listener) Close() error {
	l.close.Do(func() { close(l.done) })
	return nil
}

// Addr returns the address given to Listen.
func (l *Listener) Addr() net.Addr { return l.addr }

// Dial waits until Accept takes the connection, ctx ends or the listener closes.
// It connects to this listener whatever network and address are asked for.
func (l *Listener) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	select {
	case <-l.done: // else a select with a waiting Accept might still pick that one
		return nil, l.failed("dial", net.ErrClosed)
	default:
	}
	ours, theirs := net.Pipe()
	select {
	case l.conns <- conn{Conn: theirs, local: l.addr, remote: dialer}:
		return conn{Conn: ours, local: dialer, remote: l.addr}, nil
	case <-l.done:
		return nil, l.failed("dial", net.ErrClosed)
	case <-ctx.Done():
		return nil, l.failed("dial", ctx.Err())
	}
}

// Transport returns a new transport that reaches this listener for every host, for
// http and https URLs alike: there is no TLS on a wire that does not exist. It
// uses no proxy. Close its idle connections, or the server, when done.
func (l *Listener) Transport() *http.Transport {
	return &http.Transport{DialContext: l.Dial, DialTLSContext: l.Dial}
}

func (l *Listener) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: l.addr.Network(), Addr: l.addr, Err: err}
}

type addr string

func (addr) Network() string  { return "mem" }
func (a addr) String() string { return string(a) }

// dialer is where every connection comes from.
var dialer = net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:1234"))

// conn gives both ends of a pipe a name; net.Pipe's own is "pipe".
type conn struct {
	net.Conn
	local, remote net.Addr
}

func (c conn) LocalAddr() net.Addr  { return c.local }
func (c conn) RemoteAddr() net.Addr { return c.remote }
