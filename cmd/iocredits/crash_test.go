package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
)

// crashLoad is clients that deduct one micro-credit a request under keys of their
// own, and remember what they were told.
type crashLoad struct {
	mu sync.Mutex
	// told has the transaction of each key that was acknowledged; open the keys
	// whose request broke off; wrong what no engine may answer.
	told  map[string]string
	open  map[string]bool
	wrong []string
	next  atomic.Int64
}

const crashAccounts = 5

func crashAccount(key string) string {
	return fmt.Sprintf("crash-%d", int(key[len(key)-1])%crashAccounts)
}

// deduct sends a key. False: the connection broke, the outcome is unknown.
func (l *crashLoad) deduct(e *engine, key string) bool {
	a, err := e.call("service", http.MethodPost, "/v1/accounts/"+crashAccount(key)+"/deductions", key,
		`{"amount":"0.000001","service":"inference","reference":"crash"}`)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.open[key] = true
		return false
	}
	id := firstTransaction(a)
	before, known := l.told[key]
	if a.Status/100 != 2 || id == "" || known && before != id {
		l.wrong = append(l.wrong, fmt.Sprintf("%s (before: %q): status %d: %s", key, before, a.Status, a.Text))
		return false
	}
	l.told[key] = id
	delete(l.open, key)
	return true
}

func firstTransaction(a answer) string {
	transactions, _ := a.Body["transactions"].([]any)
	if len(transactions) == 0 {
		return ""
	}
	first, _ := transactions[0].(map[string]any)
	id, _ := first["transaction_id"].(string)
	return id
}

// until loads the engine until it is killed, which is after so many answers.
func (l *crashLoad) until(c *child, answers int64) {
	var done atomic.Int64
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for l.deduct(c.engine, fmt.Sprintf("crash-key-%d", l.next.Add(1))) {
				if done.Add(1) == answers {
					_ = c.cmd.Process.Kill()
				}
			}
		})
	}
	wg.Wait()
	c.kill()
}

// TestKillLosesNothingAndDoublesNothing counts the money after kill -9 in the
// middle of a load: what was acknowledged is there as it was answered, and what
// broke off has happened once when it is sent again.
func TestKillLosesNothingAndDoublesNothing(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	rounds := 4
	if testing.Short() {
		rounds = 2
	}
	data := t.TempDir()
	load := &crashLoad{told: map[string]string{}, open: map[string]bool{}}
	c := serveChild(t, data)
	for i := range crashAccounts {
		c.fund(fmt.Sprintf("crash-%d", i), "10")
	}
	for range rounds {
		load.until(c, 1+rng.Int64N(1500))
		c = serveChild(t, data)
		// First what was told, as it was told: an account that lost one would
		// give it another transaction id.
		for key := range load.told {
			require.True(t, load.deduct(c.engine, key), key)
		}
		for key := range load.open {
			require.True(t, load.deduct(c.engine, key), key)
		}
		load.check(t, c.engine)
	}
	require.NotEmpty(t, load.told)
	t.Logf("%d deductions over %d kills", len(load.told), rounds)
	require.NoError(t, c.stop())
	load.check(t, serve(t, data))
}

// check compares each account's balance with the keys that were sent.
func (l *crashLoad) check(t *testing.T, e *engine) {
	t.Helper()
	require.Empty(t, l.wrong)
	require.Empty(t, l.open)
	spent := map[string]domain.Amount{}
	ids := map[string]string{}
	for key, id := range l.told {
		spent[crashAccount(key)]++
		place := crashAccount(key) + "/" + id
		require.Empty(t, ids[place], "%s and %s are one transaction", ids[place], key)
		ids[place] = key
	}
	for i := range crashAccounts {
		name := fmt.Sprintf("crash-%d", i)
		require.Equal(t, (10*domain.Credit - spent[name]).String(), e.balance(name))
	}
}
