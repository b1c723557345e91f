// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// Info is what a session key tells about a session, for people who look at
// the store. It is stored as JSON with a version; readers ignore fields that
// they do not know, and later versions only add fields.
type Info struct {
	Version int           `json:"v"`
	Owner   string        `json:"owner"`
	Host    string        `json:"host"`
	PID     int           `json:"pid"`
	TTL     time.Duration `json:"-"`
	Since   time.Time     `json:"since"`
}

const infoVersion = 1

type infoJSON struct {
	Info
	TTLMillis int64 `json:"ttl_ms"`
}

// marshal writes the stored form.
func (i Info) marshal() []byte {
	b, err := json.Marshal(infoJSON{Info: i, TTLMillis: i.TTL.Milliseconds()})
	if err != nil {
		panic(err) // strings, integers and a time that is set by us
	}
	return b
}

// ParseInfo reads the value of a session key.
func ParseInfo(value []byte) (Info, error) {
	var j infoJSON
	if err := json.Unmarshal(value, &j); err != nil {
		return Info{}, fmt.Errorf("session record: %w", err)
	}
	if j.Version < 1 {
		return Info{}, fmt.Errorf("session record: version is %d, must be at least 1", j.Version)
	}
	j.Info.TTL = time.Duration(j.TTLMillis) * time.Millisecond
	return j.Info, nil
}

func newInfo(owner string, ttl time.Duration) Info {
	host, _ := os.Hostname() // for people; empty is fine
	return Info{Version: infoVersion, Owner: owner, Host: host, PID: os.Getpid(), TTL: ttl, Since: time.Now().UTC().Truncate(time.Millisecond)}
}
