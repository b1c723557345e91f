// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"cmp"
	"fmt"
	"os"
)

// rootNemeses are those that need the rights of root, and Linux.
var rootNemeses = []nemesis{
	{"leader cut off", true, "", leaderCutOff, loopback},
	{"one way", true, "", oneWay, loopback},
	{"ring", true, "", ring, loopback},
	{"member out of reach", true, "", outOfReach, loopback},
	{"slow disk", true, "", slowDisk, noDisk},
	{"full disk", true, "", fullDisk, loopback},
	{"CPU quota", true, "", cpuQuota, without(cpuGroups, "cpu.cfs_quota_us")},
	{"freezer", true, "", serverFrozen, without(freezerGroups, "cgroup.procs")},
	{"stop by freezer", true, "", clientFrozen, without(freezerGroups, "cgroup.procs")},
	{"time of day", true, "", timeOfDay, clockFixed},
}

// loopback says why servers are not in namespaces, or "" if they are.
func loopback(r *run) string {
	if r.cluster.Servers()[0].Host().Netns != "" {
		return ""
	}
	if why := os.Getenv(envArena); why != inside && why != "" {
		return "servers are not in namespaces of their own: " + why
	}
	return "servers are not in namespaces of their own"
}

func noDisk(r *run) string {
	if why := loopback(r); why != "" {
		return why
	}
	if r.cluster.Servers()[onDisk].Host().Dir == "" {
		return "temporary files are not on a block device"
	}
	return without(diskGroups, diskThrottle)(r)
}

// without says whether there are no groups of processes of a kind.
func without(kind groups, file string) func(*run) string {
	return func(*run) string {
		if os.Geteuid() != 0 {
			return "this is not root"
		}
		if kind.root(file) == "" {
			return fmt.Sprintf("no control groups with %s", cmp.Or(kind.controller, file))
		}
		return ""
	}
}

// clockFixed finds out by setting the clock to what it is.
func clockFixed(*run) string {
	clock.Lock()
	defer clock.Unlock()
	restore, err := setClock(0)
	if err != nil {
		return "the clock cannot be set: " + err.Error()
	}
	restore()
	return ""
}
