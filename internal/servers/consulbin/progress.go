// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consulbin

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// progress tells a person what a build does, and now and then how far it is.
type progress struct {
	out   io.Writer
	begin time.Time
	done  chan struct{}
	over  sync.WaitGroup

	mu                             sync.Mutex
	downloaded, compiled, expected int
	linking                        bool
}

func newProgress(out io.Writer, every time.Duration) *progress {
	p := &progress{out: out, begin: time.Now(), done: make(chan struct{})}
	p.over.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.say("%s: %s", p.elapsed(), p)
			case <-p.done:
				return
			}
		}
	})
	return p
}

// stop ends the telling how far it is.
func (p *progress) stop() {
	close(p.done)
	p.over.Wait()
}

func (p *progress) say(format string, args ...any) {
	text := fmt.Sprintf("consul: "+format+"\n", args...)
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = io.WriteString(p.out, text)
}

func (p *progress) elapsed() time.Duration { return time.Since(p.begin).Round(time.Second) }

// line takes one line that the go command wrote while it works: what it loads,
// or with -v the package that it compiled.
func (p *progress) line(text string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case strings.HasPrefix(text, "go: downloading "):
		p.downloaded++
	case !strings.Contains(text, " "):
		p.compiled++
	}
}

// expect says how many packages there are, those included that are compiled already.
func (p *progress) expect(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = n
}

func (p *progress) link() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.linking = true
}

func (p *progress) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.linking:
		return "linking"
	case p.expected == 0:
		return fmt.Sprintf("%d modules downloaded", p.downloaded)
	default:
		return fmt.Sprintf("%d of at most %d packages compiled", p.compiled, p.expected)
	}
}
