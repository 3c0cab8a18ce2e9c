package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
)

// sent is a command as a client sends it, again until its outcome is known.
type sent struct{ as, account, path, key, body string }

// entry is a line of an account's history.
type entry struct {
	id, account, amount, held, balanceAfter string
	revision                                float64
}

func entriesOf(list any) (entries []entry) {
	lines, _ := list.([]any)
	for _, line := range lines {
		t, _ := line.(map[string]any)
		text := func(name string) string { s, _ := t[name].(string); return s }
		e := entry{id: text("transaction_id"), account: text("account"), amount: text("amount"), held: text("held"), balanceAfter: text("balance_after")}
		e.revision, _ = t["revision"].(float64)
		entries = append(entries, e)
	}
	return entries
}

// mixedAccounts are few, so that their commands meet.
var mixedAccounts = []string{"demo-1", "mixed-1", "mixed-2"}

// mixedClient does what moves money, on accounts that others use too, and keeps books of
// its own: the entries that it was told of.
type mixedClient struct {
	name string
	rng  *rand.Rand
	n    int
	// deductions, holds and deployments are what it may act upon: account and id.
	deductions, holds, deployments [][2]string
	// open is the command whose answer never came.
	open *sent
	told map[string]entry
	// wrong is what no engine may answer; counts is how many were accepted by kind.
	wrong  []string
	counts map[string]int
}

// next makes up a command, by a die.
func (c *mixedClient) next() *sent {
	c.n++
	account, id := mixedAccounts[c.rng.IntN(len(mixedAccounts))], fmt.Sprintf("%s-%d", c.name, c.n)
	amount := domain.Amount(1 + c.rng.Int64N(int64(8*domain.Credit))).String()
	s := &sent{as: "service", key: id}
	set := func(account, path, body string, args ...any) {
		s.account, s.path, s.body = account, "/v1/accounts/"+account+"/"+path, fmt.Sprintf(body, args...)
	}
	set(account, "deductions", `{"amount":"%s","service":"vm","reference":"r"}`, amount)
	about := func(things [][2]string) (account, id string, ok bool) {
		if len(things) == 0 {
			return "", "", false
		}
		thing := things[c.rng.IntN(len(things))]
		return thing[0], thing[1], true
	}
	switch die := c.rng.IntN(10); die {
	case 0, 1:
		set(account, "reservations", `{"reservation_id":"%s","amount":"%s","service":"vm"}`, id, amount)
	case 2:
		set(account, "deployments", `{"deployment_id":"%s","service":"vm","payment_method":"credits","hourly_price":"%s","duration_hours":2}`, id, amount)
	case 3:
		s.as = "bd"
		set(account, "incentives", `{"amount":"%s","campaign":"c"}`, amount)
	case 4:
		s.as = "customer:demo-1"
		set("demo-1", "withdrawals", `{"amount":"%s","wallet_address":"0x52908400098527886E0F7030069857D2E4169EE7","network":"ethereum"}`, amount)
	case 5, 6:
		if account, id, ok := about(c.holds); ok && die == 5 {
			set(account, "reservations/"+id+"/capture", `{"amount":"%s","final":%t}`, amount, c.rng.IntN(2) == 0)
		} else if ok {
			set(account, "reservations/"+id+"/release", `{"reason":"r"}`)
		}
	case 7:
		if account, id, ok := about(c.deployments); ok {
			set(account, "deployments/"+id+"/stop", `{"used_minutes":%d}`, c.rng.IntN(120))
		}
	case 8:
		if account, id, ok := about(c.deductions); ok {
			s.as = "support"
			set(account, "refunds", `{"transaction_id":"%s","amount":"%s","reason":"r"}`, id, amount)
		}
	}
	return s
}

// send sends a command. False: the connection broke, the outcome is unknown.
func (c *mixedClient) send(e *engine, s *sent) bool {
	c.open = s
	a, err := e.call(s.as, http.MethodPost, s.path, s.key, s.body)
	if err != nil {
		return false
	}
	c.open = nil
	entries := entriesOf(a.Body["transactions"])
	for _, entry := range entries {
		if before, known := c.told[entry.id]; known && before != entry {
			c.wrong = append(c.wrong, fmt.Sprintf("%s: %v, and before: %v", s.path, entry, before))
		}
		c.told[entry.id] = entry
	}
	switch a.Status {
	case http.StatusOK, http.StatusCreated, http.StatusAccepted:
	case http.StatusPaymentRequired, http.StatusConflict, http.StatusUnprocessableEntity:
		return true // the rules say no
	default:
		c.wrong = append(c.wrong, fmt.Sprintf("%s: status %d: %s", s.path, a.Status, a.Text))
		return true
	}
	for kind, list := range map[string]*[][2]string{"reservation": &c.holds, "deployment": &c.deployments} {
		if made, is := a.Body[kind].(map[string]any); is && a.Status != http.StatusOK {
			*list = append(*list, [2]string{s.account, made["id"].(string)})
			c.counts[kind]++
		}
	}
	if a.Status == http.StatusCreated && s.as == "service" && a.Body["reservation"] == nil && a.Body["deployment"] == nil {
		c.deductions = append(c.deductions, [2]string{s.account, entries[0].id})
		c.counts["deduction"]++
	}
	return true
}

// TestKillInTheMiddleOfEverything kills engines while all kinds of commands are under
// way. What the clients were told is, in the end, all that the histories have, and the
// balances are its sum.
func TestKillInTheMiddleOfEverything(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	data := t.TempDir()
	clients := make([]*mixedClient, 8)
	for i := range clients {
		clients[i] = &mixedClient{name: fmt.Sprintf("c%d", i), rng: rand.New(rand.NewPCG(seed, uint64(i))), told: map[string]entry{}, counts: map[string]int{}}
	}
	flags := []string{"--snapshot-every", "20", "--max-accounts", "2"} // books come and go
	for round := range 3 {
		c := serveChild(t, data, flags...)
		if round == 0 {
			for _, account := range mixedAccounts {
				funded := entriesOf(c.must("admin", http.MethodPost, "/dev/accounts/"+account+"/purchases", "fund", `{"amount":"500"}`)["transactions"])
				clients[0].told[funded[0].id] = funded[0]
			}
		}
		var wg sync.WaitGroup
		for i, client := range clients {
			commands := 20 + client.rng.IntN(80)
			wg.Go(func() {
				going := client.open == nil || client.send(c.engine, client.open)
				for n := 0; going; n++ {
					if going = client.send(c.engine, client.next()); i == 0 && n == commands {
						_ = c.cmd.Process.Kill()
					}
				}
			})
		}
		wg.Wait()
		c.kill()
	}
	e := serve(t, data, flags...)
	told, counts := map[string]entry{}, map[string]int{}
	for _, client := range clients {
		require.True(t, client.open == nil || client.send(e, client.open))
		require.Empty(t, client.wrong)
		for id, entry := range client.told {
			told[id] = entry
		}
		for kind, n := range client.counts {
			counts[kind] += n
		}
	}
	for _, kind := range []string{"deduction", "reservation", "deployment"} {
		require.Positive(t, counts[kind], kind)
	}
	requireTold(t, e, told)
}

// requireTold holds histories and balances to what was told.
func requireTold(t *testing.T, e *engine, told map[string]entry) {
	t.Helper()
	for _, account := range mixedAccounts {
		path := "/v1/accounts/" + account
		b := e.must("auditor", http.MethodGet, path+"/balance?consistency=strong", "", "")
		var history []entry
		for page := path + "/transactions?limit=1000"; page != ""; {
			list := e.must("auditor", http.MethodGet, page, "", "")
			history, page = append(history, entriesOf(list["items"])...), ""
			if cursor, more := list["next_cursor"].(string); more {
				page = path + "/transactions?limit=1000&cursor=" + cursor
			}
		}
		slices.SortFunc(history, func(a, b entry) int { return cmp.Compare(a.revision, b.revision) })
		var balance, held domain.Amount
		for _, line := range history {
			require.Equal(t, told[line.id], line, "%s has what nobody was told", account)
			delete(told, line.id)
			balance += amountOf(t, line.amount)
			held += amountOf(t, line.held)
			require.Equal(t, line.balanceAfter, balance.String())
		}
		require.Equal(t, b["balance"], balance.String())
		require.Equal(t, held, amountOf(t, b["reserved"].(string))+amountOf(t, b["withdrawing"].(string)))
	}
	require.Empty(t, told, "what was told is lost")
}

func amountOf(t *testing.T, text string) domain.Amount {
	t.Helper()
	a, err := domain.ParseSignedAmount("amount", text)
	require.NoError(t, err)
	return a
}
