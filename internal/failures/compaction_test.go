// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package failures

import (
	"context"

	"github.com/stretchr/testify/require"

	"github.com/quorate/quorate/internal/links"
)

func compacted(st *stage) {
	type wait struct {
		first, second *party
		link          *links.Link
	}
	them := map[*trial]*wait{}
	for _, tr := range st.trials {
		tr.site.TTL = calm
		them[tr] = &wait{}
	}
	st.each("begin", func(tr *trial) {
		w := them[tr]
		w.first, _, _ = tr.holder()
		w.second, _, w.link = tr.waiter(context.Background())
	})
	for _, tr := range st.trials {
		them[tr].link.Cut()
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for range 3 {
		_, err := st.ground.etcd.Put(ctx, "elsewhere", "")
		require.NoError(st, err)
	}
	_, err := st.cluster.(etcdCluster).Compact(ctx)
	require.NoError(st, err)
	for _, tr := range st.trials {
		them[tr].link.Join()
	}
	st.each("after it", func(tr *trial) {
		w := them[tr]
		if within(bound, w.second.done) && w.second.err != nil {
			tr.row.fault("the waiter gives up: %v", w.second.err)
			return
		}
		tr.handsOver(w.first, w.second, afterFault)
	})
}
