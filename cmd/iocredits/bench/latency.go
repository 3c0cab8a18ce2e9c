package bench

import (
	"math/bits"
	"time"
)

// histogram counts latencies like HDR histograms do: 64 steps in each doubling,
// so that a figure is at most 1.6 % too high, however long or short it is.
type histogram struct {
	counts [(64 - stepBits + 1) << stepBits]uint32
	total  uint64
}

const stepBits = 6

// place is where a latency counts:
//
//	below 64 ns   its own value
//	above         (doublings over 64) * 64 + the 6 bits after the first
func place(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < 1<<stepBits {
		return int(v)
	}
	shift := bits.Len64(v) - stepBits - 1
	return (shift+1)<<stepBits + int(v>>shift) - 1<<stepBits
}

// ceiling is the longest latency that counts at a place.
func ceiling(place int) time.Duration {
	if place < 1<<stepBits {
		return time.Duration(place)
	}
	shift := place>>stepBits - 1
	step := uint64(place&(1<<stepBits-1)) + 1<<stepBits
	return time.Duration((step+1)<<shift - 1)
}

func (h *histogram) add(d time.Duration) {
	h.counts[place(d)]++
	h.total++
}

func (h *histogram) merge(other *histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
}

// quantile gives the latency that the share q of all stays within; 0 if there is none.
func (h *histogram) quantile(q float64) time.Duration {
	left := uint64(q * float64(h.total))
	for i, n := range h.counts {
		if uint64(n) > left {
			return ceiling(i)
		}
		left -= uint64(n)
	}
	return 0
}
