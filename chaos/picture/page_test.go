// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package picture_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/chaos/check"
	"github.com/quorate/quorate/chaos/history"
	"github.com/quorate/quorate/chaos/picture"
)

// A node is an element of the page.
type node struct {
	XMLName xml.Name
	Attrs   []xml.Attr `xml:",any,attr"`
	Text    string     `xml:",chardata"`
	Nodes   []node     `xml:",any"`
}

func (n *node) attr(name string) string {
	for _, a := range n.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (n *node) number(t testing.TB, name string) float64 {
	f, err := strconv.ParseFloat(n.attr(name), 64)
	require.NoError(t, err, "%s of %s", name, n.XMLName.Local)
	return f
}

// all returns what is below n and has a class.
func (n *node) all(class string) (found []*node) {
	for i := range n.Nodes {
		c := &n.Nodes[i]
		for word := range strings.FieldsSeq(c.attr("class")) {
			if word == class {
				found = append(found, c)
			}
		}
		found = append(found, c.all(class)...)
	}
	return found
}

// words is all text below n.
func (n *node) words() string {
	s := n.Text
	for i := range n.Nodes {
		s += " " + n.Nodes[i].words()
	}
	return strings.Join(strings.Fields(s), " ")
}

// elements are the names of all elements below n.
func (n *node) elements() (names []string) {
	for i := range n.Nodes {
		names = append(append(names, n.Nodes[i].XMLName.Local), n.Nodes[i].elements()...)
	}
	return names
}

// A drawn page, taken apart: the parts that are XML, read as such.
type drawn struct {
	page string
	svgs []*node // the whole run's first
	list [][]string
	open []bool // each name's section
}

var (
	svgPart   = regexp.MustCompile(`(?s)<svg.*?</svg>`)
	listPart  = regexp.MustCompile(`(?s)<table id="violations">.*?</table>`)
	namePart  = regexp.MustCompile(`<details id="name-\d+"( open)?>`)
	reference = regexp.MustCompile(`(?i)https?:|//[a-z]|url\(|@import|\bsrc=|<link|<script|\son\w+=`)
	target    = regexp.MustCompile(`\bid="([^"]*)"`)
	jump      = regexp.MustCompile(`\bhref="([^"]*)"`)
)

// draw draws a history, and takes apart what comes out. Whatever is drawn must
// be one page that holds together: see the requirements here.
func draw(t testing.TB, h *history.History, found []check.Violation, head picture.Head) drawn {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, picture.Write(&b, h, found, head))
	d := drawn{page: b.String()}
	require.NotRegexp(t, reference, d.page, "refers to nothing outside, and runs nothing")
	ids := map[string]bool{}
	for _, m := range target.FindAllStringSubmatch(d.page, -1) {
		require.False(t, ids[m[1]], "%s is there twice", m[1])
		ids[m[1]] = true
	}
	for _, m := range jump.FindAllStringSubmatch(d.page, -1) {
		require.Truef(t, strings.HasPrefix(m[1], "#") && ids[m[1][1:]], "%s leads nowhere", m[1])
	}
	for _, part := range svgPart.FindAllString(d.page, -1) {
		d.svgs = append(d.svgs, parse(t, part))
	}
	require.NotEmpty(t, d.svgs)
	if part := listPart.FindString(d.page); part != "" {
		for _, row := range parse(t, part).Nodes[1:] {
			var cells []string
			for _, c := range row.Nodes {
				cells = append(cells, c.words())
			}
			d.list = append(d.list, cells)
		}
	}
	for _, m := range namePart.FindAllStringSubmatch(d.page, -1) {
		d.open = append(d.open, m[1] != "")
	}
	return d
}

func parse(t testing.TB, text string) *node {
	t.Helper()
	n := &node{}
	in := xml.NewDecoder(strings.NewReader(text))
	require.NoError(t, in.Decode(n), "not well-formed")
	_, err := in.Token()
	require.True(t, errors.Is(err, io.EOF), "there is something after the end")
	return n
}

// red is all that is drawn in the colour of what is wrong.
func (d drawn) red() (found []*node) {
	for _, s := range d.svgs {
		found = append(append(found, s.all("overlap")...), s.all("mark")...)
	}
	return found
}
