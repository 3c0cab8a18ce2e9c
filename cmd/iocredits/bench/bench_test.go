package bench

import (
	"slices"
	"testing"
	"time"
)

func TestTheMedianRunCounts(t *testing.T) {
	for name, c := range map[string]struct {
		runs   []int
		median float64
	}{
		"one":  {[]int{7}, 7},
		"two":  {[]int{9, 5}, 5},
		"odd":  {[]int{9, 5, 7}, 7},
		"even": {[]int{9, 5, 8, 7}, 7},
	} {
		t.Run(name, func(t *testing.T) {
			samples := make([]*sample, len(c.runs))
			for i, units := range c.runs {
				samples[i] = &sample{units: units, took: time.Second}
			}
			f := summarize(Figure{}, samples)
			if f.Value != c.median || f.Low != float64(slices.Min(c.runs)) || f.High != float64(slices.Max(c.runs)) {
				t.Errorf("%g of %g to %g", f.Value, f.Low, f.High)
			}
		})
	}
}
