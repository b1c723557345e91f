// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adapters

import (
	"fmt"
	"strings"
)

// MaxName is the most bytes that a name may have before it is escaped.
const MaxName = 255

// Escape turns any name that a user may give into one segment of a key.
//
// ASCII letters, digits, "-", "_" and "." stand for themselves; every other
// byte becomes %XX with upper-case digits, and so does the first byte of a
// name that is only dots. So no name contains a slash, none is read as a path
// ("." and ".." are, by Consul and by proxies in front of it), and two names
// never share a key. Empty names and names over MaxName are refused.
func Escape(name string) (string, error) {
	if name == "" {
		return "", fmt.Errorf("%w: name is empty", ErrInvalid)
	}
	if len(name) > MaxName {
		return "", fmt.Errorf("%w: name has %d bytes, limit %d", ErrInvalid, len(name), MaxName)
	}
	onlyDots := strings.Trim(name, ".") == ""
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		if plain(c) && !(onlyDots && i == 0) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String(), nil
}

// Unescape is the inverse of Escape. It refuses what Escape cannot have made,
// so a foreign key is never taken for one of ours.
func Unescape(segment string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(segment); i++ {
		c := segment[i]
		if c == '%' && i+2 < len(segment) {
			hi, lo := unhex(segment[i+1]), unhex(segment[i+2])
			if hi < 16 && lo < 16 {
				b.WriteByte(hi<<4 | lo)
				i += 2
				continue
			}
		}
		b.WriteByte(c)
	}
	name := b.String()
	if again, err := Escape(name); err != nil || again != segment {
		return "", fmt.Errorf("%w: %q is not an escaped name", ErrInvalid, segment)
	}
	return name, nil
}

// CheckPrefix refuses a prefix that is not a plain path: segments of letters,
// digits, "-", "_" and ".", joined by single slashes. Prefixes are set once by
// whoever deploys a program and are meant to be typed into an ACL, so they are
// refused rather than escaped.
func CheckPrefix(prefix string) error {
	if prefix == "" {
		return fmt.Errorf("%w: prefix is empty", ErrInvalid)
	}
	if len(prefix) > MaxName {
		return fmt.Errorf("%w: prefix has %d bytes, limit %d", ErrInvalid, len(prefix), MaxName)
	}
	for seg := range strings.SplitSeq(prefix, "/") {
		if esc, err := Escape(seg); err != nil || esc != seg {
			return fmt.Errorf("%w: prefix %q: segment %q must be letters, digits, '-', '_' or '.'", ErrInvalid, prefix, seg)
		}
	}
	return nil
}

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}
