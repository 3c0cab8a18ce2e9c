package account

import (
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestTable holds a table against a map: what it finds, and what it is in JSON. A
// snapshot that an engine made of a map is read into a table, and the other way round.
func TestTable(t *testing.T) {
	type with[T any] struct{ Values T }
	stored := func(v any) string {
		b, err := json.Marshal(v, json.Deterministic(true), json.OmitZeroStructFields(true))
		require.NoError(t, err)
		return string(b)
	}
	rapid.Check(t, func(r *rapid.T) {
		model, values := with[map[string]SettledPurchase]{}, with[table[SettledPurchase]]{}
		key := rapid.StringMatching(`[a-c"é]{0,2}`)
		for range rapid.IntRange(0, 20).Draw(r, "puts") {
			k, v := key.Draw(r, "key"), SettledPurchase{Lot: rapid.Int64Range(0, 9).Draw(r, "lot")}
			put(&model.Values, k, v)
			values.Values.put(k, v)
			k = key.Draw(r, "other")
			want, there := model.Values[k]
			have, found := values.Values.get(k)
			if have.Lot != want.Lot || found != there {
				r.Fatalf("%q: %v %v, want %v %v", k, have, found, want, there)
			}
		}
		text := stored(model)
		assert.Equal(t, text, stored(values))
		var back with[table[SettledPurchase]]
		require.NoError(t, json.Unmarshal([]byte(text), &back))
		assert.Equal(t, values, back)
	})
}

// TestTableOfOtherJSON: a damaged snapshot is an error.
func TestTableOfOtherJSON(t *testing.T) {
	for _, text := range []string{`[]`, `"a"`, `{"a":1}`, `{"a":{},"a":{}}`, `{"a"`} {
		assert.Error(t, json.Unmarshal([]byte(text), new(table[SettledPurchase])), text)
	}
}
