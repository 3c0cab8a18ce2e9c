package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
)

// ask is what a client asks of an account: under one key until it is answered.
type ask struct {
	kind, account, path, key, body string
	// amount is what is asked for; of a capture and a release, held is what the hold has.
	amount, held domain.Amount
	called       int64
	// after is the account's revision before it, if it was accepted.
	after int64
}

// outcome is what the client is told.
type outcome struct {
	accepted bool
	// revision is the account's afterwards, entries how many the command made.
	revision, entries    int64
	balance              domain.Amount
	reserved             domain.Amount // of a read
	available, spendable domain.Amount // of a refusal
	transactions         string
	unforeseen           string
}

// books is an account as the rules have it: the whole of the model.
type books struct {
	revision          int64
	balance, reserved domain.Amount
}

const (
	linearFunds     = 20 * domain.Credit
	linearAllowance = 10 * domain.Credit // the default policy's
)

func (b books) available() domain.Amount { return b.balance - b.reserved }
func (b books) spendable() domain.Amount { return max(0, b.available()+linearAllowance) }

// step tells whether an account may answer so, and what it is afterwards.
func (b books) step(a ask, o outcome) (bool, books) {
	if a.kind == "read" {
		return o.revision == b.revision && o.balance == b.balance && o.reserved == b.reserved, b
	}
	next, may := b, true
	switch a.kind {
	case "fund":
		next.balance += a.amount
	case "deduct":
		next.balance, may = b.balance-a.amount, a.amount <= b.spendable()
	case "hold":
		next.reserved, may = b.reserved+a.amount, a.amount <= b.available()
	case "release":
		next.reserved -= a.held
	case "capture":
		next.balance, next.reserved = b.balance-a.amount, b.reserved-a.held
	}
	if !o.accepted {
		return !may && o.available == b.available() && o.spendable == b.spendable(), b
	}
	next.revision = o.revision // not each event is an entry: some only say that credits run low
	return may && b.revision == a.after && o.entries > 0 && o.revision >= b.revision+o.entries && o.balance == next.balance, next
}

// linear is the model of one account after it was funded.
var linear = porcupine.Model{
	Partition: func(history []porcupine.Operation) (accounts [][]porcupine.Operation) {
		place := map[string]int{}
		for _, o := range history {
			account := o.Input.(ask).account
			i, known := place[account]
			if !known {
				i = len(accounts)
				place[account], accounts = i, append(accounts, nil)
			}
			accounts[i] = append(accounts[i], o)
		}
		return accounts
	},
	Init: func() any { return books{balance: linearFunds} },
	Step: func(state, input, output any) (bool, any) {
		return state.(books).step(input.(ask), output.(outcome))
	},
}

// linearClient asks at random, each time until it has an answer, and half of the time
// twice at once, as clients do that are impatient.
type linearClient struct {
	name  string
	id, n int
	rng   *rand.Rand
	clock func() int64
	holds []ask // those that it made and that are open
	open  *ask  // what may yet be accepted, unknown to it
	// unsettled were refused while another try was unanswered.
	unsettled []ask
	history   []porcupine.Operation
	wrong     []string
}

func (c *linearClient) next() *ask {
	c.n++
	a := &ask{kind: "deduct", account: fmt.Sprintf("linear-%d", c.rng.IntN(3)), key: fmt.Sprintf("%s-%d", c.name, c.n),
		amount: domain.Amount(1 + c.rng.Int64N(int64(6*domain.Credit)))}
	path, body := "deductions", `{"amount":"%s","service":"vm"}`
	switch die := c.rng.IntN(8); {
	case die == 0:
		a.kind, path, body = "fund", "purchases", `{"amount":"%s"}`
		a.amount *= 2 // less than is taken, so that refusals come
	case die == 1:
		a.kind, path, body = "read", "balance?consistency=strong", ""
	case die < 4:
		a.kind, path, body = "hold", "reservations", `{"amount":"%s","service":"vm","reservation_id":"`+a.key+`"}`
	case die < 6 && len(c.holds) > 0:
		hold := c.holds[0]
		c.holds = c.holds[1:]
		a.account, a.held = hold.account, hold.amount
		a.kind, path, body = "release", "reservations/"+hold.key+"/release", `{"reason":"r"}`
		if die == 4 {
			a.amount = 1 + domain.Amount(c.rng.Int64N(int64(hold.amount)))
			a.kind, path, body = "capture", "reservations/"+hold.key+"/capture", `{"amount":"%s","final":true}`
		}
	}
	if strings.Contains(body, "%s") {
		body = fmt.Sprintf(body, a.amount)
	}
	root := "/v1/accounts/"
	if a.kind == "fund" {
		root = "/dev/accounts/"
	}
	a.path, a.body, a.called = root+a.account+"/"+path, body, c.clock()
	return a
}

// send asks. False: a connection broke, and what it came to is unknown.
func (c *linearClient) send(e *engine, a *ask) bool {
	c.open = a
	type told struct {
		outcome
		at int64
	}
	answers := make(chan told, 2)
	var wg sync.WaitGroup
	unanswered := 1 + c.rng.IntN(2)
	for range unanswered {
		wg.Go(func() {
			if o, answered := asked(e, a); answered {
				answers <- told{o, c.clock()}
			}
		})
	}
	wg.Wait()
	close(answers)
	// Two answers that accept are of one operation, which was over when the first came.
	var accepted string
	for o := range answers {
		unanswered--
		if o.unforeseen != "" || accepted != "" && o.accepted && a.kind != "read" && accepted != o.transactions {
			c.wrong = append(c.wrong, fmt.Sprintf("%s %s: %s%s, and before: %s", a.kind, a.key, o.unforeseen, o.transactions, accepted))
		}
		if accepted != "" && a.kind != "read" && o.accepted {
			continue
		}
		if o.accepted {
			accepted = o.transactions
		}
		c.history = append(c.history, porcupine.Operation{ClientId: c.id, Input: *a, Call: a.called, Output: o.outcome, Return: o.at})
	}
	if accepted != "" || unanswered == 0 { // a refusal binds no key: the other may be accepted yet
		c.open = nil
	}
	if accepted != "" && a.kind == "hold" {
		c.holds = append(c.holds, *a)
	}
	return c.open == nil
}

// asked makes one request of it. False: no answer came.
func asked(e *engine, a *ask) (o outcome, answered bool) {
	as, method := "service", http.MethodPost
	switch a.kind {
	case "fund":
		as = "admin"
	case "read":
		method = http.MethodGet
	}
	r, err := e.call(as, method, a.path, a.key, a.body)
	if err != nil {
		return outcome{}, false
	}
	amount := func(of map[string]any, name string) (v domain.Amount) {
		text, _ := of[name].(string)
		v, err := domain.ParseSignedAmount(name, text)
		if err != nil {
			o.unforeseen = fmt.Sprintf("%v in %d %s", err, r.Status, r.Text)
		}
		return v
	}
	revision, _ := r.Body["revision"].(float64)
	switch {
	case r.Status == http.StatusPaymentRequired:
		return outcome{available: amount(r.Body, "available"), spendable: amount(r.Body, "spendable"), unforeseen: o.unforeseen}, true
	case r.Status/100 != 2:
		return outcome{unforeseen: fmt.Sprintf("%d %s", r.Status, r.Text)}, true
	case a.kind == "read":
		o.balance, o.reserved = amount(r.Body, "balance"), amount(r.Body, "reserved")
	default:
		entries, _ := r.Body["transactions"].([]any)
		o.entries, o.transactions = int64(len(entries)), fmt.Sprint(entries)
		if len(entries) > 0 {
			o.balance = amount(entries[len(entries)-1].(map[string]any), "balance_after")
		}
	}
	o.accepted, o.revision = true, int64(revision)
	return o, true
}

// TestWhatClientsSeeIsOneOrder kills engines under clients that meet on few accounts, and
// holds all that they were told to one order for each account, in which each command and
// each strong read happened at one moment between its question and its answer
// (linearizability): refusals and their figures too.
func TestWhatClientsSeeIsOneOrder(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	began := time.Now()
	clients := make([]*linearClient, 6)
	for i := range clients {
		clients[i] = &linearClient{name: fmt.Sprintf("c%d", i), id: i, rng: rand.New(rand.NewPCG(seed, uint64(i))),
			clock: func() int64 { return int64(time.Since(began)) }}
	}
	data := t.TempDir()
	for round := range 3 {
		c := serveChild(t, data, "--snapshot-every", "20", "--max-accounts", "2") // books come and go
		for i := 0; round == 0 && i < 3; i++ {
			c.fund(fmt.Sprintf("linear-%d", i), linearFunds.String())
		}
		var wg sync.WaitGroup
		for i, client := range clients {
			commands := 50 + client.rng.IntN(100)
			wg.Go(func() {
				going := client.open == nil || client.send(c.engine, client.open)
				for n := 0; going && (i > 0 || n <= commands); n++ {
					going = client.send(c.engine, client.next())
				}
				if i == 0 { // the others go on until then, so also if it broke off itself
					_ = c.cmd.Process.Kill()
				}
			})
		}
		wg.Wait()
		c.kill()
	}
	e := serve(t, data)
	var history []porcupine.Operation
	for _, client := range clients {
		require.True(t, client.open == nil || client.send(e, client.open))
		require.Empty(t, client.wrong)
		history = append(history, client.history...)
	}
	requireOneOrder(t, history)
}

// stuck tells where the longest orders that can be end, and what comes next.
func stuck(history []porcupine.Operation, info porcupine.LinearizationInfo) string {
	var text strings.Builder
	for i, orders := range info.PartialLinearizationsOperations() {
		account := linear.Partition(history)[i]
		longest := slices.MaxFunc(orders, func(a, b []porcupine.Operation) int { return cmp.Compare(len(a), len(b)) })
		if len(longest) == len(account) {
			continue
		}
		b := books{balance: linearFunds}
		in := map[string]bool{}
		for _, o := range longest {
			_, b = b.step(o.Input.(ask), o.Output.(outcome))
			in[fmt.Sprint(o)] = true
		}
		fmt.Fprintf(&text, "after %d of %d: %+v\n", len(longest), len(account), b)
		rest := slices.DeleteFunc(slices.Clone(account), func(o porcupine.Operation) bool { return in[fmt.Sprint(o)] })
		slices.SortFunc(rest, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
		rest = rest[:min(8, len(rest))]
		for _, o := range slices.Concat(rest, longest[max(0, len(longest)-12):]) { // those behind them came last
			fmt.Fprintf(&text, "  %d to %d: %+v: %+v\n", o.Call, o.Return, o.Input, o.Output)
		}
	}
	return text.String()
}

// requireOneOrder checks a history, and that the check sees a figure that was changed: in the
// order that it found, because that there is no order at all may take it for ever to find.
func requireOneOrder(t *testing.T, history []porcupine.Operation) {
	t.Helper()
	follow(history)
	began := time.Now()
	result, info := porcupine.CheckOperationsVerbose(linear, history, patience)
	require.Equal(t, porcupine.Ok, result, "%s", stuck(history, info))
	t.Logf("%d operations, in order after %s", len(history), time.Since(began))
	count := len(history)
	history = oneAfterAnother(info)
	require.Len(t, history, count)
	last := map[string]int{}
	for i, o := range history {
		kind := o.Input.(ask).kind
		if !o.Output.(outcome).accepted {
			kind += " refused"
		}
		last[kind] = i
	}
	for _, kind := range []string{"fund", "deduct", "hold", "release", "capture", "read", "deduct refused", "hold refused"} {
		i, seen := last[kind]
		require.True(t, seen, "no %s", kind)
		was := history[i]
		changed := was.Output.(outcome)
		changed.balance++
		changed.spendable++
		history[i].Output = changed
		require.False(t, porcupine.CheckOperations(linear, history), "%s of another figure", kind)
		history[i] = was
	}
}

// follow gives what was accepted the revision after which it came. Revisions only rise, so no
// order is ruled out that could be the one. Without it, holds and releases that overlap would
// be tried in each order, since no answer says what is reserved: that may take for ever.
func follow(history []porcupine.Operation) {
	accepted := map[string][]int{}
	for i, o := range history {
		if a := o.Input.(ask); a.kind != "read" && o.Output.(outcome).accepted {
			accepted[a.account] = append(accepted[a.account], i)
		}
	}
	for _, of := range accepted {
		revision := func(i int) int64 { return history[i].Output.(outcome).revision }
		slices.SortFunc(of, func(i, j int) int { return cmp.Compare(revision(i), revision(j)) })
		for n, i := range of[1:] {
			a := history[i].Input.(ask)
			a.after = revision(of[n])
			history[i].Input = a
		}
	}
}

// oneAfterAnother is a history in the order that was found for each account.
func oneAfterAnother(found porcupine.LinearizationInfo) (history []porcupine.Operation) {
	for _, orders := range found.PartialLinearizationsOperations() {
		for _, o := range slices.MaxFunc(orders, func(a, b []porcupine.Operation) int { return cmp.Compare(len(a), len(b)) }) {
			o.Call = int64(2 * len(history))
			o.Return = o.Call + 1
			history = append(history, o)
		}
	}
	return history
}
