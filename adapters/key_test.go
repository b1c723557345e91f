// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adapters_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/adapters"
)

func TestEscape(t *testing.T) {
	for name, want := range map[string]string{
		"a":             "a",
		"AZaz09-_.":     "AZaz09-_.",
		"v1.2":          "v1.2",
		".a":            ".a",
		"a.":            "a.",
		".":             "%2E",
		"..":            "%2E.",
		"...":           "%2E..",
		"a/b":           "a%2Fb",
		"//":            "%2F%2F",
		" lead":         "%20lead",
		"é":             "%C3%A9",
		"%":             "%25",
		"%2F":           "%252F",
		"a+b~":          "a%2Bb%7E",
		"\x00":          "%00",
		"a\n":           "a%0A",
		"\xff\xfe":      "%FF%FE",
		"?x=1#":         "%3Fx%3D1%23",
		`\`:             "%5C",
		"node:8080":     "node%3A8080",
		"user@host.org": "user%40host.org",
	} {
		got, err := adapters.Escape(name)
		require.NoError(t, err)
		require.Equal(t, want, got, "%q", name)
		back, err := adapters.Unescape(got)
		require.NoError(t, err)
		require.Equal(t, name, back)
	}
}

func TestEscapeLimits(t *testing.T) {
	_, err := adapters.Escape("")
	require.ErrorIs(t, err, adapters.ErrInvalid)
	_, err = adapters.Escape(strings.Repeat("n", adapters.MaxName))
	require.NoError(t, err)
	got, err := adapters.Escape(strings.Repeat("/", adapters.MaxName))
	require.NoError(t, err)
	require.Len(t, got, 3*adapters.MaxName)
	_, err = adapters.Escape(strings.Repeat("n", adapters.MaxName+1))
	require.ErrorIs(t, err, adapters.ErrInvalid)
	require.ErrorContains(t, err, "256 bytes, limit 255")
}

// What Escape does not make is nobody's name.
func TestUnescapeRefuses(t *testing.T) {
	for _, segment := range []string{
		"", ".", "..", "...", "%2E%2E", "a/b", " ", "é", "%", "%2", "%2f", "%GG", "a%", "%41", "%2D", "%25%", "%%", "\x00",
		strings.Repeat("n", adapters.MaxName+1), strings.Repeat("%2F", adapters.MaxName+1),
	} {
		name, err := adapters.Unescape(segment)
		require.ErrorIs(t, err, adapters.ErrInvalid, "%q gave %q", segment, name)
	}
}

func TestCheckPrefix(t *testing.T) {
	for _, prefix := range []string{"a", "quorate", "a/b/c", "team-1/app_2/v1.0", strings.Repeat("p", adapters.MaxName)} {
		require.NoError(t, adapters.CheckPrefix(prefix), "%q", prefix)
	}
	for _, prefix := range []string{"", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "a b", "%2F", "é", "a\n", strings.Repeat("p", adapters.MaxName+1)} {
		require.ErrorIs(t, adapters.CheckPrefix(prefix), adapters.ErrInvalid, "%q", prefix)
	}
}

func ExampleEscape() {
	for _, name := range []string{"jobs", "eu/west 1", ".."} {
		segment, err := adapters.Escape(name)
		fmt.Println(segment, err)
	}
	_, err := adapters.Escape("")
	fmt.Println(err)
	// Output:
	// jobs <nil>
	// eu%2Fwest%201 <nil>
	// %2E. <nil>
	// invalid request: name is empty
}

// FuzzEscape takes two names, since that no two share a key is the point.
func FuzzEscape(f *testing.F) {
	for _, name := range []string{
		"", "a", ".", "..", "...", "%2E", "a/b", "%2F", "%2f", "%", "%25", "é", "e\u0301", "\x00", "\xff", " ", "+", "%+", "a%2Fb",
		"%00", "%FF", "\u202e", "//", "-", "_", strings.Repeat(".", adapters.MaxName), strings.Repeat("/", adapters.MaxName+1),
	} {
		f.Add(name, "%2E")
		f.Add("a/b", name)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		ka, errA := adapters.Escape(a)
		if valid := a != "" && len(a) <= adapters.MaxName; valid != (errA == nil) {
			t.Fatalf("Escape(%q): %v", a, errA)
		}
		if errA != nil {
			if ka != "" {
				t.Fatalf("Escape(%q) failed and returned %q", a, ka)
			}
		} else {
			if strings.Trim(ka, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.%") != "" || strings.Contains(ka, "/") {
				t.Fatalf("Escape(%q) = %q: a byte that must not be there", a, ka)
			}
			if strings.Trim(ka, ".") == "" || len(ka) > 3*adapters.MaxName {
				t.Fatalf("Escape(%q) = %q: only dots, or too long", a, ka)
			}
			if back, err := adapters.Unescape(ka); err != nil || back != a {
				t.Fatalf("Unescape(Escape(%q)) = %q, %v", a, back, err)
			}
			if kb, errB := adapters.Escape(b); errB == nil && (ka == kb) != (a == b) {
				t.Fatalf("%q and %q have keys %q and %q", a, b, ka, kb)
			}
		}
		// Seen as a segment that somebody else wrote, a is refused or exactly ours.
		if name, err := adapters.Unescape(a); err == nil {
			if again, err := adapters.Escape(name); err != nil || again != a {
				t.Fatalf("Unescape(%q) = %q, whose key is %q, %v", a, name, again, err)
			}
		}
	})
}
