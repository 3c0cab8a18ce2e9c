package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// buy starts a purchase of 5 credits under a key of its own, and gives its id
// and its payment page; an empty id if the connection broke.
func (e *engine) buy(key string) (id, page string) {
	e.t.Helper()
	a, err := e.call("customer:demo-1", http.MethodPost, "/v1/accounts/demo-1/purchases", key, `{"amount":"5"}`)
	if err != nil {
		return "", ""
	}
	require.Equal(e.t, http.StatusCreated, a.Status, a.Text)
	purchase := a.Body["purchase"].(map[string]any)
	page, _ = purchase["payment_url"].(string)
	return purchase["id"].(string), page
}

func (e *engine) purchase(id string) map[string]any {
	e.t.Helper()
	return e.must("customer:demo-1", http.MethodGet, "/v1/accounts/demo-1/purchases/"+id, "", "")
}

// TestKilledWhileBuying kills engines while purchases are under way, and loses
// webhooks. In the end each key has one purchase, each purchase one link that
// works, and what was paid is credited once.
func TestKilledWhileBuying(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	data := t.TempDir()
	const purchases, kills = 12, 3
	ids := map[string]string{}
	for range kills {
		c := serveChild(t, data)
		dying := time.AfterFunc(time.Duration(20+random.IntN(150))*time.Millisecond, func() { _ = c.cmd.Process.Kill() })
		for i := range purchases {
			key := fmt.Sprintf("buy-%d", i)
			id, _ := c.buy(key)
			if id == "" {
				break
			}
			require.Contains(t, []string{"", id}, ids[key], "one key, one purchase")
			ids[key] = id
		}
		dying.Stop()
		c.kill()
	}
	e := serve(t, data, "--reconcile-every", "50ms")
	for i := range purchases {
		key := fmt.Sprintf("buy-%d", i)
		id, page := e.buy(key)
		require.Contains(t, []string{"", id}, ids[key], "one key, one purchase")
		require.Eventually(t, func() bool {
			page, _ = e.purchase(id)["payment_url"].(string)
			return page != ""
		}, patience, 10*time.Millisecond, "a link in the end")
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, page+"/silent", nil)
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		ids[key] = id
	}
	for _, id := range ids {
		require.Eventually(t, func() bool { return e.purchase(id)["status"] == "settled" }, patience, 10*time.Millisecond,
			"a lost webhook only delays")
	}
	require.Equal(t, fmt.Sprint(5*purchases), e.balance("demo-1"))
	require.Len(t, ids, purchases)
}
