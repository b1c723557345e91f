// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// About says what a run was. It stands beside its histories.
type About struct {
	Backend  string `json:"backend"`
	Seed     uint64 `json:"seed"`
	Liveness bool   `json:"liveness"` // a quorum was kept, so progress is due
	Plan     string `json:"plan"`     // what was done
	TTL      string `json:"ttl"`
	Clients  int    `json:"clients"`
	Servers  string `json:"servers"` // kind and version
	Machine  string `json:"machine"`
	Again    string `json:"again"` // the command that does the same once more

	// What it was judged by and what was found then. Times are in nanoseconds.
	Heal  time.Duration `json:"heal"`  // as in check.Bounds; 0 is the default there
	Lease time.Duration `json:"lease"` // the same
	Found []string      `json:"found"` // violations, as text
}

const aboutFile = "run.json"

// Store writes it to a folder.
func (a About) Store(dir string) error {
	text, err := json.MarshalIndent(a, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, aboutFile), append(text, '\n'), 0o644)
}

// LoadAbout reads it; one that is not there is empty.
func LoadAbout(dir string) (a About, err error) {
	text, err := os.ReadFile(filepath.Join(dir, aboutFile))
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(text, &a)
}
