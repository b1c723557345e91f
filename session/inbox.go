// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/quorate/quorate/adapters"
)

// A Message is a request to another session: to yield a lock, to take over a
// term. It is delivered once to each incarnation that it reaches, unless the
// addressee dies first; whether it is honoured is the addressee's decision.
type Message struct {
	ID   string `json:"id"`             // unique; set by Send
	Kind string `json:"kind"`           // says which handler gets it
	Name string `json:"name,omitempty"` // what it is about
	From string `json:"from,omitempty"` // id of the sending incarnation; set by Send
	Body string `json:"body,omitempty"`
}

// inboxMessages is how many messages may wait. An inbox is emptied at once by
// a live addressee, so a full one means a stuck program.
const inboxMessages = 64

// inboxPatience is how long Send waits for a full inbox: a live addressee that
// many write to at once needs a moment without a conflict to empty it.
const inboxPatience = time.Second

const inboxVersion = 1

// inboxJSON is the value of an inbox key: one key, so that its owner watches
// exactly one, and changed by compare and swap.
type inboxJSON struct {
	Version  int       `json:"v"`
	Messages []Message `json:"messages"`
}

func (b inboxJSON) marshal() []byte {
	b.Version = inboxVersion
	if b.Messages == nil {
		b.Messages = []Message{}
	}
	v, err := json.Marshal(b)
	if err != nil {
		panic(err) // strings only
	}
	return v
}

func parseInbox(value []byte) (inboxJSON, error) {
	var b inboxJSON
	if err := json.Unmarshal(value, &b); err != nil {
		return b, fmt.Errorf("session inbox: %w", err)
	}
	return b, nil
}

// handlers are the functions that messages go to, by kind.
type handlers struct {
	mu sync.Mutex
	m  map[string][]*func(Message)
}

// Handle has f called for each message of that kind, one at a time and in
// order, on the session's goroutine: f must be quick. It returns a function
// that takes f out again. Messages that nobody handles are dropped.
func (s *Session) Handle(kind string, f func(Message)) (remove func()) {
	s.handlers.mu.Lock()
	defer s.handlers.mu.Unlock()
	if s.handlers.m == nil {
		s.handlers.m = map[string][]*func(Message){}
	}
	s.handlers.m[kind] = append(s.handlers.m[kind], &f)
	return func() {
		s.handlers.mu.Lock()
		defer s.handlers.mu.Unlock()
		s.handlers.m[kind] = slices.DeleteFunc(s.handlers.m[kind], func(g *func(Message)) bool { return g == &f })
	}
}

func (s *Session) deliver(m Message) {
	s.handlers.mu.Lock()
	fs := slices.Clone(s.handlers.m[m.Kind])
	s.handlers.mu.Unlock()
	if len(fs) == 0 {
		s.log.Debug("session message without a handler", "kind", m.Kind, "name", m.Name, "from", m.From)
	}
	for _, f := range fs {
		(*f)(m)
	}
}

// Send puts m into the inbox of the incarnation with id to. It returns nil
// once it is there, ErrGone if there is no such incarnation, and ErrInboxFull
// if it does not take its messages.
func (s *Session) Send(ctx context.Context, to string, m Message) error {
	err := s.send(ctx, to, m)
	if err != nil {
		return fmt.Errorf("session: send %q to %s: %w", m.Kind, to, err)
	}
	return nil
}

func (s *Session) send(ctx context.Context, to string, m Message) error {
	inc, err := s.Current(ctx)
	if err != nil {
		return err
	}
	// The id makes a repeat after an unknown outcome harmless: the addressee
	// takes it once.
	m.ID, m.From = inc.suffix(), inc.id
	key := inboxKey(s.opts.Prefix, to)
	pause, patience := newBackOff(s.opts.TTL), time.Now().Add(inboxPatience)
	for {
		view, err := inc.read(ctx, key)
		if err != nil {
			return err
		}
		kv, there := view.Get(key)
		if !there {
			return ErrGone
		}
		box, err := parseInbox(kv.Value)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(box.Messages, func(o Message) bool { return o.ID == m.ID }) {
			return nil
		}
		if len(box.Messages) >= inboxMessages {
			if time.Now().Before(patience) && sleep(ctx, pause.NextBackOff()) == nil {
				continue
			}
			return fmt.Errorf("%w: %d messages wait, limit %d", ErrInboxFull, len(box.Messages), inboxMessages)
		}
		box.Messages = append(box.Messages, m)
		_, err = inc.attempt(ctx, adapters.Tx{
			If:   []adapters.Cond{adapters.Unchanged(key, kv.Mod)},
			Then: []adapters.Op{adapters.PutKeep(key, box.marshal())},
		})
		switch {
		case err == nil:
			return nil
		case errors.Is(err, adapters.ErrConflict), errors.Is(err, adapters.ErrUnknown):
			if ctx.Err() != nil {
				return fmt.Errorf("%w: %w", context.Cause(ctx), err)
			}
		default:
			return err
		}
	}
}

// receive takes messages out of the inbox of inc until its life ends. Without
// the right to see the inbox it would not hear that its keys have gone, so it
// ends that life itself unless the right is back within a TTL.
func (s *Session) receive(inc *Incarnation) {
	seen := map[string]bool{} // until the inbox is known to be without them
	for first := time.Now(); ; {
		began := time.Now()
		err := s.receiveInto(inc, seen)
		if err == nil || inc.life.Err() != nil {
			return
		}
		s.log.Warn("session inbox cannot be watched", "session", inc.id, "cause", err)
		if time.Since(began) > inc.ttl {
			first = time.Now() // it could be, for a while
		}
		if time.Since(first) > inc.ttl {
			inc.end(err)
			return
		}
		_ = sleep(inc.life, inc.ttl/6)
	}
}

// receiveInto is receive until it may not watch, or until the inbox has gone:
// nil. It notes in seen what it has delivered.
func (s *Session) receiveInto(inc *Incarnation, seen map[string]bool) error {
	for view, err := range s.store.Watch(inc.life, inc.inbox) {
		if err != nil {
			return err
		}
		kv, there := view.Get(inc.inbox)
		if !there {
			// It hangs on the lease, so that has ended, and perhaps early: the
			// next renewal would tell, but others are being told now.
			if s.ctx.Err() == nil { // else it is us who gave it back
				inc.end(errKeysGone)
			}
			return nil // a watch of what is not there costs Consul more than one that waits
		}
		box, err := parseInbox(kv.Value)
		if err != nil {
			s.log.Warn("session inbox cannot be read", "session", inc.id, "cause", err)
			continue
		}
		if len(box.Messages) == 0 {
			continue
		}
		for _, m := range box.Messages {
			if !seen[m.ID] {
				seen[m.ID] = true
				s.deliver(m)
			}
		}
		s.emptyInbox(inc, kv.Mod, seen)
	}
	return context.Cause(inc.life)
}

// emptyInbox deletes the messages of the state mod. On a conflict there is a
// newer state, which the watch brings.
func (s *Session) emptyInbox(inc *Incarnation, mod adapters.Rev, seen map[string]bool) {
	tx := adapters.Tx{
		If:   []adapters.Cond{adapters.Unchanged(inc.inbox, mod)},
		Then: []adapters.Op{adapters.PutKeep(inc.inbox, inboxJSON{}.marshal())},
	}
	err := s.retry(inc.life, inc.life, func() error {
		_, err := inc.attempt(inc.life, tx)
		return err
	})
	if err == nil {
		// A repeat of one of them under way was conditional on a state that is
		// gone, so only a sender that tries again can bring it back; it keeps
		// its id, and 1,024 ids are more than can be on their way.
		if len(seen) > 1024 {
			clear(seen)
		}
	}
}
