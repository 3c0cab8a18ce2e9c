package bench

import (
	"math"
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

// A machine that slows down by half between two figures changes no ratio.
func TestRatiosAreToTheYardstickOfTheMoment(t *testing.T) {
	at := func(units int, perUnit time.Duration, yard pace) *sample {
		return &sample{units: units, took: time.Second, server: time.Duration(units) * perUnit, pace: yard}
	}
	fast, slow := pace{perSecond: 1000, cpu: 10e-6}, pace{perSecond: 500, cpu: 20e-6}
	summary := func(f Figure, s ...*sample) Figure {
		f.Yardstick = "empty"
		return summarize(f, s)
	}
	r := &run{figures: []Figure{
		{Name: "empty", Value: 1000, ServerCPU: 10 * time.Microsecond},
		summary(Figure{Name: "one", Limit: "empty"}, at(150, 80*time.Microsecond, slow), at(300, 40*time.Microsecond, fast), at(310, 40*time.Microsecond, fast)),
		summary(Figure{Name: "grown", Limit: "one"}, at(120, 80*time.Microsecond, slow)),
		{Name: "alone", Limit: "empty", Value: 100, ServerCPU: 20 * time.Microsecond},
	}}
	r.rate()
	for name, want := range map[string]float64{"one": 0.3, "grown": 0.8, "alone": 0.1} {
		if got := r.figure(name).Ratio; math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: %g, not %g", name, got, want)
		}
	}
	for name, want := range map[string]float64{"one": 0.25, "grown": 1, "alone": 0.5} {
		if got := r.figure(name).CPURatio; math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: %g in CPU, not %g", name, got, want)
		}
	}
}

func TestPaceIsTheMeanAround(t *testing.T) {
	if got := meanOf(pace{100, 2}, pace{200, 4}); got != (pace{150, 3}) {
		t.Errorf("%+v", got)
	}
	if got := oneAfterOther(200, 300); math.Abs(got-120) > 1e-9 {
		t.Errorf("%g", got)
	}
}
