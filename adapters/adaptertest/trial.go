// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package adaptertest

import (
	"fmt"
	"strings"
	"time"

	"github.com/quorate/quorate/adapters"
)

// key returns a key, or with a slash at the end a subtree, of this rule.
func (t *trial) key(format string, args ...any) string { return t.root + fmt.Sprintf(format, args...) }

// read is a Read that must succeed, with a view of the right form.
func (t *trial) read(name string) adapters.View {
	t.Helper()
	view, err := t.store.Read(t.ctx, name)
	t.must(err, "Read(%q)", name)
	if wrong := malformed(name, view); wrong != "" {
		t.failf("Read(%q): %s", name, wrong)
	}
	return view
}

// get reads one key that must exist.
func (t *trial) get(key string) adapters.KV {
	t.Helper()
	kv, ok := t.read(key).Get(key)
	if !ok {
		t.failf("%q is not there, it should be", key)
	}
	return kv
}

// gone requires that a key does not exist.
func (t *trial) gone(key, why string) {
	t.Helper()
	if kv, ok := t.read(key).Get(key); ok {
		t.failf("%q is there (%s), it should not be: %s", key, show(kv), why)
	}
}

// value requires what a key holds.
func (t *trial) value(key, want string) adapters.KV {
	t.Helper()
	kv := t.get(key)
	if string(kv.Value) != want {
		t.failf("%q holds %q, want %q", key, kv.Value, want)
	}
	return kv
}

// lease requires the lease that a key hangs on.
func (t *trial) lease(key string, want adapters.LeaseID) {
	t.Helper()
	if kv := t.get(key); kv.Lease != want {
		t.failf("%q hangs on lease %q, want %q", key, kv.Lease, want)
	}
}

func (t *trial) commit(tx adapters.Tx) adapters.Result {
	t.Helper()
	res, err := t.store.Commit(t.ctx, tx)
	t.must(err, "Commit(%+v)", brief(tx))
	if len(res.Views) != len(tx.Reads) {
		t.failf("Commit answered %d views to %d reads", len(res.Views), len(tx.Reads))
	}
	for i, name := range tx.Reads {
		if wrong := malformed(name, res.Views[i]); wrong != "" {
			t.failf("Commit's read of %q: %s", name, wrong)
		}
	}
	return res
}

// conflict requires that a Tx fails for its conditions.
func (t *trial) conflict(tx adapters.Tx) {
	t.Helper()
	res, err := t.store.Commit(t.ctx, tx)
	t.wantErr(err, adapters.ErrConflict, "Commit(%+v)", brief(tx))
	if len(res.Views) != 0 {
		t.failf("a Tx that did not commit answered %d reads", len(res.Views))
	}
}

// create writes a key that is absent and returns it as it then is.
func (t *trial) create(key, value string) adapters.KV {
	t.Helper()
	t.commit(adapters.Tx{If: []adapters.Cond{adapters.Absent(key)}, Then: []adapters.Op{adapters.Put(key, []byte(value))}})
	return t.get(key)
}

// createLeased is create, on a lease.
func (t *trial) createLeased(key, value string, id adapters.LeaseID) adapters.KV {
	t.Helper()
	t.commit(leased(key, value, id))
	return t.get(key)
}

func leased(key, value string, id adapters.LeaseID) adapters.Tx {
	return adapters.Tx{
		If:   []adapters.Cond{adapters.Absent(key)},
		Then: []adapters.Op{adapters.PutLeased(key, []byte(value), id)},
	}
}

// swap is the compare and swap of one key.
func swap(key string, mod adapters.Rev, value string) adapters.Tx {
	return adapters.Tx{
		If:   []adapters.Cond{adapters.Unchanged(key, mod)},
		Then: []adapters.Op{adapters.PutKeep(key, []byte(value))},
	}
}

func (t *trial) update(key, value string) {
	t.Helper()
	t.commit(swap(key, t.get(key).Mod, value))
}

func (t *trial) delete(keys ...string) {
	t.Helper()
	var tx adapters.Tx
	for _, key := range keys {
		tx.Then = append(tx.Then, adapters.Delete(key))
	}
	t.commit(tx)
}

// grant starts a lease that is revoked when the rule is over, and that does not
// end before, however slow the machine.
func (t *trial) grant() adapters.Lease {
	t.Helper()
	ttl := max(t.ttl, 3*patience)
	if most := t.store.Limits().MaxTTL; most > 0 {
		ttl = min(ttl, most)
	}
	return t.grantFor(ttl)
}

func (t *trial) grantFor(ttl time.Duration) adapters.Lease {
	t.Helper()
	l, err := t.store.Grant(t.ctx, ttl)
	t.must(err, "Grant(%v)", ttl)
	t.Cleanup(func() { t.end(l.ID) })
	return l
}

// end revokes a lease when the rule is over.
func (t *trial) end(id adapters.LeaseID) {
	ctx, cancel := contextAfter(t.ctx)
	defer cancel()
	if err := t.store.Revoke(ctx, id); err != nil {
		t.Logf("cleaning up: %v", err)
	}
}

func (t *trial) renew(id adapters.LeaseID) {
	t.Helper()
	_, err := t.store.Renew(t.ctx, id)
	t.must(err, "Renew(%s)", id)
}

func (t *trial) revoke(id adapters.LeaseID) {
	t.Helper()
	t.must(t.store.Revoke(t.ctx, id), "Revoke(%s)", id)
}

// sleep waits without outliving the rule.
func (t *trial) sleep(d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.ctx.Done():
		t.failf("%v", t.ctx.Err())
	}
}

// together calls f n times at once and returns the error of each.
func (t *trial) together(n int, f func(i int) error) []error {
	errs, done, start := make([]error, n), make(chan struct{}), make(chan struct{})
	for i := range n {
		go func() {
			<-start
			errs[i] = f(i)
			done <- struct{}{}
		}()
	}
	close(start)
	for range n {
		<-done
	}
	return errs
}

// malformed says what is wrong with the form of a view of name.
func malformed(name string, v adapters.View) string {
	for i, kv := range v.KVs {
		switch {
		case i > 0 && v.KVs[i-1].Key >= kv.Key:
			return fmt.Sprintf("keys are not sorted: %q before %q", v.KVs[i-1].Key, kv.Key)
		case strings.HasSuffix(name, "/") && (!strings.HasPrefix(kv.Key, name) || kv.Key == name):
			return fmt.Sprintf("shows %q, which is not beneath it", kv.Key)
		case !strings.HasSuffix(name, "/") && kv.Key != name:
			return fmt.Sprintf("shows %q, which is another key", kv.Key)
		case kv.Created == 0 || kv.Mod < kv.Created || kv.Mod >= 1<<47:
			return fmt.Sprintf("%q has Created %d, Mod %d: want 0 < Created <= Mod < 1<<47", kv.Key, kv.Created, kv.Mod)
		}
	}
	return ""
}

func show(kv adapters.KV) string {
	return fmt.Sprintf("value %.40q, created %d, mod %d, lease %q", kv.Value, kv.Created, kv.Mod, kv.Lease)
}

// brief shows a Tx without its values.
func brief(tx adapters.Tx) string {
	var b strings.Builder
	for _, c := range tx.If {
		fmt.Fprintf(&b, "if %s %q %d %s; ", [...]string{"?", "absent", "unchanged", "held"}[min(c.Kind, 3)], c.Key, c.Mod, c.Lease)
	}
	for _, op := range tx.Then {
		fmt.Fprintf(&b, "%s %q %s; ", [...]string{"?", "put", "put-leased", "put-keep", "delete"}[min(op.Kind, 4)], op.Key, op.Lease)
	}
	return b.String() + fmt.Sprintf("read %q", tx.Reads)
}
