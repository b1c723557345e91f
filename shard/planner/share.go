// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package planner

// A share is how many shards somebody is due: whole + num/den, num < den. All
// shares of one filling have the same den.
type share struct {
	whole    int
	num, den uint64
}

// ceil returns the share rounded up.
func (s share) ceil() int {
	if s.num > 0 {
		return s.whole + 1
	}
	return s.whole
}

// around returns the share less and more slack percent, rounded outwards, but
// within limit.
func (s share) around(slack int, limit bounds) bounds {
	lo, _ := s.percent(max(0, 100-slack))
	_, hi := s.percent(100 + slack)
	return bounds{min(max(lo, limit.lo), limit.hi), max(min(hi, limit.hi), limit.lo)}
}

// percent returns p percent of the share, rounded down and up.
func (s share) percent(p int) (down, up int) {
	hundredths := uint64(s.whole)*uint64(p) + s.num*uint64(p)/s.den
	down = int(hundredths / 100)
	if s.num*uint64(p)%s.den > 0 {
		hundredths++
	}
	return down, int((hundredths + 99) / 100)
}

// bounds are the fewest and the most that somebody can be due.
type bounds struct{ lo, hi int }

// fill deals total out by weight to all whose bounds allow it: everybody is
// filled to one level, those whose level is out of their bounds are fixed at
// the bound, and what is left is dealt out again to the others. If the upper
// bounds do not hold it all, everybody gets his. Total must cover the lower
// ones; a weight of 0 gets its lower bound.
func fill(total int, weights []uint64, bs []bounds) []share {
	shares := make([]share, len(weights))
	open := make([]int, 0, len(weights))
	left, weight := int64(total), uint64(0)
	for i, w := range weights {
		if w == 0 || bs[i].lo >= bs[i].hi {
			shares[i] = share{whole: bs[i].lo, den: 1}
			left -= int64(bs[i].lo)
			continue
		}
		open = append(open, i)
		weight += w
	}
	for len(open) > 0 {
		// How far the level is below lower bounds and above upper ones, times
		// weight. The larger of both errs for good: fixing it only moves the
		// level further away from those on its other side.
		var below, above uint64
		for _, i := range open {
			due := uint64(left) * weights[i]
			if lo := uint64(bs[i].lo) * weight; due < lo {
				below += lo - due
			} else if hi := uint64(bs[i].hi) * weight; due > hi {
				above += due - hi
			}
		}
		if below == 0 && above == 0 {
			break
		}
		rest := open[:0]
		level, sum := uint64(left), weight
		for _, i := range open {
			due := level * weights[i]
			switch {
			case below >= above && due < uint64(bs[i].lo)*sum:
				shares[i] = share{whole: bs[i].lo, den: 1}
			case below < above && due > uint64(bs[i].hi)*sum:
				shares[i] = share{whole: bs[i].hi, den: 1}
			default:
				rest = append(rest, i)
				continue
			}
			left -= int64(shares[i].whole)
			weight -= weights[i]
		}
		open = rest
	}
	for _, i := range open {
		due := uint64(left) * weights[i]
		shares[i] = share{whole: int(due / weight), num: due % weight, den: weight}
	}
	return shares
}

// sum adds shares of one filling.
func sum(shares []share, of []int) share {
	total := share{den: 1}
	for _, i := range of {
		s := shares[i]
		total.whole += s.whole
		if s.num > 0 {
			total.num += s.num
			total.den = s.den
		}
	}
	total.whole += int(total.num / total.den)
	total.num %= total.den
	return total
}
