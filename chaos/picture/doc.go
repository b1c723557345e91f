// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

// Package picture draws a chaos run: who held what, and when, and what was done
// to whom meanwhile, with all that is wrong in red.
//
// [Write] makes one HTML page that refers to nothing outside itself and runs no
// script, so it can be kept, mailed, and opened in ten years.
//
// # What it shows
//
//   - At the top each violation, with a link to its place in the picture.
//   - The whole run in one strip: a lane for each name, the nemeses shaded.
//   - Each lock and each election that has a violation, open: close-ups of the
//     violations, then ten seconds around them, one lane for each process.
//   - The other names, folded.
//
// A bar is what a holder believes: from when it had the place until it was told
// so for the last time. The thin part after it lasts until it had given the place
// back, or was told that it was lost. A line is a wait. Red is where the beliefs
// of two meet. All times are seconds since the first event.
//
// # What it leaves out
//
// A run of minutes has more tries than anybody can look at, or a browser bear.
// So a piece with too many of them is drawn coarsely: bars only, of which those
// that touch are one. What was left out is said below each picture. Overlaps are
// drawn in either form. Sessions are no places, and are not drawn.
package picture
