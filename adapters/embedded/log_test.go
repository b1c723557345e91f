// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// Without the hook this would end the test binary with status 1 and not a word.
func TestFatalSaysWhy(t *testing.T) {
	require.PanicsWithValue(t, "embedded: etcd cannot go on: disk gone map[path:/x]", func() {
		zapLogger(nil, nil).Fatal("disk gone", zap.String("path", "/x"))
	})
}
