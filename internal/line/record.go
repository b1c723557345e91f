// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"encoding/json"

	"github.com/quorate/quorate/adapters"
)

// Record is what the value of a slot tells. It never decides who owns a line.
type Record struct {
	// Session is the id of the incarnation that holds the slot, from which its
	// session key and inbox follow. Empty for foreign slots.
	Session string
	// Value is the application's.
	Value string
}

// recordVersion is written; every later version reads it. Readers ignore
// fields that they do not know, so a newer version may stand in the same line.
const recordVersion = 1

type recordJSON struct {
	Version int    `json:"v"`
	Session string `json:"session"`
	Value   string `json:"value,omitempty"`
	Bytes   []byte `json:"bytes,omitempty"` // instead of value, if that is not text
}

// encode returns the stored form. In a verbatim line it is the bare value: the
// other users of such a line read it as it stands.
func (l *Line) encode(session, value string) []byte {
	if l.verbatim {
		return []byte(value)
	}
	r := recordJSON{Version: recordVersion, Session: session, Value: value}
	if !isText(value) {
		r.Value, r.Bytes = "", []byte(value)
	}
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and bytes only
	}
	return b
}

// Decode reads the value of a slot. What it cannot read is a foreign slot.
func (l *Line) Decode(kv adapters.KV) Record {
	if l.verbatim {
		return Record{Value: string(kv.Value)}
	}
	var r recordJSON
	if json.Unmarshal(kv.Value, &r) != nil || r.Version < 1 {
		return Record{}
	}
	if r.Bytes != nil {
		r.Value = string(r.Bytes)
	}
	return Record{Session: r.Session, Value: r.Value}
}

// isText says whether JSON keeps s as it is.
func isText(s string) bool {
	for _, r := range s {
		if r == '\uFFFD' {
			return false
		}
	}
	return true
}
