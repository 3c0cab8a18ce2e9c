package recency_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"iocredits/eventstore/recency"
)

// order lists the values, the oldest first.
func order(o *recency.Order[int]) (values []int) {
	for e := o.Oldest(); e != nil; e = o.Newer(e) {
		values = append(values, e.Value)
	}
	return values
}

func TestOrder(t *testing.T) {
	var o recency.Order[int]
	assert.Nil(t, o.Oldest())
	const limit = 4
	entries := make([]recency.Entry[int], limit)
	for i := range entries {
		entries[i].Value = i
		o.Add(&entries[i])
	}
	assert.Equal(t, []int{0, 1, 2, 3}, order(&o))
	o.Use(&entries[2], limit)
	assert.Equal(t, []int{0, 1, 2, 3}, order(&o), "it is in the newer half")
	o.Use(&entries[0], limit)
	assert.Equal(t, []int{1, 2, 3, 0}, order(&o))
	o.Remove(&entries[2])
	o.Remove(&entries[0])
	assert.Equal(t, []int{1, 3}, order(&o))
	o.Remove(&entries[1])
	o.Remove(&entries[3])
	assert.Nil(t, o.Oldest())
	o.Add(&entries[0])
	assert.Equal(t, []int{0}, order(&o), "what was taken out comes in again")
}

// TestNothingThatWasUsedGoes: a cache of limit entries that drops its oldest never
// drops what was among the last limit/2 uses, and has what a list of the uses has.
func TestNothingThatWasUsedGoes(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		limit := rapid.IntRange(1, 9).Draw(r, "limit")
		var o recency.Order[int]
		entries := map[int]*recency.Entry[int]{}
		var uses []int
		for range rapid.IntRange(0, 200).Draw(r, "uses") {
			v := rapid.IntRange(0, 2*limit).Draw(r, "value")
			uses = append(uses, v)
			if e := entries[v]; e != nil {
				o.Use(e, limit)
				continue
			}
			entries[v] = &recency.Entry[int]{Value: v}
			o.Add(entries[v])
			for len(entries) > limit {
				oldest := o.Oldest()
				if slices.Contains(uses[max(0, len(uses)-limit/2):], oldest.Value) {
					r.Fatalf("%d goes, of limit %d, after %v", oldest.Value, limit, uses)
				}
				o.Remove(oldest)
				delete(entries, oldest.Value)
			}
			if len(order(&o)) != len(entries) {
				r.Fatalf("order has %v, of %d", order(&o), len(entries))
			}
		}
	})
}
