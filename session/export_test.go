// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session

// PlantReceipt makes trust count from when a renewal's answer arrived.
func (o *Options) PlantReceipt() { o.plant.fromReceipt = true }

// PlantNoSettle takes an unknown outcome for a failure.
func (o *Options) PlantNoSettle() { o.plant.noSettle = true }
