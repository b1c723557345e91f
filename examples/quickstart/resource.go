// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// What the resource keeps. The leader writes the schedule under the token of
// its term; whoever holds the lock writes the counter under the token of that.
const (
	counter  = "counter"
	schedule = "schedule"
)

// A request is one line to the resource. Without Write it is a read.
type request struct {
	Who   string `json:"who"`
	Item  string `json:"item"`
	Token uint64 `json:"token"`
	Write bool   `json:"write,omitempty"`
	Value uint64 `json:"value,omitempty"`
}

// A reply is the item as it is after the request.
type reply struct {
	Value   uint64 `json:"value"`
	Largest uint64 `json:"largest"` // token seen so far
	Refused bool   `json:"refused,omitempty"`
}

// A write is what the resource remembers of one.
type write struct {
	request
	at       time.Duration
	before   uint64 // value that it found
	accepted bool
}

// A resource is what the workers are there for: some numbers on a loopback
// port. It stands for a database or a device. It has never heard of etcd,
// leases or clocks, and protects itself with one comparison.
type resource struct {
	ln      net.Listener
	noFence bool // accepts everything
	log     func(write)

	mu    sync.Mutex
	items map[string]reply
	conns map[net.Conn]bool
	armed func(request) // called once, before the answer to a read that fits
	who   string
	token uint64
	wg    sync.WaitGroup
}

func newResource(noFence bool, log func(write)) (*resource, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("resource: %w", err)
	}
	r := &resource{ln: ln, noFence: noFence, log: log, items: map[string]reply{}, conns: map[net.Conn]bool{}}
	r.wg.Go(r.serve)
	return r, nil
}

func (r *resource) addr() string { return r.ln.Addr().String() }

func (r *resource) serve() {
	for {
		conn, err := r.ln.Accept()
		if err != nil {
			return // closed
		}
		r.mu.Lock()
		r.conns[conn] = true
		r.mu.Unlock()
		r.wg.Go(func() {
			in, out := json.NewDecoder(conn), json.NewEncoder(conn)
			for {
				var req request
				if in.Decode(&req) != nil || out.Encode(r.handle(req)) != nil {
					break
				}
			}
			r.mu.Lock()
			delete(r.conns, conn)
			r.mu.Unlock()
			_ = conn.Close()
		})
	}
}

// handle answers one request. The comparison of tokens is all that a resource
// has to do to be safe from whoever holds a lock no longer.
func (r *resource) handle(req request) reply {
	if !req.Write {
		r.interfere(req)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	it := r.items[req.Item]
	if !req.Write {
		return it
	}
	w := write{request: req, at: now(), before: it.Value}
	w.accepted = req.Token >= it.Largest || r.noFence
	if w.accepted {
		it.Value, it.Largest = req.Value, max(it.Largest, req.Token)
		r.items[req.Item] = it
	}
	r.log(w)
	it.Refused = !w.accepted
	return it
}

// arm has f called before the next answer to a read of the schedule by this
// leader: between its Check, which has passed, and its write.
func (r *resource) arm(who string, token uint64, f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.who, r.token, r.armed = who, token, func(request) { f() }
}

func (r *resource) interfere(req request) {
	r.mu.Lock()
	f := r.armed
	if f == nil || req.Item != schedule || req.Who != r.who || req.Token != r.token {
		r.mu.Unlock()
		return
	}
	r.armed = nil
	r.mu.Unlock()
	f(req)
}

// value returns what an item is now.
func (r *resource) value(item string) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.items[item].Value
}

// close ends all connections and waits for their goroutines.
func (r *resource) close() {
	_ = r.ln.Close()
	r.mu.Lock()
	for c := range r.conns {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

// errRefused is the answer to a token that is too small.
var errRefused = errors.New("refused by the resource")

// A link is one worker's connection to the resource, for one goroutine.
type link struct {
	who  string
	conn net.Conn
	in   *json.Decoder
	out  *json.Encoder
}

func dial(addr, who string) (*link, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &link{who, conn, json.NewDecoder(conn), json.NewEncoder(conn)}, nil
}

// increment reads an item and writes it back plus one, under token. There is
// no Check between the two, on purpose: wherever one is put, a process can be
// stopped just behind it.
func (l *link) increment(item string, token uint64) error {
	req := request{Who: l.who, Item: item, Token: token}
	rep, err := l.ask(req)
	if err != nil {
		return err
	}
	req.Write, req.Value = true, rep.Value+1
	if rep, err = l.ask(req); err != nil {
		return err
	}
	if rep.Refused {
		return fmt.Errorf("%w: %d is smaller than %d", errRefused, token, rep.Largest)
	}
	return nil
}

func (l *link) ask(req request) (reply, error) {
	var rep reply
	if err := l.out.Encode(req); err != nil {
		return rep, fmt.Errorf("resource: %w", err)
	}
	if err := l.in.Decode(&rep); err != nil {
		return rep, fmt.Errorf("resource: %w", err)
	}
	return rep, nil
}
