// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/chaos/history"
	"github.com/quorate/quorate/internal/links"
	"github.com/quorate/quorate/internal/servers"
)

// A cluster is servers in processes of their own.
type cluster interface {
	Servers() []*servers.Member
	Leader(ctx context.Context) (int, error)
	Ready(ctx context.Context) error
	Endpoints() []string
}

type etcdCluster struct{ *servers.Etcd }

func (e etcdCluster) Servers() []*servers.Member { return e.Members() }

// A setting is what a run is made of.
type setting struct {
	backend string // etcd, consul
	cluster cluster
	clients int
	ttl     time.Duration // of their sessions
	seed    uint64
	plant   string // a defect that the clients have; "" is none
}

// A run is a cluster, clients that use it, and one nemesis after another.
type run struct {
	*testing.T
	setting
	dir      string // of the histories
	rng      *rand.Rand
	log      *history.Writer // of the nemeses
	resource *resource
	resLog   *history.Writer
	procs    []*proc // the clients
	truth    *truth
	usage    *usage
	blame    *blame
	calmed   bool // it has been calm for so long that nothing of a nemesis is left
}

// A proc is one client, with a link of its own.
type proc struct {
	name   string
	number int
	link   *links.Link
	run    *run

	mu    sync.Mutex
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lives int
	gone  chan struct{}
	exit  error                    // how it ended; set when gone is closed
	read  int64                    // so far its history has been read, and there were
	told  []history.Event          // the states of its session,
	tries map[uint64]string        // the names of tries that got theirs,
	last  map[string]time.Duration // and when it was last told that it has a name
}

// newRun begins a run; its clients do not work yet.
func newRun(t *testing.T, s setting) *run {
	t.Helper()
	r := &run{T: t, setting: s, dir: t.TempDir(), rng: rand.New(rand.NewPCG(s.seed, 0)), blame: &blame{}}
	t.Cleanup(r.abandon)
	var err error
	r.log, err = history.Create(r.dir, history.Nemesis)
	require.NoError(t, err)
	r.resLog, err = history.Create(r.dir, history.Resource)
	require.NoError(t, err)
	r.resource = startResource(t, r.resLog)
	return r
}

// prefix is where the run's keys are. Runs of different seeds may share servers.
func (r *run) prefix() string { return fmt.Sprint("chaos-", r.seed) }

// start starts the clients.
func (r *run) start() {
	r.Helper()
	r.startTruth()
	for i := range r.clients {
		p := &proc{name: fmt.Sprint("client-", i), number: i, link: links.New(r.T, r.cluster.Endpoints()), run: r,
			tries: map[uint64]string{}, last: map[string]time.Duration{}}
		r.procs = append(r.procs, p)
		p.start()
	}
	r.usage = r.watchUsage()
}

// works waits until every client has a session: what begins earlier hits some
// who are not there yet. It says whether they have.
func (r *run) works() bool {
	r.Helper()
	for _, p := range r.procs {
		if p.state(0, "active", 30*time.Second) == "" {
			r.wrong(p.name, "it has no session")
			return false
		}
	}
	return true
}

func (p *proc) start() {
	p.run.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lives++
	told, err := json.Marshal(orders{
		Proc: p.name, Number: p.number, Dir: p.run.dir, Backend: p.run.backend, Endpoints: p.link.Endpoints(), Prefix: p.run.prefix(),
		TTL: p.run.ttl, Seed: p.run.seed<<32 + uint64(p.number<<16+p.lives<<8), Resource: p.run.resource.addr, Plant: p.run.plant,
	})
	require.NoError(p.run, err)
	self, err := os.Executable()
	require.NoError(p.run, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), envClient+"="+string(told))
	cmd.SysProcAttr = dieWithParent
	stderr, err := os.OpenFile(filepath.Join(p.run.dir, p.name+".stderr"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	require.NoError(p.run, err)
	cmd.Stderr = stderr
	p.stdin, err = cmd.StdinPipe()
	require.NoError(p.run, err)
	require.NoError(p.run, cmd.Start())
	_ = stderr.Close()
	p.cmd, p.gone, p.exit = cmd, make(chan struct{}), nil
	gone := p.gone
	go func() {
		p.exit = cmd.Wait()
		close(gone)
	}()
}

// kill kills a client; the next start begins another life.
func (p *proc) kill() {
	if p.gone == nil {
		return // it has not even begun
	}
	_ = p.cmd.Process.Kill()
	<-p.gone
}

// end has a client end in order, and says what is wrong if it does not.
func (p *proc) end(within time.Duration) {
	if p.gone == nil {
		return
	}
	_ = p.stdin.Close()
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-p.gone:
		if p.exit != nil {
			p.run.wrong(p.name, "it has not ended in order: %v", p.exit)
		}
	case <-t.C:
		p.run.wrong(p.name, "it does not end within %v", within)
		p.kill()
	}
}

// finish ends all clients in order and closes the histories. It goes on whatever
// is wrong: what has been written is judged in any case.
func (r *run) finish(mode string) {
	r.Helper()
	for _, p := range r.procs {
		if p.stdin != nil {
			go p.stdin.Close()
		}
	}
	for _, p := range r.procs {
		p.end(20 * time.Second)
		b, err := os.ReadFile(filepath.Join(r.dir, p.name+".stderr"))
		if said := strings.TrimSpace(string(b)); err != nil || said != "" {
			r.wrong(p.name, "it has something to say: %s", cmp.Or(said, text(err)))
		}
		p.link.Cut()
	}
	r.usage.stop()
	r.truth.left(mode == liveness && r.calmed)
	r.resource.close()
	for _, closes := range []func() error{r.truth.stop, r.resLog.Close, r.log.Close} {
		if err := closes(); err != nil {
			r.wrong("history", "%v", err)
		}
	}
}

// abandon ends what a run that broke off has left.
func (r *run) abandon() {
	for _, p := range r.procs {
		p.kill()
		p.link.Cut()
	}
	if r.usage != nil {
		r.usage.stop()
	}
	if r.truth != nil {
		_ = r.truth.stop()
	}
	if r.resource != nil {
		r.resource.close()
	}
	for _, log := range []*history.Writer{r.resLog, r.log} {
		if log != nil {
			_ = log.Close()
		}
	}
}

// with is the run for a nemesis that acts beside others, with dice of its own.
func (r *run) with(seed uint64) *run {
	own := *r
	own.rng = rand.New(rand.NewPCG(r.seed, seed))
	return &own
}

// pick draws a client.
func (r *run) pick() *proc { return r.procs[r.rng.IntN(len(r.procs))] }

// must is for what cannot fail.
func must(err error) {
	if err != nil {
		panic("chaos: " + err.Error())
	}
}
