// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/quorate/quorate/chaos/check"
	"github.com/quorate/quorate/chaos/history"
	"github.com/quorate/quorate/chaos/picture"
	"github.com/quorate/quorate/chaos/results"
)

// A verdict is what came out of a run.
type verdict struct {
	found  []check.Violation
	result *results.Result
}

// judge ends a run, judges its history, and keeps that if something is wrong
// with it. The test goes on, so that a soak shows all there is.
func (r *run) judge(mode string, plan []step, head results.Head) verdict {
	r.Helper()
	r.finish(mode)
	var v verdict
	h, err := history.Load(r.dir)
	if err == nil {
		v.found = check.All(h, check.Bounds{Liveness: mode == liveness, Heal: r.heal(), Lease: r.heal()})
	} else {
		r.wrong("history", "%v", err)
		h = history.Of()
	}
	peak := r.usage.most()
	if peak.Memory > mostMemory || peak.Files > mostFiles {
		v.found = append(v.found, check.Violation{Rule: "usage", Name: "clients", To: history.Now(),
			Text: fmt.Sprintf("a client has used %d MB and %d files", peak.Memory>>20, peak.Files)})
	}
	v.found = append(v.found, r.blame.all()...)
	for _, f := range v.found {
		r.Error(f)
	}
	if r.Failed() && len(v.found) == 0 {
		v.found = append(v.found, check.Violation{Rule: ruleRun, Name: "test", To: history.Now(), Text: "it has failed, and its output says why"})
	}
	v.result = results.Of(h, v.found, head)
	v.result.Peak.Max(peak)
	if r.Failed() {
		r.keeps(h, v.found, mode, plan)
	}
	return v
}

// keeps leaves a folder with all that there is to know about a run.
func (r *run) keeps(h *history.History, found []check.Violation, mode string, plan []step) {
	dir := filepath.Join(*failed, fmt.Sprintf("%s-%d-%s", r.backend, r.seed, time.Now().UTC().Format("20060102T150405")))
	if err := os.CopyFS(dir, os.DirFS(r.dir)); err != nil {
		r.Errorf("the run is not kept: %v", err)
		return
	}
	again := fmt.Sprintf("go test ./chaos -v -timeout 1h -run 'TestChaos/%s' -args -seed %d -mode %s -plan '%s'", r.backend, r.seed, mode, planned(plan))
	about := history.About{
		Backend: r.backend, Seed: r.seed, Liveness: mode == liveness, Plan: planned(plan), TTL: r.ttl.String(), Clients: r.clients,
		Servers: version(r.backend), Machine: machine(), Again: again, Heal: r.heal(), Lease: r.heal(),
	}
	for _, v := range found {
		about.Found = append(about.Found, v.String())
	}
	var page bytes.Buffer
	err := picture.Write(&page, h, found, picture.Head{Title: "chaos on " + r.backend, Seed: r.seed, Backend: r.backend, Command: again})
	err = errors.Join(err, about.Store(dir), os.WriteFile(filepath.Join(dir, "timeline.html"), page.Bytes(), 0o644))
	drawn := map[string]bool{}
	for _, v := range found {
		kind, name, ok := strings.Cut(v.Name, " ")
		if ok && (kind == history.Mutex || kind == history.Election) && !drawn[v.Name] {
			drawn[v.Name] = true
			err = errors.Join(err, check.Picture(h, kind, name, filepath.Join(dir, "porcupine-"+kind+"-"+name+".html")))
		}
	}
	if err != nil {
		r.Errorf("the run is not kept as a whole: %v", err)
	}
	r.Logf("kept in %s: histories, the servers' view, what was done, timeline.html\nonce more: %s\njudge it again: go run ./chaos/judge %s", dir, again, dir)
}

// version names the servers of a backend.
func version(backend string) string {
	module := map[string]string{"etcd": "go.etcd.io/etcd/server/v3", "consul": "github.com/hashicorp/consul/api"}[backend]
	if backend == "consul" {
		out, err := exec.Command(os.Getenv("QUORATE_CONSUL"), "version").Output()
		if err == nil {
			line, _, _ := strings.Cut(string(out), "\n")
			return line
		}
		return "Consul"
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", module).Output()
	if err != nil {
		return "etcd"
	}
	return "etcd " + strings.TrimSpace(string(out))
}

func machine() string {
	return fmt.Sprintf("%d cores, %s/%s, %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}
