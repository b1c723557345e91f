// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package links

import (
	"fmt"
	"os"
	"strings"
)

// Connections counts those that the kernel has established to the link; 0 where
// it does not tell.
func (l *Link) Connections() (n int) {
	b, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return 0
	}
	for _, p := range l.proxies {
		var port int
		if _, err := fmt.Sscanf(p.Listen[strings.LastIndex(p.Listen, ":")+1:], "%d", &port); err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) > 3 && f[3] == "01" && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				n++
			}
		}
	}
	return n
}
