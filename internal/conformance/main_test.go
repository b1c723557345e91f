// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"testing"

	"github.com/quorate/quorate/internal/servers"
)

func TestMain(m *testing.M) { servers.Main(m) }
