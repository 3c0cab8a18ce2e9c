package account_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"iocredits/domain"
	"iocredits/domain/account"
)

// buyer runs random purchases, deployments and what gets in their way against
// one account, at a clock that often stands at a deadline.
type buyer struct {
	*history
	random *rand.Rand
	at     time.Time
	// payments has what the provider has sent, by its id.
	payments map[string]domain.Amount
	ids      int
	outcomes map[string]int
}

// TestBuyingRaces: whatever the order in which top-ups, deadlines, usage, stops,
// extensions, refunds, duplicates and reversals come, the money adds up, and
// everything has one outcome.
func TestBuyingRaces(t *testing.T) {
	const seed, runs, commands = 20261124, 150, 70
	t.Logf("seed %d", seed)
	outcomes := map[string]int{}
	for n := range runs {
		b := &buyer{
			history: newHistory(t), random: rand.New(rand.NewPCG(seed, uint64(n))), at: hour(0),
			payments: map[string]domain.Amount{}, outcomes: outcomes,
		}
		if n%2 == 1 {
			b.opening = &opening
		}
		for range commands {
			b.move()
			action := b.action()
			_, err := b.execute(step{at: b.at, by: "ann", do: action})
			b.note(action, err)
			if err == nil {
				b.nothingIsDue()
				b.waitsForAReason()
			}
			b.lawsHold(n)
		}
		b.at = b.at.Add(10_000 * time.Hour)
		b.deadline()
		b.lawsHold(n)
		b.everythingEnded(n)
		b.replay()
	}
	t.Logf("%v", outcomes)
	for _, must := range []string{
		"deployment-completed", "deployment-stopped", "deployment-cancelled", "deployment-failed", "deployment-resumed", "purchase-settled",
		"purchase-expired", "purchase-failed", "purchase-reversed", "payment-unmatched", "payment-dropped", "payment-resolved", "payment-credited", "debt-repaid",
	} {
		if outcomes[must] == 0 {
			t.Errorf("no run has met %s", must)
		}
	}
}

func (b *buyer) note(action account.Action, err error) {
	if refusal, refused := domain.AsError(err); refused {
		b.outcomes[fmt.Sprintf("%T %s", action, refusal.Code)]++
	}
}

func (b *buyer) amount(most int) domain.Amount {
	return domain.Amount(1+b.random.IntN(most*4)) * credit / 4
}

// move lets time pass: none, a little, to the next deadline, or just before it.
func (b *buyer) move() {
	next := b.at
	if len(b.state.Due) > 0 {
		next = b.state.Due[0].At
	}
	switch b.random.IntN(6) {
	case 0:
		b.at = b.at.Add(time.Duration(b.random.IntN(300)) * time.Second)
	case 1:
		if b.random.IntN(2) == 0 {
			b.at = later(b.at, next)
		}
	case 2:
		b.at = later(b.at, next.Add(-1))
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// deadline ticks until nothing is to come.
func (b *buyer) deadline() {
	if _, err := b.execute(step{at: b.at, by: "engine", do: account.Tick{}}); err != nil {
		b.t.Fatalf("tick: %v", err)
	}
}

func (b *buyer) name(kind string, most int) string { return fmt.Sprint(kind, b.random.IntN(most)) }

// deployment names one that is open, mostly.
func (b *buyer) deployment() string {
	if open := slices.Sorted(maps.Keys(b.state.Deployments)); len(open) > 0 && b.random.IntN(8) > 0 {
		return open[b.random.IntN(len(open))]
	}
	return b.name("d", 40)
}

// send makes a payment the provider's fact: an old one again, or a new one.
func (b *buyer) send() account.Action {
	if known := slices.Sorted(maps.Keys(b.payments)); len(known) > 0 && b.random.IntN(3) == 0 {
		id := known[b.random.IntN(len(known))]
		return payment(id, b.name("p", 6), b.payments[id])
	}
	b.ids++
	id := fmt.Sprint("x", b.ids)
	b.payments[id] = b.amount(16)
	return payment(id, b.name("p", 6), b.payments[id])
}

func (b *buyer) action() account.Action {
	switch b.random.IntN(21) {
	case 0:
		return account.StartPurchase{Purchase: b.name("p", 6), Amount: credit + b.amount(10)}
	case 1, 2, 3:
		return b.send()
	case 4:
		return account.RecordPaymentFailure{Payment: b.name("f", 9), Purchase: b.name("p", 6)}
	case 5:
		kind := []account.ReversalKind{account.ReversalRefund, account.ReversalChargeback}[b.random.IntN(2)]
		return account.ReversePurchase{Payment: b.name("x", b.ids+1), Purchase: b.name("p", 6), Kind: kind}
	case 6:
		return account.ResolvePayment{Payment: b.name("x", b.ids+1), Returned: b.random.IntN(2) == 0}
	case 7:
		return account.GrantIncentive{Amount: b.amount(3), ExpiresAt: b.at.Add(time.Duration(1+b.random.IntN(9)) * 5 * time.Minute)}
	case 8, 9, 10:
		return deploy(b.name("d", 40), []string{"1", "2.5", "0.333333", "4"}[b.random.IntN(4)], 1+b.random.IntN(3))
	case 11, 12, 13:
		if b.random.IntN(2) == 0 {
			return account.RecordUsage{Deployment: b.deployment(), Metered: true, Quantity: units("1234.5"), UnitPrice: rate("0.000333333333")}
		}
		return account.RecordUsage{Deployment: b.deployment(), Amount: b.amount(6)}
	case 14:
		return account.StopDeployment{Deployment: b.deployment()}
	case 15:
		return account.CancelDeployment{Deployment: b.deployment()}
	case 16:
		return account.FailDeployment{Deployment: b.deployment()}
	case 17:
		return account.ExtendDeployment{Deployment: b.deployment(), Hours: 1 + b.random.IntN(3)}
	case 18:
		return account.Deduct{Amount: b.amount(4), Service: vm}
	case 19:
		return b.supportRefunds()
	}
	if b.state.Figures.Frozen {
		return account.Unfreeze{}
	}
	return account.Tick{}
}

// supportRefunds gives back some of what an open deployment paid, if there is one.
func (b *buyer) supportRefunds() account.Action {
	payments := b.state.Payments[b.deployment()]
	if len(payments) == 0 {
		return account.Tick{}
	}
	return account.Refund{Transaction: tx(payments[b.random.IntN(len(payments))].Revision), Amount: b.amount(6)}
}

func (b *buyer) nothingIsDue() {
	if len(b.state.Due) > 0 && !b.state.Due[0].At.After(b.at) {
		b.t.Fatalf("at %s %+v is still to come", b.at, b.state.Due[0])
	}
}

// waitsForAReason: what could be paid is paid. Only a command that spends may
// leave room that it did not take, and none leaves more than there was.
func (b *buyer) waitsForAReason() {
	if b.state.Figures.Frozen {
		return
	}
	for _, id := range b.state.Waiting {
		x := b.state.Deployments[id]
		owed := x.UsageOpen
		if x.State == account.DeploymentIsPending {
			owed = x.Required
		}
		if owed <= b.state.Spendable() {
			b.t.Fatalf("%s waits for %s and %s can be spent", id, owed, b.state.Spendable())
		}
	}
}

// lawsHold adds up the log: per deployment, per payment, and in all.
func (b *buyer) lawsHold(run int) {
	b.t.Helper()
	objects := map[string]account.Object{}
	prepaid, support := map[string]domain.Amount{}, map[string]domain.Amount{}
	credited := domain.Amount(0)
	for _, e := range b.log {
		if kind, id, ok := account.ObjectOf(e); ok {
			key := string(kind) + "/" + id
			if objects[key] == nil {
				objects[key] = account.NewObject(kind)
			}
			objects[key].Apply(e)
		}
		switch e := e.(type) {
		case *account.DeploymentPaid:
			prepaid[e.Deployment] += e.Amount
		case *account.DeploymentExtended:
			prepaid[e.Deployment] += e.Amount
		case *account.Refunded:
			prepaid[e.Reference] -= e.Amount
			if e.Deduction != uuid.Nil { // a deployment's end knows only the place
				support[e.Reference] += e.Amount
			}
		case *account.PurchaseSettled:
			credited += e.Received
		case *account.PaymentCredited:
			credited += e.Amount
		}
	}
	b.sameObjects(objects)
	elsewhere := domain.Amount(0)
	for key, object := range objects {
		switch o := object.(type) {
		case *account.Deployment:
			_, id, _ := strings.Cut(key, "/")
			want := o.Paid - o.Refunded - support[id]
			if prepaid[id] != want || !o.Open() && want != min(o.Used, o.Paid-support[id]) {
				b.t.Fatalf("run %d: %s kept %s of %s, of which support gave back %s, and says that it used %s", run, key, prepaid[id], o.Paid, support[id], o.Used)
			}
		case *account.Payment:
			waits := o.State == account.PaymentIsUnmatched && o.Kind == account.KindPayment && o.Why != account.WhyUnderpaid
			if waits || o.State == account.PaymentIsReturned && o.Kind == account.KindPayment || o.State == account.PaymentIsTakenBack {
				elsewhere += o.Amount
			}
		case *account.Purchase:
			if o.Open() {
				elsewhere += o.Received
			}
		}
	}
	b.paymentsAddUp(run, credited, elsewhere)
}

// sameObjects: the state folds its open objects as the views do.
func (b *buyer) sameObjects(objects map[string]account.Object) {
	b.t.Helper()
	for key, object := range objects {
		if !object.Open() {
			continue
		}
		_, id, _ := strings.Cut(key, "/")
		var have, want any
		switch o := object.(type) {
		case *account.Deployment:
			have, want = b.state.Deployments[id], *o
		case *account.Payment:
			have, want = b.state.Unmatched[id], *o
		case *account.Purchase:
			have, want = b.state.OpenPurchases[id].Payments, o.Payments
		}
		if stored(b.t, have) != stored(b.t, want) {
			b.t.Fatalf("%s is %s in the views and %s in the state", key, stored(b.t, want), stored(b.t, have))
		}
	}
}

// paymentsAddUp: what the provider sent is credited, waits, or went back; once.
// A part payment that was taken back or sent elsewhere stands where it went.
func (b *buyer) paymentsAddUp(run int, credited, elsewhere domain.Amount) {
	b.t.Helper()
	sent := domain.Amount(0)
	for _, e := range b.log {
		switch e := e.(type) {
		case *account.PaymentReceived:
			sent += e.Amount
		case *account.PaymentUnmatched:
			if e.Kind == account.KindPayment && e.Why != account.WhyUnderpaid {
				sent += e.Amount
			}
		case *account.PaymentDropped:
			if _, waits := b.taken(e.Payment); e.Reversal && !waits {
				sent -= e.Amount
			}
		}
	}
	if sent != credited+elsewhere {
		b.t.Fatalf("run %d: %s arrived, %s were credited and %s are elsewhere", run, sent, credited, elsewhere)
	}
}

// taken tells whether a payment stood in the queue when it was taken back.
func (b *buyer) taken(payment string) (domain.Amount, bool) {
	for _, e := range b.log {
		if r, ok := e.(*account.PaymentResolved); ok && r.Payment == payment && r.Outcome == account.PaymentIsTakenBack {
			return r.Amount, true
		}
	}
	return 0, false
}

// everythingEnded: nothing is left to wait once all deadlines have passed.
func (b *buyer) everythingEnded(run int) {
	ends := map[string]int{}
	for _, e := range b.log {
		b.outcomes[e.EventName()]++
		if end, ok := e.(*account.DeploymentEnded); ok {
			ends[end.Deployment]++
		}
	}
	for id, n := range ends {
		if n != 1 {
			b.t.Fatalf("run %d: %s ended %d times", run, id, n)
		}
	}
	if len(b.state.Deployments) > 0 || len(b.state.Waiting) > 0 || len(b.state.Payments) > 0 || len(b.state.Due) > 0 {
		b.t.Fatalf("run %d: left %v, waiting %v, due %v", run, b.state.Deployments, b.state.Waiting, b.state.Due)
	}
}
