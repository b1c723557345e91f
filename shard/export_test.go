// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package shard

// PlantBlind has claims be taken although their owners live.
func (o *Options) PlantBlind() { o.plant.blind = true }

// PlantHasty has shards be handed over while their work goes on.
func (o *Options) PlantHasty() { o.plant.hasty = true }

// PlantHeir has a new life act on the claims of the one before.
func (o *Options) PlantHeir() { o.plant.heir = true }

// PlantAnarchy has everybody plan at once.
func (o *Options) PlantAnarchy() { o.plant.anarchy = true }
