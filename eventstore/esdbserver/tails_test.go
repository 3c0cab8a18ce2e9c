package esdbserver

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore/recency"
)

// What is remembered of streams is bounded, however many they are and however long;
// what was used last is kept.
func TestTailsAreBounded(t *testing.T) {
	all := tails{byStream: map[string]*recency.Entry[tail]{}}
	check := func() {
		sum := 0
		for _, e := range all.byStream {
			sum += e.Value.bytes()
		}
		require.Equal(t, sum, all.bytes)
		require.LessOrEqual(t, sum, maxTailBytes)
	}
	for i := range 5000 {
		name := strings.Repeat("n", 900) + strconv.Itoa(i)
		all.keep(tail{stream: name, head: int64(i), places: make([]place, i%recentEvents)})
		_, known := all.at(name, int64(i))
		require.True(t, known)
		_, known = all.at(name, int64(i+1))
		require.False(t, known, "it has gone on")
		all.keep(tail{stream: "often", head: 1})
	}
	check()
	require.Greater(t, all.bytes, maxTailBytes*9/10)
	_, known := all.at("often", 1)
	require.True(t, known)
	all.keep(tail{stream: "long", places: make([]place, maxTailBytes/placeBytes)})
	check()
	require.Empty(t, all.byStream)
}
