// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/chaos/history"
)

// Its answers to a write.
const (
	taken   = "taken\n"
	refused = "refused\n"
)

// A resource is what all places guard, outside the store: it takes writes over
// the network, refuses a token that is smaller than one that it has seen, and
// writes down what it took, in its order.
type resource struct {
	addr string
	log  *history.Writer
	open bool // a defect: it takes everything
	ln   net.Listener
	wg   sync.WaitGroup

	mu     sync.Mutex
	tokens map[string]uint64
	conns  map[net.Conn]struct{}
}

func startResource(t testing.TB, log *history.Writer) *resource {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &resource{addr: ln.Addr().String(), log: log, ln: ln, tokens: map[string]uint64{}, conns: map[net.Conn]struct{}{}}
	r.wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.conns[conn] = struct{}{}
			r.mu.Unlock()
			r.wg.Go(func() { r.serve(conn) })
		}
	})
	return r
}

func (r *resource) serve(conn net.Conn) {
	defer conn.Close()
	for in := bufio.NewScanner(conn); in.Scan(); {
		var name, proc string
		var token uint64
		if _, err := fmt.Sscan(in.Text(), &name, &token, &proc); err != nil {
			return
		}
		answer := taken
		if !r.take(name, token, proc) {
			answer = refused
		}
		if _, err := conn.Write([]byte(answer)); err != nil {
			return
		}
	}
}

func (r *resource) take(name string, token uint64, proc string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := history.Event{What: history.Wrote, Name: name, Token: token, Value: proc}
	if token < r.tokens[name] && !r.open {
		e.What = history.Refused
	} else {
		r.tokens[name] = token
	}
	r.log.Tell(e)
	return e.What == history.Wrote
}

func (r *resource) close() {
	_ = r.ln.Close()
	r.mu.Lock()
	for c := range r.conns {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

// guarded is a client's way to the resource.
type guarded struct {
	mu   sync.Mutex
	conn net.Conn
	in   *bufio.Reader
	err  error // the first that a write met
}

func dialResource(addr string) (*guarded, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("resource: %w", err)
	}
	return &guarded{conn: conn, in: bufio.NewReader(conn)}, nil
}

// write asks for a write and waits for the answer. Which it is does not matter
// here, but one there must be: without writes nothing is guarded.
func (g *guarded) write(name string, token uint64, proc string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, err := fmt.Fprintln(g.conn, name, token, proc)
	if err == nil {
		var answer string
		answer, err = g.in.ReadString('\n')
		if err == nil && answer != taken && answer != refused {
			err = fmt.Errorf("answer %q", answer)
		}
	}
	if err != nil && g.err == nil {
		g.err = fmt.Errorf("resource: write %s with %d: %w", name, token, err)
	}
}

// Close ends the use of the resource and returns the first error of a write.
func (g *guarded) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return errors.Join(g.err, g.conn.Close())
}
