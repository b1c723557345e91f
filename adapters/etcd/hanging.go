// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"strings"
	"sync"

	"github.com/quorate/quorate/adapters"
)

// hanging remembers beneath which directory the keys of a lease are. etcd wants
// the right to write them all from who renews or revokes it, but whoever lacks
// that right cannot ask which they are.
type hanging struct {
	mu   sync.Mutex
	dirs map[int64]string
}

// leases is how many are remembered. A process has one lease, and a few that it
// has lost; to forget one costs an error nothing but precision.
const leases = 256

// add notes the keys that tx has put on leases.
func (h *hanging) add(tx adapters.Tx) {
	for _, op := range tx.Then {
		if op.Kind != adapters.OpPutLeased {
			continue
		}
		id := parseLease(op.Lease)
		h.mu.Lock()
		dir, known := h.dirs[id]
		if !known {
			dir = above(op.Key, op.Key)
		}
		if !strings.HasPrefix(op.Key, dir) {
			dir = above(dir, op.Key)
		}
		if h.dirs == nil || len(h.dirs) >= leases && !known {
			h.dirs = make(map[int64]string)
		}
		h.dirs[id] = dir
		h.mu.Unlock()
	}
}

func (h *hanging) beneath(id int64) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dirs[id]
}

func (h *hanging) forget(id int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.dirs, id)
}
