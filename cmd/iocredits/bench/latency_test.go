package bench

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// A quantile is never below the true one, and at most 1.6 % above it.
func TestQuantiles(t *testing.T) {
	const seed = 7
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, seed))
	for range 10_000 {
		d := time.Duration(r.Int64N(math.MaxInt64) >> r.IntN(63))
		var h histogram
		h.add(d)
		got := h.quantile(0.999)
		if got < d || float64(got) > float64(d)*(1+1.0/64) {
			t.Fatalf("%d counts as %d", d, got)
		}
	}
	var a, b histogram
	for i := range 100 {
		a.add(time.Duration(i))
		b.add(time.Duration(i) * time.Millisecond)
	}
	if got := a.quantile(0.5); got != 50 {
		t.Fatalf("half of 0 to 99 is below %d", got)
	}
	a.merge(&b)
	if got := a.quantile(0.75); got < 50*time.Millisecond || got > 51*time.Millisecond {
		t.Fatalf("three quarters are below %s", got)
	}
	if got := new(histogram).quantile(0.5); got != 0 {
		t.Fatalf("nothing has a median of %s", got)
	}
}
