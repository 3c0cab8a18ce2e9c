package ledger_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
)

const raceSeed, races = 20261124, 40

// atOnce sends requests from as many goroutines, to one of several engines on
// the same log each, in an order that only the scheduler knows.
func (r *rig) atOnce(engines []*ledger.Ledger, reqs ...ledger.Request) []error {
	errs := make([]error, len(reqs))
	var all sync.WaitGroup
	for i, req := range reqs {
		all.Go(func() { _, errs[i] = engines[i%len(engines)].Execute(context.Background(), req) })
	}
	all.Wait()
	return errs
}

// twoEngines are this ledger and another one that writes to the same log.
func (r *rig) twoEngines() []*ledger.Ledger {
	other := ledger.New(r.opts)
	r.t.Cleanup(func() { _ = other.Close(context.Background()) })
	return []*ledger.Ledger{r.Ledger, other}
}

// count tells how often events of each type stand in an account's log.
func count(facts []eventstore.Fact) map[string]int {
	n := map[string]int{}
	for _, f := range facts {
		n[f.Type]++
	}
	return n
}

func start(id string) account.StartDeployment {
	price, err := domain.ParseRate("hourly_price", "10")
	if err != nil {
		panic(err)
	}
	return account.StartDeployment{Deployment: id, Service: domain.ServiceCaaS, HourlyPrice: price, Hours: 1}
}

func TestTwoDeploymentsForTheLastCredits(t *testing.T) {
	for n := range races {
		r := newRig(t, nil)
		engines := r.twoEngines()
		r.do("a", "fund", account.GrantIncentive{Amount: 10 * credit})
		for _, err := range r.atOnce(engines, command("a", "1", start("one")), command("a", "2", start("two")), command("a", "3", start("three"))) {
			require.NoError(t, err)
		}
		got := count(r.facts("a"))
		require.Equal(t, 1, got["deployment-paid"], "run %d: %v", n, got)
		require.Equal(t, 2, got["deployment-pending"], "run %d: %v", n, got)
		require.Zero(t, r.balance("a"))

		r.clock.Move(5 * time.Minute)
		r.do("a", "tick", account.GrantIncentive{Amount: 20 * credit})
		require.Equal(t, 2, count(r.facts("a"))["deployment-failed"], "the top-up came at their deadline")
		require.Equal(t, 20*credit, r.balance("a"))
	}
}

func TestTopUpAgainstTheGraceDeadline(t *testing.T) {
	t.Logf("seed %d", raceSeed)
	outcomes := map[string]int{}
	for n := range races {
		random := rand.New(rand.NewPCG(raceSeed, uint64(n)))
		r := newRig(t, nil)
		engines := r.twoEngines()
		r.do("a", "start", start("d"))
		// Two clocks that stand on both sides of the deadline would be two
		// machines; here it is one that passes it while commands are under way.
		r.clock.Move(5*time.Minute - time.Duration(random.IntN(2))*time.Microsecond)
		moved := make(chan struct{})
		go func() {
			defer close(moved)
			r.clock.Move(time.Duration(random.IntN(2)) * time.Microsecond)
		}()
		errs := r.atOnce(engines,
			command("a", "top-up", account.GrantIncentive{Amount: 10 * credit}), ledger.Request{Account: "a", Do: account.Tick{}, Actor: "engine"},
			command("a", "top-up", account.GrantIncentive{Amount: 10 * credit}))
		<-moved
		for _, err := range errs {
			require.NoError(t, err)
		}
		got := count(r.facts("a"))
		require.Equal(t, 1, got["incentive-granted"], "the same command twice is one top-up")
		require.Equal(t, 1, got["deployment-paid"]+got["deployment-failed"], "run %d: %v", n, got)
		require.Equal(t, 10*credit*domain.Amount(got["deployment-failed"]), r.balance("a"), "run %d: %v", n, got)
		outcomes[fmt.Sprint("paid ", got["deployment-paid"])]++
	}
	t.Log(outcomes)
	require.Len(t, outcomes, 2, "both outcomes have to occur")
}

func TestStopAgainstUsageAgainstExpiry(t *testing.T) {
	t.Logf("seed %d", raceSeed)
	for n := range races {
		random := rand.New(rand.NewPCG(raceSeed, uint64(n)))
		r := newRig(t, nil)
		engines := r.twoEngines()
		r.do("a", "fund", account.GrantIncentive{Amount: 13 * credit, ExpiresAt: r.clock.Now().Add(30 * time.Minute)})
		r.do("a", "start", start("d"))
		r.clock.Move(30*time.Minute - time.Duration(random.IntN(3))*time.Microsecond)
		errs := r.atOnce(engines,
			command("a", "stop", account.StopDeployment{Deployment: "d"}),
			command("a", "use", account.RecordUsage{Deployment: "d", Amount: 2 * credit}),
			ledger.Request{Account: "a", Do: account.Tick{}, Actor: "engine"},
			command("a", "extend", account.ExtendDeployment{Deployment: "d", Hours: 1}))
		require.NoError(t, errs[0])
		require.NoError(t, errs[2])
		r.clock.Move(time.Hour)
		r.do("a", "later", account.GrantIncentive{Amount: credit})

		facts := r.facts("a")
		got := count(facts)
		require.Equal(t, 1, got["deployment-stopped"], "run %d: %v", n, got)
		sum := domain.Amount(0)
		for _, f := range facts {
			if entry, shown := account.EntryOf(f.Body); shown {
				sum += entry.Amount
			}
		}
		require.Equal(t, credit, r.balance("a"), "run %d: everything else is spent or has expired: %v", n, got)
		require.Equal(t, credit, sum)
	}
}

func TestOnePaymentToldByManyAtOnce(t *testing.T) {
	for n := range races {
		r := newRig(t, nil)
		engines := r.twoEngines()
		r.do("a", "start", account.StartPurchase{Purchase: "p", Amount: 10 * credit})
		told := func(payment string, amount domain.Amount) ledger.Request {
			return ledger.Request{Account: "a", Actor: "spherepay", Do: account.RecordPayment{Payment: payment, Purchase: "p", Amount: amount}}
		}
		errs := r.atOnce(engines, told("x", 4*credit), told("x", 4*credit), told("y", 6*credit), told("y", 6*credit), told("x", 4*credit),
			ledger.Request{Account: "a", Actor: "spherepay", Do: account.RecordPaymentFailure{Payment: "x", Purchase: "p"}})
		for _, err := range errs {
			require.NoError(t, err)
		}
		got := count(r.facts("a"))
		require.Equal(t, 2, got["payment-received"], "run %d: %v", n, got)
		require.Equal(t, 1, got["purchase-settled"], "run %d: %v", n, got)
		require.Equal(t, 10*credit, r.balance("a"))
		// The reconciliation asks much later, and finds the same.
		r.names.advance(r.AckedAny())
		r.restart()
		again, err := r.Execute(context.Background(), told("y", 6*credit))
		require.NoError(t, err)
		require.Empty(t, again.Facts)
	}
}

// TestAnEngineKilledBetweenStepsOfAPurchase repeats what was under way when it
// was killed, as the reactor and the provider do; no step counts twice.
func TestAnEngineKilledBetweenStepsOfAPurchase(t *testing.T) {
	steps := []func(r *rig) account.Action{
		func(*rig) account.Action { return account.StartPurchase{Purchase: "p", Amount: 10 * credit} },
		func(r *rig) account.Action {
			return account.RequestLink{Purchase: "p", Attempt: 1 + count(r.facts("a"))["purchase-link-requested"]}
		},
		func(r *rig) account.Action {
			n := count(r.facts("a"))["purchase-link-requested"]
			return account.RecordLink{Purchase: "p", Attempt: n, Link: fmt.Sprint("l", n), URL: "https://pay"}
		},
		func(*rig) account.Action {
			return account.RecordPayment{Payment: "x", Purchase: "p", Amount: 10 * credit}
		},
		func(*rig) account.Action {
			return account.RecordPayment{Payment: "x", Purchase: "p", Amount: 10 * credit}
		},
	}
	for killed := range steps {
		for _, known := range []bool{false, true} {
			r := newRig(t, nil)
			for i, step := range steps {
				key := ""
				if i == 0 {
					key = "start"
				}
				r.do("a", key, step(r))
				if i != killed {
					continue
				}
				if known {
					r.names.advance(r.AckedAny())
				}
				r.restart()
				r.do("a", key, step(r))
			}
			got := count(r.facts("a"))
			require.Equal(t, 1, got["purchase-started"])
			require.Equal(t, 1, got["payment-received"], "killed after %d: %v", killed, got)
			require.Equal(t, 1, got["purchase-settled"])
			require.Equal(t, 10*credit, r.balance("a"))
		}
	}
}

// TestAForgottenPurchaseIsPaidLate: the state no longer knows the purchase, so
// the ledger finds its start by its name, in the read model or in the window.
func TestAForgottenPurchaseIsPaidLate(t *testing.T) {
	for _, known := range []bool{false, true} {
		r := newRig(t, nil)
		r.do("a", "start", account.StartPurchase{Purchase: "p", Amount: 10 * credit})
		r.clock.Move(time.Hour)
		r.do("a", "", account.Tick{})
		if known {
			r.names.advance(r.AckedAny())
			r.restart()
		}
		r.do("a", "", account.RecordPayment{Payment: "x", Purchase: "p", Amount: 10 * credit})
		r.do("a", "", account.RecordPayment{Payment: "y", Purchase: "never-started", Amount: 3 * credit})
		got := count(r.facts("a"))
		require.Equal(t, 1, got["purchase-settled"], got)
		require.Equal(t, 1, got["payment-unmatched"], got)
		require.Equal(t, 10*credit, r.balance("a"))
	}
}

// TestAnUnmatchedPaymentIsCreditedOnceElsewhere: two people send the same payment
// to two accounts at once, and each step is tried again.
func TestAnUnmatchedPaymentIsCreditedOnceElsewhere(t *testing.T) {
	for range races {
		r := newRig(t, nil)
		engines := r.twoEngines()
		r.do("@unmatched", "", account.RecordPayment{Payment: "x", Purchase: "?", Amount: 7 * credit})
		errs := r.atOnce(engines,
			command("@unmatched", "1", account.ResolvePayment{Payment: "x", Account: "bob"}),
			command("@unmatched", "2", account.ResolvePayment{Payment: "x", Account: "eve"}))
		require.True(t, (errs[0] == nil) != (errs[1] == nil), "%v", errs)
		to := "bob"
		if errs[0] != nil {
			to = "eve"
		}
		credited := ledger.Request{Account: to, Actor: "finance", Do: account.CreditPayment{Payment: "x", From: "@unmatched", Amount: 7 * credit}}
		for _, err := range r.atOnce(engines, credited, credited) {
			require.NoError(t, err)
		}
		closed := ledger.Request{Account: "@unmatched", Actor: "finance", Do: account.ClosePayment{Payment: "x"}}
		for _, err := range r.atOnce(engines, closed, closed) {
			require.NoError(t, err)
		}
		require.Equal(t, 7*credit, r.balance("bob")+r.balance("eve"))
		require.Equal(t, 1, count(r.facts("@unmatched"))["payment-resolved"])
	}
}
