// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// A link is the way from one client to all servers, one proxy for each.
type link struct {
	endpoints []string
	proxies   []*toxiproxy.Proxy
}

// Directions, as the proxy calls them.
const (
	requests = "upstream"
	answers  = "downstream"
)

func newLink(t testing.TB, endpoints []string) *link {
	t.Helper()
	l := &link{}
	for _, e := range endpoints {
		scheme, upstream, ok := strings.Cut(e, "://")
		require.True(t, ok, e)
		srv := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
		p := toxiproxy.NewProxy(srv, "link", "127.0.0.1:0", upstream)
		require.NoError(t, p.Start())
		l.proxies = append(l.proxies, p)
		l.endpoints = append(l.endpoints, scheme+"://"+p.Listen)
	}
	return l
}

// swallow drops what goes in these directions, without an error to anybody.
func (l *link) swallow(directions ...string) {
	for _, d := range directions {
		l.add(&toxics.TimeoutToxic{}, "timeout", d)
	}
}

// delay holds up what goes in a direction.
func (l *link) delay(direction string, by time.Duration) {
	l.add(&toxics.LatencyToxic{Latency: by.Milliseconds()}, "latency", direction)
}

// cut ends all connections; new ones are refused until join.
func (l *link) cut() {
	for _, p := range l.proxies {
		p.Stop()
	}
}

func (l *link) join() {
	for _, p := range l.proxies {
		must(p.Start())
	}
}

// heal takes back all that was done to what goes over the link.
func (l *link) heal() {
	for _, p := range l.proxies {
		p.Toxics.ResetToxics(context.Background())
	}
}

func (l *link) add(toxic toxics.Toxic, kind, direction string) {
	told, err := json.Marshal(toxics.ToxicWrapper{Toxic: toxic, Type: kind, Stream: direction, Toxicity: 1})
	must(err)
	for _, p := range l.proxies {
		_, err := p.Toxics.AddToxicJson(bytes.NewReader(told))
		must(err)
	}
}

// must is for what cannot fail.
func must(err error) {
	if err != nil {
		panic("chaos: " + err.Error())
	}
}
