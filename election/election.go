// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package election

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/internal/line"
	"github.com/quorate/quorate/session"
)

var (
	// ErrNoLeader is returned by Leader when nobody leads.
	ErrNoLeader = errors.New("no leader")
	// ErrResigned is the cause of a term's context after its leader resigned.
	ErrResigned = line.ErrReleased
)

// Options are the settings of an Election. Nil means all defaults.
type Options struct {
	// Value is what a candidate says of itself: an address, a name. Observers
	// see that of the leader. Proclaim replaces it.
	Value string

	// Verbatim takes the name as a key of the store as it stands, outside the
	// session's prefix, and excludes the users of the backend's own recipes for
	// that key. On etcd it joins the queue of concurrency.Election, "etcdctl
	// elect", and the locks of the same name; nothing else may be stored below
	// it. On Consul it is the lock key of api.Lock, whose value is the leader's;
	// there is no order among the candidates of that, and a token that is shown
	// for a leader who uses api.Lock may be that of an earlier one.
	Verbatim bool
}

// Election is an office with a name. It holds no state: it can be shared by
// goroutines, and each Campaign or Lead is a candidate of its own.
type Election struct {
	line  *line.Line
	value string
}

// New returns the election of that name. Names are arbitrary text up to
// adapters.MaxName bytes.
func New(s *session.Session, name string, o *Options) (*Election, error) {
	if o == nil {
		o = &Options{}
	}
	l, err := line.New(s, "election", name, o.Verbatim)
	if err != nil {
		return nil, err
	}
	if limit := s.Store().Limits().MaxValue / 2; limit > 0 && len(o.Value) > limit {
		return nil, fmt.Errorf("election %q: Options.Value has %d bytes, limit %d", name, len(o.Value), limit)
	}
	return &Election{l, o.Value}, nil
}

// Lead campaigns and runs f as the leader. The context that f gets ends with
// ctx, and before anybody else can lead; f then has to return, and only when it
// has, the place is given up.
//
// When the term is lost, or f resigns, Lead campaigns again and runs f again.
// Otherwise it returns what f returns; a nil that f returns after its term was
// lost becomes session.ErrLost, unless f had resigned. It also returns when ctx ends or the session
// is closed.
func (e *Election) Lead(ctx context.Context, f func(ctx context.Context, term *Term) error) error {
	return e.line.Errorf("lead", e.line.Run(ctx, e.value, func(ctx context.Context, slot *line.Slot, stepDown func()) error {
		return f(ctx, &Term{line: e.line, slot: slot, stepDown: stepDown})
	}))
}

// Campaign waits until we lead and returns the term, which lasts until Resign
// or a loss. It ends with the cause of ctx, or with session.ErrLost when the
// session is lost while it waits; then no key is left. Ctx is for the wait
// only; the term outlives it.
func (e *Election) Campaign(ctx context.Context) (*Term, error) {
	slot, err := e.line.Join(ctx, e.value)
	if err != nil {
		return nil, e.line.Errorf("campaign", err)
	}
	return &Term{line: e.line, slot: slot}, nil
}

// Leader is who leads. The zero Leader is nobody.
type Leader struct {
	Value   string // what the leader says of itself
	Token   uint64 // fencing token of the term
	Session string // id of the leader's session incarnation; empty for foreign ones
}

// Nobody says whether nobody leads.
func (l Leader) Nobody() bool { return l.Token == 0 }

// Leader returns who leads now, by a linearizable read, or ErrNoLeader.
func (e *Election) Leader(ctx context.Context) (Leader, error) {
	view, err := e.line.Session().Store().Read(ctx, e.line.Dir())
	if err != nil {
		return Leader{}, e.line.Errorf("leader", err)
	}
	l := e.leader(view)
	if l.Nobody() {
		return l, e.line.Errorf("leader", ErrNoLeader)
	}
	return l, nil
}

// Observe yields who leads now, be it nobody, and again whenever that or the
// leader's value changes. It ends when ctx does, with its cause, or with the
// error that kept it from watching.
func (e *Election) Observe(ctx context.Context) iter.Seq2[Leader, error] {
	return func(yield func(Leader, error) bool) {
		var last Leader
		first := true
		for view, err := range e.line.Session().Store().Watch(ctx, e.line.Dir()) {
			if err != nil {
				yield(Leader{}, e.line.Errorf("observe", err))
				return
			}
			now := e.leader(view)
			if first || now != last {
				first, last = false, now
				if !yield(now, nil) {
					return
				}
			}
		}
	}
}

func (e *Election) leader(view adapters.View) Leader {
	all := e.line.Contenders(view)
	if len(all) == 0 {
		return Leader{}
	}
	r := e.line.Decode(all[0])
	return Leader{Value: r.Value, Token: line.Token(all[0].Created), Session: r.Session}
}
