// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package links

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
	"go.uber.org/goleak"
)

// Directions, as the proxy calls them.
const (
	Requests = "upstream"
	Answers  = "downstream"
)

// A Link is the way from one party to all servers, one proxy for each.
type Link struct {
	endpoints []string
	proxies   []*toxiproxy.Proxy
}

// New starts a link to the endpoints, which are URLs. Who has it cuts it at the
// end.
func New(t testing.TB, endpoints []string) *Link {
	t.Helper()
	l := &Link{}
	for _, e := range endpoints {
		scheme, upstream, ok := strings.Cut(e, "://")
		if !ok {
			t.Fatalf("links: endpoint %q is no URL", e)
		}
		srv := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
		p := toxiproxy.NewProxy(srv, "link", "127.0.0.1:0", upstream)
		if err := p.Start(); err != nil {
			t.Fatalf("links: %v", err)
		}
		l.proxies = append(l.proxies, p)
		l.endpoints = append(l.endpoints, scheme+"://"+p.Listen)
	}
	return l
}

// Leaks are goroutines that the proxy leaves behind.
func Leaks() []goleak.Option {
	return []goleak.Option{
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).read"),
	}
}

// Endpoints are what the party is given in place of the servers' URLs.
func (l *Link) Endpoints() []string { return l.endpoints }

// Way is the part of the link that leads to one of the endpoints.
func (l *Link) Way(i int) *Link {
	return &Link{endpoints: l.endpoints[i : i+1], proxies: l.proxies[i : i+1]}
}

// Swallow has the link drop what goes in these directions, without an error to
// anybody, until Heal.
func (l *Link) Swallow(directions ...string) {
	for _, d := range directions {
		l.add(&toxics.TimeoutToxic{}, "timeout", d)
	}
}

// Delay holds up what goes in a direction. What is held up at Heal arrives then.
func (l *Link) Delay(direction string, by time.Duration) {
	l.add(&toxics.LatencyToxic{Latency: by.Milliseconds()}, "latency", direction)
}

// Cut ends all connections; new ones are refused until Join.
func (l *Link) Cut() {
	for _, p := range l.proxies {
		p.Stop()
	}
}

// Join takes connections again after a Cut.
func (l *Link) Join() {
	for _, p := range l.proxies {
		must(p.Start())
	}
}

// Heal takes back all that was done to the link. Connections that something was
// dropped on are closed, since nothing sensible can come over them any more.
func (l *Link) Heal() {
	for _, p := range l.proxies {
		p.Toxics.ResetToxics(context.Background())
	}
}

func (l *Link) add(toxic toxics.Toxic, kind, direction string) {
	told, err := json.Marshal(toxics.ToxicWrapper{Toxic: toxic, Type: kind, Stream: direction, Toxicity: 1})
	must(err)
	for _, p := range l.proxies {
		_, err := p.Toxics.AddToxicJson(bytes.NewReader(told))
		must(err)
	}
}

// must is for what cannot fail: a link is used in goroutines and over several
// tests, so none of them can be told.
func must(err error) {
	if err != nil {
		panic("links: " + err.Error())
	}
}
