// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/quorate/quorate/adapters"
)

// keys are the names of a group's keys. See the package's documentation for
// what they are for.
type keys struct {
	dir string // ends in a slash
}

func newKeys(prefix, group string) (keys, error) {
	seg, err := adapters.Escape(group)
	if err != nil {
		return keys{}, err
	}
	return keys{prefix + "/shard/" + seg + "/"}, nil
}

func (k keys) head() string             { return k.dir + "head" }
func (k keys) pins() string             { return k.dir + "pins" }
func (k keys) bases() string            { return k.dir + "base/" }
func (k keys) diffs() string            { return k.dir + "diff/" }
func (k keys) diff(epoch uint64) string { return k.diffs() + strconv.FormatUint(epoch, 10) }
func (k keys) claims() string           { return k.dir + "claim/" }
func (k keys) claim(shard int) string   { return k.claims() + strconv.Itoa(shard) }
func (k keys) members() string          { return k.dir + "member/" }
func (k keys) inboxes() string          { return k.dir + "in/" }

// member and inbox escape the id, which New has checked.
func (k keys) member(id string) string { return k.members() + escaped(id) }
func (k keys) inbox(id string) string  { return k.inboxes() + escaped(id) + "/" }

func escaped(id string) string {
	seg, err := adapters.Escape(id)
	if err != nil {
		return "%" // no id is escaped to this
	}
	return seg
}

const recordVersion = 1

// memberJSON is the value of a member key, which hangs on the member's lease. Its
// Created tells one life of the member from the next: the incarnation.
type memberJSON struct {
	Version  int    `json:"v"`
	ID       string `json:"id"`
	Session  string `json:"session"` // id of the session's incarnation
	Address  string `json:"address,omitempty"`
	Weight   int    `json:"weight,omitempty"`
	Capacity int    `json:"capacity,omitempty"`
	Zone     string `json:"zone,omitempty"`
	Release  string `json:"release,omitempty"` // Options.Version
	Draining bool   `json:"draining,omitempty"`
	Prepares bool   `json:"prepares,omitempty"` // donors wait until it is ready
}

// claimJSON is the value of a claim: whose shard it is, until it is written anew.
type claimJSON struct {
	Version int          `json:"v"`
	Member  string       `json:"m"`
	Life    adapters.Rev `json:"i"` // incarnation of the member
	Epoch   uint64       `json:"e"` // of the plan that it follows
}

// noteJSON is a note to a member, in a key of its own in the member's inbox. A
// note that hands shards over is written in the step that writes the claims, so
// its Created is their Mod.
type noteJSON struct {
	Version int          `json:"v"`
	Kind    string       `json:"kind"`
	From    string       `json:"from"`
	Life    adapters.Rev `json:"to"` // incarnation of the addressee
	Shards  []int        `json:"shards"`
	Epoch   uint64       `json:"e,omitempty"`       // of noteYours: of the plan that it follows
	Stopped int64        `json:"stopped,omitempty"` // of noteYours: when the last of them stopped, UnixNano
	Ready   adapters.Rev `json:"ready,omitempty"`   // of noteReady: incarnation of the sender
}

// The kinds of note.
const (
	noteYours = "yours" // the claims are the addressee's now
	noteReady = "ready" // the sender has prepared for them
	noteTaken = "taken" // the claims were taken from the addressee by force
)

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers and flags
	}
	return b
}

// decode reads a record of ours. What is not, or of a later version, is an error.
func decode[T any](kv adapters.KV, version func(T) int) (T, error) {
	var v T
	if err := json.Unmarshal(kv.Value, &v); err != nil {
		return v, fmt.Errorf("%w: %s: %w", errWire, kv.Key, err)
	}
	if n := version(v); n != recordVersion {
		return v, fmt.Errorf("%w: %s has version %d, this program knows %d", errWire, kv.Key, n, recordVersion)
	}
	return v, nil
}

func decodeMember(kv adapters.KV) (memberJSON, error) {
	return decode(kv, func(m memberJSON) int { return m.Version })
}

func decodeClaim(kv adapters.KV) (claimJSON, error) {
	return decode(kv, func(c claimJSON) int { return c.Version })
}

func decodeNote(kv adapters.KV) (noteJSON, error) {
	return decode(kv, func(n noteJSON) int { return n.Version })
}
