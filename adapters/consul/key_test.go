// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"errors"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/quorate/quorate/adapters"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// endpoint says which key Consul's KV endpoint takes a request for key to be
// about: none if it refuses it, another one if it redirects to that.
func endpoint(key string) (string, error) {
	u := url.URL{Path: "/v1/kv/" + key}
	got, err := url.ParseRequestURI(u.RequestURI())
	if err != nil {
		return "", err
	}
	clean := path.Clean(got.Path)
	if strings.HasSuffix(got.Path, "/") {
		clean += "/"
	}
	key = strings.TrimPrefix(clean, "/v1/kv/")
	again, err := url.PathUnescape(key)
	switch {
	case strings.Trim(key, " ") != key:
		return "", errors.New("spaces at an end")
	case strings.Contains("/"+key+"/", "/../"):
		return "", errors.New("path traversal")
	case err == nil && again != key && (strings.Contains(again, "..") || strings.Contains(again, " ")):
		return "", errors.New("escaped path traversal or space")
	}
	return key, nil
}

func TestKeyMapping(t *testing.T) {
	for name, want := range map[string]string{
		"a":                  "a",
		"a/b/":               "a/b/",
		"a/%2E%2E/b":         "a/=2E=2E/b",
		"a/eu%2Fwest%201":    "a/eu=2Fwest=201",
		"a/%252F":            "a/=252F",
		"a/%%41":             "a/%=41",
		"50%":                "50%",
		"50%/%":              "50%/%",
		"%2f":                "%2f", // lower-case digits are not Escape's
		"%2":                 "%2",
		"a=b":                "a=b",
		"=":                  "=",
		"a=2f":               "a=2f",
		"=%41":               "==41",
		"%4%41":              "%4=41",
		"a b":                "a b",
		"é/\u2028b":          "é/\u2028b",
		"a/.b/c./...":        "a/.b/c./...",
		"?x=1#y":             "?x=1#y",
		`a\b`:                `a\b`,
		"locks/my lock/":     "locks/my lock/",
		"k8s.io:443/x@y,z;w": "k8s.io:443/x@y,z;w",
	} {
		require.NoError(t, checkName(name), "%q", name)
		require.Equal(t, want, stored(name))
		require.Equal(t, name, named(stored(name)))
		got, err := endpoint(stored(name))
		require.NoError(t, err, "%q", name)
		require.Equal(t, stored(name), got)
	}
}

// TestKeyRefused has names that Consul would not keep as they are, and some that
// are refused since nobody can tell them from others.
func TestKeyRefused(t *testing.T) {
	for _, name := range []string{
		"", "/", "//", "/a", "//a", "a//", "a//b", ".", "..", "./a", "../a", "a/.", "a/..", "a/./b", "a/../b", "a/../", "./",
		" a", "a ", " ", "a /", "\u00a0a", "a\u3000", "a\tb", "a\n", "\x00", "a\x7f", "a\u0085b", "\xff", "a\xc3", "\xed\xa0\x80",
		"=41", "a=2F", "%=41", "=2E=2E", "a/=FF/", "%2e%2e/a", "a/%2e./b", "a%2e.", "a b%2e", "a%2e.b%3d",
		strings.Repeat("k", limits.MaxKey+1),
	} {
		require.ErrorIs(t, checkName(name), adapters.ErrInvalid, "%q", name)
	}
	require.NoError(t, checkName(strings.Repeat("k", limits.MaxKey)))
}

// names draws from what makes trouble.
func names() *rapid.Generator[string] {
	piece := rapid.SampledFrom([]string{
		"a", "b", "%", "=", "2", "E", "F", "2E", "2e", "%2E", "=2E", "%20", "%2e", "/", "//", ".", "..", " ", "é", "\xff", "\n", "\u0085", "?", "#", "+",
	})
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(piece, 1, 8).Draw(t, "pieces"), "")
	})
}

func TestKeyProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkKeys(t, names().Draw(t, "a"), names().Draw(t, "b"))
	})
}

func FuzzKeys(f *testing.F) {
	for _, name := range []string{"a", "%2E", "=2E", "a/..", "a//b", "%%41", "=%41", "%2e%2e", " ", "\xff", "50%", "a/", "é", strings.Repeat(".", 256)} {
		f.Add(name, "a/%2F")
		f.Add("=41", name)
	}
	f.Fuzz(func(t *testing.T, a, b string) { checkKeys(t, a, b) })
}

// checkKeys takes two names, since that no two are stored as one is the point.
func checkKeys(t require.TestingT, a, b string) {
	okA, okB := checkName(a) == nil, checkName(b) == nil
	if okA {
		require.Equal(t, a, named(stored(a)))
		got, err := endpoint(stored(a))
		require.NoError(t, err, "%q is accepted, and refused by the KV endpoint", a)
		require.Equal(t, stored(a), got, "%q is accepted, and another key for the KV endpoint", a)
		require.Error(t, checkName(a+"//"), "the key behind a subtree is nobody's")
		if okB {
			require.Equal(t, a == b, stored(a) == stored(b), "%q and %q", a, b)
			require.Equal(t, strings.HasPrefix(a, b+"/"), strings.HasPrefix(stored(a), stored(b)+"/"), "%q in %q", a, b)
		}
	}
	esc, err := adapters.Escape(a)
	if err != nil {
		return
	}
	for _, name := range []string{esc, esc + "/", "p/" + esc, "p/" + esc + "/q"} {
		require.NoError(t, checkName(name), "made from %q", a)
		require.NotContains(t, stored(name), "%")
	}
	if okB && !isDir(b) && !strings.Contains(stored(b), "%") {
		require.NoError(t, checkName(b+"/"+esc), "made from %q", a)
	}
}

func TestCheckTxNames(t *testing.T) {
	for what, tx := range map[string]adapters.Tx{
		"condition": {If: []adapters.Cond{adapters.Absent("a//b")}},
		"write":     {Then: []adapters.Op{adapters.Delete("a//b")}},
		"read":      {Reads: []string{"a//b"}},
		"subtree":   {Reads: []string{"a//b/"}},
	} {
		require.ErrorIs(t, checkTx(tx, limits), adapters.ErrInvalid, what)
		require.ErrorContains(t, checkTx(tx, limits), "is not a plain path", what)
	}
}
