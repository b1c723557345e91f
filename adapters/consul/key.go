// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"fmt"
	"net/url"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/quorate/quorate/adapters"
)

// A key is stored as it is, but for one thing: what Escape wrote as %XX is
// stored as =XX. Consul's KV endpoint decodes a key once more than HTTP does,
// to refuse what would then be a space or "..", and 1.21.5 refused every "%".
// "=" means nothing to any of them.

// stored returns the form of a checked name in Consul.
func stored(name string) string { return swap(name, '%', '=') }

// named is the inverse of stored.
func named(key string) string { return swap(key, '=', '%') }

func swap(s string, from, to byte) string {
	if !escaped(s, from) {
		return s
	}
	b := []byte(s)
	for i := range b {
		if escapedAt(s, i, from) {
			b[i] = to
		}
	}
	return string(b)
}

func escaped(s string, mark byte) bool {
	for i := strings.IndexByte(s, mark); i >= 0 && i < len(s); i++ {
		if escapedAt(s, i, mark) {
			return true
		}
	}
	return false
}

func escapedAt(s string, i int, mark byte) bool {
	return s[i] == mark && i+2 < len(s) && hex(s[i+1]) && hex(s[i+2])
}

func hex(c byte) bool { return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' }

// checkName refuses what Consul would not keep as it is: its KV endpoint cleans
// paths, and its transactions do not.
func checkName(name string) error {
	if err := adapters.CheckName(name, limits); err != nil {
		return err
	}
	key := strings.TrimSuffix(name, "/")
	wrong := ""
	switch {
	case !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl):
		wrong = "has control characters or is not UTF-8"
	case path.Clean("/"+key) != "/"+key:
		wrong = "is not a plain path"
	case strings.TrimSpace(key) != key:
		wrong = "begins or ends with a space"
	case escaped(key, '='):
		wrong = "contains \"=\" and two digits of a hexadecimal number"
	}
	key = stored(key)
	if plain, err := url.PathUnescape(key); err == nil && plain != key && (strings.Contains(plain, " ") || strings.Contains(plain, "..")) {
		wrong = "would be refused by Consul, which unescapes it"
	}
	if wrong != "" {
		return fmt.Errorf("%w: name %q %s", adapters.ErrInvalid, name, wrong)
	}
	return nil
}

// checkTx is checkName for all names of a Tx, and its Validate.
func checkTx(tx adapters.Tx, l adapters.Limits) error {
	if err := tx.Validate(l); err != nil {
		return err
	}
	for _, c := range tx.If {
		if err := checkName(c.Key); err != nil {
			return err
		}
	}
	for _, op := range tx.Then {
		if err := checkName(op.Key); err != nil {
			return err
		}
	}
	for _, name := range tx.Reads {
		if err := checkName(name); err != nil {
			return err
		}
	}
	return nil
}
