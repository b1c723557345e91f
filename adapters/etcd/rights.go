// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/adapters"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// needs is what a call has to be allowed. etcd denies a call as a whole and
// does not tell for what, so the error says it.
type needs struct {
	rights []right
	lease  int64 // whose keys, all of them, must be writable; 0 if none is named
}

// A right is to read or write a key, or all beneath a name that ends in a slash.
type right struct {
	name        string
	read, write bool
}

func (r right) kind() string {
	switch {
	case r.read && r.write:
		return "readwrite"
	case r.write:
		return "write"
	}
	return "read"
}

func toRead(name string) needs { return needs{rights: []right{{name: name, read: true}}} }

// toCommit returns what etcd asks for before it applies tx: a condition reads
// its key, and a lease cannot be put on a key by who could not revoke it.
func toCommit(tx adapters.Tx) needs {
	var n needs
	add := func(r right) {
		if i := slices.IndexFunc(n.rights, func(o right) bool { return o.name == r.name }); i >= 0 {
			n.rights[i].read = n.rights[i].read || r.read
			n.rights[i].write = n.rights[i].write || r.write
			return
		}
		n.rights = append(n.rights, r)
	}
	for _, c := range tx.If {
		add(right{name: c.Key, read: true})
	}
	for _, op := range tx.Then {
		add(right{name: op.Key, write: true})
		if op.Kind == adapters.OpPutLeased {
			n.lease = parseLease(op.Lease)
		}
	}
	for _, name := range tx.Reads {
		add(right{name: name, read: true})
	}
	return n
}

// hint says what somebody has to do about a call that was denied with err.
func (s *Store) hint(err error, n needs) string {
	switch {
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		return fmt.Sprintf("%s needs %s", s.user(), n.text(s.hung.beneath(n.lease)))
	case errors.Is(err, rpctypes.ErrUserEmpty):
		return "etcd asks for a user, which the client names by a password, a token, or a certificate that etcd takes for one"
	case errors.Is(err, rpctypes.ErrAuthFailed):
		return fmt.Sprintf("%s cannot log in: its name or its password is wrong", s.user())
	case stale(err):
		return "the client's token has expired, or users or roles were changed since, and it has no password to get another"
	}
	return ""
}

// user tells who the client is, as far as it knows itself.
func (s *Store) user() string {
	switch {
	case s.client.Token != "":
		return "the user of the client's token"
	case s.client.Username != "":
		return fmt.Sprintf("user %q", s.client.Username)
	}
	return "the user whom the client's certificate names"
}

// text lists the rights, and the least that etcdctl can grant to give them. The
// keys of the lease are beneath hung, if that is not empty.
func (n needs) text(hung string) string {
	const most = 4
	var parts []string
	for i, r := range n.rights {
		if i == most {
			parts = append(parts, fmt.Sprintf("%d more", len(n.rights)-most))
			break
		}
		parts = append(parts, fmt.Sprintf("%s on %q", r.kind(), r.name))
	}
	rights := n.rights
	if n.lease != 0 {
		all := "all keys"
		if len(n.rights) > 0 {
			all = "all other keys"
		}
		parts = append(parts, fmt.Sprintf("write on %s that hang on lease %s", all, leaseID(n.lease)))
		if hung != "" {
			rights = append(slices.Clone(rights), right{name: hung, write: true})
		}
	}
	text := strings.Join(parts, ", ")
	if grants := grants(rights); len(grants) > 0 {
		text += " (" + strings.Join(grants, "; ") + ")"
	}
	return text
}

// grants returns the commands that give a role the rights: one for those that
// are beneath one directory, so that the next call of its kind, on a neighbour of
// these keys, is allowed too.
func grants(rights []right) []string {
	var dirs []right
	for _, r := range rights {
		i := slices.IndexFunc(dirs, func(d right) bool { return d.name == r.name || named(above(d.name, r.name)) })
		if i < 0 {
			dirs = append(dirs, r)
			continue
		}
		d := &dirs[i]
		d.read, d.write = d.read || r.read, d.write || r.write
		if d.name != r.name {
			d.name = above(d.name, r.name)
		}
	}
	const most = 3
	var commands []string
	for i, d := range dirs {
		if i == most {
			return append(commands, "and so on")
		}
		commands = append(commands, d.grant())
	}
	return commands
}

// named tells a directory that has a name from the one that all keys are in.
func named(dir string) bool { return strings.Trim(dir, "/") != "" }

func (r right) grant() string {
	if strings.HasSuffix(r.name, "/") {
		return fmt.Sprintf("etcdctl role grant-permission ROLE %s --prefix %s", r.kind(), quoted(r.name))
	}
	return fmt.Sprintf("etcdctl role grant-permission ROLE %s %s", r.kind(), quoted(r.name))
}

// quoted protects a name from a shell, if need be.
func quoted(name string) string {
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/%") == "" {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// above returns the longest directory, ending in a slash, that both are beneath;
// or nothing.
func above(a, b string) string {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	return a[:strings.LastIndexByte(a[:i], '/')+1]
}
