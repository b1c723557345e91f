// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package locked

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
	"github.com/quorate/quorate/adapters/consul"
	"github.com/quorate/quorate/election"
	"github.com/quorate/quorate/mutex"
	"github.com/quorate/quorate/session"
)

var (
	consulKeys    = consulRule("key_prefix", "quorate/", "write")
	consulNote    = consulRule("key", "quorate/node", "write")
	consulLeases  = consulRule("session", "quorate", "write")
	consulNode    = consulRule("node", "quorate", "write")
	consulNothing = ""
)

// consulOpenWithout takes each right away that session.Open needs.
func consulOpenWithout(t *testing.T, site *consulSite) {
	// The node is there, and the note too, with a TTL that is long enough.
	site.session(t, site.token(t, site.rules).secret, session.Options{})
	without := func(rule, instead string) string { return consulSwap(t, site.rules, rule, instead) }
	fresh := consulSwap(t, without(consulNote, consulRule("key", "quorate-fresh/node", "write")), consulLeases, consulRule("session", "quorate-fresh", "write"))
	secret := func(rules string) string { return site.token(t, rules).secret }
	for _, c := range []struct {
		name, secret string
		node         string
		words        []string
	}{
		{"keys may only be read", secret(without(consulKeys, consulRule("key_prefix", "quorate/", "read"))), "",
			[]string{`lacks permission 'key:write' on "quorate/session/`}},
		{"nothing below the prefix", secret(without(consulKeys, "")), "",
			[]string{`lacks permission 'key:write' on "quorate/session/`}},
		{"no key at all", secret(consulLeases + consulNode), "",
			[]string{`grant`, `"quorate/node"`, `policy "read"`}},
		{"no lease", secret(without(consulLeases, "")), "",
			[]string{`grant`, `lacks permission 'session:write' on "quorate"`}},
		{"leases may only be read", secret(without(consulLeases, consulRule("session", "quorate", "read"))), "",
			[]string{`grant`, `lacks permission 'session:write' on "quorate"`}},
		{"node may not be seen", secret(without(consulNode, "")), "",
			[]string{`grant`, `node "quorate"`}},
		{"node is missing and may not be seen", secret(consulSwap(t, fresh, consulNode, "")), "quorate-fresh",
			[]string{`grant`, `lacks permission 'node:write' on "quorate-fresh"`}},
		{"node is missing and may only be seen", secret(consulSwap(t, fresh, consulNode, consulRule("node", "quorate-fresh", "read"))), "quorate-fresh",
			[]string{`grant`, `lacks permission 'node:write' on "quorate-fresh"`}},
		{"nothing", secret(consulNothing), "",
			[]string{`lacks permission 'session:write' on "quorate"`}},
		{"unknown token", "00000000-0000-0000-0000-000000000001", "",
			[]string{"ACL not found"}},
		{"token that only names a default", "deny", "",
			[]string{"Cannot resolve root ACL"}},
		{"no token", "", "",
			[]string{`anonymous token lacks permission 'session:write' on "quorate"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range site.Members() { // the server's words, and the agent's
				store, sent := site.store(t, c.secret, consul.Options{Node: c.node})
				denied(t, func() error {
					_, err := session.Open(within(t, patience), store, &session.Options{TTL: time.Second})
					return err
				}, c.words...)
				require.Less(t, sent.calls(), 10, "what is denied is not tried again")
			}
		})
	}
}

// consulTasks are what a process does on a session that is open.
var consulTasks = map[string]func(ctx context.Context, s *session.Session) error{
	"lock": func(ctx context.Context, s *session.Session) error {
		m, err := mutex.New(s, "without", nil)
		if err != nil {
			return err
		}
		h, err := m.Lock(ctx)
		if err != nil {
			return err
		}
		return h.Unlock()
	},
	"try lock": func(ctx context.Context, s *session.Session) error {
		m, err := mutex.New(s, "without-trying", nil)
		if err != nil {
			return err
		}
		h, err := m.TryLock(ctx)
		if err != nil {
			return err
		}
		return h.Unlock()
	},
	"lead": func(ctx context.Context, s *session.Session) error {
		e, err := election.New(s, "without", nil)
		if err != nil {
			return err
		}
		return e.Lead(ctx, func(context.Context, *election.Term) error { return nil })
	},
	"leader": func(ctx context.Context, s *session.Session) error {
		e, err := election.New(s, "without-leader", nil)
		if err != nil {
			return err
		}
		if _, err = e.Leader(ctx); errors.Is(err, election.ErrNoLeader) {
			return nil
		}
		return err
	},
	"observe": func(ctx context.Context, s *session.Session) error {
		e, err := election.New(s, "without-observers", nil)
		if err != nil {
			return err
		}
		for _, err := range e.Observe(ctx) {
			return err
		}
		return nil
	},
	"watch": func(ctx context.Context, s *session.Session) error {
		for _, err := range s.Store().Watch(ctx, "quorate/watched") {
			return err
		}
		return nil
	},
	"open": func(ctx context.Context, s *session.Session) error {
		another, err := session.Open(ctx, s.Store(), &session.Options{TTL: time.Second})
		if err != nil {
			return err
		}
		return another.Close()
	},
}

// consulWorkWithout takes rights away from a session that is open. What does
// not need them goes on, and the rest ends at once.
func consulWorkWithout(t *testing.T, site *consulSite) {
	writes := func(what string) string { return `lacks permission 'key:write' on "quorate/` + what }
	reads := func(what string) string { return `(key_prefix "quorate/` + what + `", policy "read")` }
	anyKeyRead := `lacks permission 'key:read' on "quorate/`
	none := map[string]string{
		"lock": anyKeyRead + "session/", "lead": anyKeyRead + "session/", // the first thing that they ask about
		"try lock": reads("mutex/without-trying/"), "leader": reads("election/without-leader/"),
		"observe": reads("election/without-observers/"), "watch": anyKeyRead + "watched",
		"open": reads("node"),
	}
	everything := func(words string) map[string]string {
		all := make(map[string]string)
		for task := range consulTasks {
			all[task] = words
		}
		return all
	}
	for _, c := range []struct {
		name  string
		after func(*consulToken)
		words map[string]string // of the task's error; it works if there are none
	}{
		{"nothing is taken away", func(*consulToken) {}, nil},
		{"keys may only be read", func(k *consulToken) {
			k.allow(consulRule("key_prefix", "quorate/", "read") + consulLeases + consulNode)
		}, map[string]string{
			"lock": writes("mutex/without/"), "try lock": writes("mutex/without-trying/"), "lead": writes("election/without/"),
			"open": writes("session/"),
		}},
		{"no key", func(k *consulToken) { k.allow(consulLeases + consulNode) }, none},
		{"no lease", func(k *consulToken) { k.allow(consulSwap(t, site.rules, consulLeases, "")) },
			map[string]string{"open": `lacks permission 'session:write' on "quorate"`}},
		{"no node", func(k *consulToken) { k.allow(consulSwap(t, site.rules, consulNode, "")) },
			map[string]string{"open": `node "quorate"`}},
		{"nothing is left", (*consulToken).withdraw, func() map[string]string {
			all := maps.Clone(none)
			all["open"] = `lacks permission 'session:write' on "quorate"`
			return all
		}()},
		{"token deleted", (*consulToken).remove, everything("ACL not found")},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := site.token(t, site.rules)
			store, _ := site.store(t, token.secret, consul.Options{})
			s, err := session.Open(within(t, patience), store, &session.Options{TTL: long, CloseTimeout: 100 * time.Millisecond})
			require.NoError(t, err)
			c.after(token)
			for task, do := range consulTasks {
				if words := c.words[task]; words != "" {
					denied(t, func() error { return do(within(t, patience), s) }, words)
				} else {
					require.NoError(t, do(within(t, patience), s), task)
				}
			}
			if err := s.Close(); err != nil { // it tells, and does not wait
				require.ErrorIs(t, err, adapters.ErrDenied)
			}
		})
	}
}

// consulVerbatimOutside locks keys that the policy does not name.
func consulVerbatimOutside(t *testing.T, site *consulSite) {
	seen := consulRule("key", "theirs/seen", "read")
	s := site.session(t, site.token(t, site.rules+seen).secret, session.Options{})
	for _, c := range []struct{ name, words string }{
		{"theirs/hidden", `(key_prefix "theirs/hidden", policy "read")`},
		{"theirs/seen", `lacks permission 'key:write' on "theirs/seen"`},
	} {
		m := consulMutex(t, s, c.name, true)
		denied(t, func() error { _, err := m.Lock(within(t, patience)); return err }, "lock", c.words)
		denied(t, func() error { _, err := m.TryLock(within(t, patience)); return err }, "try lock", c.words)
	}
	// With the rule that the policy asks for, it is theirs.
	s = site.session(t, site.token(t, site.rules+consulRule("key", "theirs/allowed", "write")).secret, session.Options{})
	h, err := consulMutex(t, s, "theirs/allowed", true).Lock(within(t, patience))
	require.NoError(t, err)
	require.NoError(t, h.Unlock())
}
