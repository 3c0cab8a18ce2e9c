package account

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestPurchasesAreAMap holds them against a map of purchases.
func TestPurchasesAreAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringMatching(`[a-c]{0,2}`)
		model := map[string]SettledPurchase{}
		var ps purchases
		for lot := range rapid.Int64Range(0, 20).Draw(t, "puts") {
			p := SettledPurchase{ID: id.Draw(t, "id"), Lot: lot}
			model[p.ID] = p
			ps.put(p)
			other := id.Draw(t, "other")
			want, known := model[other]
			if have, found := ps.get(other); found != known || have.Lot != want.Lot || have.ID != want.ID {
				t.Fatalf("%q: %v %v, want %v %v", other, have, found, want, known)
			}
		}
		ids := make([]string, 0, len(ps))
		for _, p := range ps {
			ids = append(ids, p.ID)
		}
		if want := slices.Sorted(maps.Keys(model)); !slices.Equal(ids, want) {
			t.Fatalf("has %q, want %q", ids, want)
		}
	})
}
