package account_test

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/domain/journal"
)

// years is an account over years, twice: of one every deadline is applied at its instant,
// and by Ticks in between, of the other only by the commands that come, a year later or
// more. What the account has, and what became of everything, has to be the same.
type years struct {
	*rapid.T
	now          time.Time
	prompt, late *course
	ids          int
	names        map[string][]string
	outcomes     outcomes
	// counted is how many of prompt's events outcomes has.
	counted int
}

// course is a history with what the account was told of it.
type course struct {
	*history
	// charges are the revisions of what can be refunded, recorded the times of all events.
	charges  []int64
	recorded []time.Time
	books    journal.Totals
	// ran is what each deployment has run, and since says since when it runs.
	ran     map[string]time.Duration
	since   map[string]time.Time
	objects map[string]account.Object
}

func newCourse(t failer) *course {
	return &course{
		history: newHistory(t), ran: map[string]time.Duration{}, since: map[string]time.Time{}, objects: map[string]account.Object{},
	}
}

// TestYearsOfAnAccount moves by seconds and by years, over ends of months and leap days, and
// to deadlines, a moment before them and after them.
func TestYearsOfAnAccount(t *testing.T) {
	met := outcomes{}
	rapid.Check(t, func(t *rapid.T) {
		met["runs"]++
		y := &years{T: t, prompt: newCourse(t), late: newCourse(t), names: map[string][]string{}, outcomes: met}
		y.now = []time.Time{
			time.Date(2027, 12, 31, 23, 59, 59, 999_999e3, time.UTC), time.Date(2028, 2, 28, 23, 59, 30, 0, time.UTC),
			time.Date(2028, 2, 29, 12, 0, 0, 1e3, time.UTC), time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC),
		}[y.pick(4, "start")]
		if y.pick(2, "opening") == 0 {
			policy := account.DefaultPolicy()
			policy.PurchasedLifeMonths, policy.PurchaseFeeBasisPoints = 1+y.pick(24, "months"), 200
			y.prompt.opening, y.late.opening = &policy, &policy
		}
		for range 1 + y.pick(120, "commands") {
			y.pass()
			y.send()
		}
		y.now = y.now.AddDate(40, 0, 0)
		y.each(account.Tick{}, account.Tick{}, "engine")
		for _, l := range []*course{y.prompt, y.late} {
			l.replay()
			if len(l.state.Due) > 0 || len(l.state.Waiting) > 0 || len(l.state.Reservations) > 0 && hasDates(l.state.Reservations) {
				t.Fatalf("after all deadlines: %v, %v", l.state.Due, l.state.Waiting)
			}
		}
	})
	met.must(t, 30, `purchase-settled, purchase-expired, purchase-reversed, incentive-granted, lot-expired, deducted, usage-metered,
		refunded, debt-repaid, reserved, reservation-captured, reservation-released, adjusted, account-frozen, deployment-pending,
		deployment-paid, deployment-extended, deployment-usage-charged, deployment-usage-opened, deployment-paused, deployment-resumed,
		deployment-completed, deployment-stopped, deployment-cancelled, deployment-failed, withdrawal-requested, withdrawal-paid,
		withdrawal-returned, backing-changed`)
}

func hasDates(all map[string]account.Reservation) bool {
	for _, r := range all {
		if !r.ExpiresAt.IsZero() {
			return true
		}
	}
	return false
}

func (y *years) pick(n int, what string) int { return uniform(y.T, n, what) }

// pass lets time pass: seconds, hours, months, years; or to what is due next.
func (y *years) pass() {
	scale := []time.Duration{time.Microsecond, time.Second, time.Minute, time.Hour, 24 * time.Hour, 31 * 24 * time.Hour}[y.pick(6, "scale")]
	next := y.now.Add(time.Duration(y.pick(60, "pause")) * scale)
	if due, found := y.prompt.next(); found && y.pick(2, "due") == 0 {
		next = due.Add(time.Duration(y.pick(3, "beside")-1) * time.Microsecond)
	}
	if len(y.prompt.state.Deployments) > 0 && y.pick(4, "run") > 0 {
		next = y.now.Add(time.Duration(y.pick(90, "running")) * []time.Duration{time.Second, time.Minute}[y.pick(2, "unit")])
	}
	if len(y.prompt.state.Waiting) > 0 && y.pick(4, "wait") > 0 {
		next = y.now.Add(time.Duration(y.pick(90, "seconds")) * time.Second)
	}
	y.now = later(y.now, next)
}

// next is what is due first.
func (l *course) next() (at time.Time, found bool) {
	if due := l.state.Due; len(due) > 0 {
		at, found = due[0].At, true
	}
	for _, lot := range l.state.Lots {
		if !lot.ExpiresAt.IsZero() && (!found || lot.ExpiresAt.Before(at)) {
			at, found = lot.ExpiresAt, true
		}
	}
	return at, found
}

// send asks both.
func (y *years) send() {
	for at, found := y.prompt.next(); found && !at.After(y.now); at, found = y.prompt.next() {
		if _, err := y.prompt.run(y.T, at, "engine", account.Tick{}); err != nil {
			y.Fatalf("tick: %v", err)
		}
	}
	if y.pick(4, "tick") == 0 {
		_, _ = y.prompt.run(y.T, y.now, "engine", account.Tick{})
	}
	by := "abc"[y.pick(3, "by"):][:1]
	// The late one may lack the newest: it applies nothing that was due with what is refused.
	if y.pick(8, "refund") == 0 && len(y.late.charges) > 0 {
		which, amount := y.pick(len(y.late.charges), "charge"), domain.Amount(0)
		if y.pick(2, "part") == 0 {
			amount = y.amount(9)
		}
		y.each(account.Refund{Transaction: tx(y.prompt.charges[which]), Amount: amount},
			account.Refund{Transaction: tx(y.late.charges[which]), Amount: amount}, by)
		return
	}
	do := y.command()
	y.each(do, do, by)
}

// each sends a command to both, and compares.
func (y *years) each(prompt, late account.Action, by string) {
	_, err := y.prompt.run(y.T, y.now, by, prompt)
	y.Logf("%s %s %T%+v: %s", y.now.Format(time.RFC3339Nano), by, prompt, prompt, refusalText(err))
	_, errLate := y.late.run(y.T, y.now, by, late)
	y.outcomes.note(prompt, nil, err)
	if a, b := refusedAs(err), refusedAs(errLate); a != b {
		y.Fatalf("in time: %s\nlate: %s", a, b)
	}
	if err != nil {
		return // the other has not applied what was due
	}
	for _, e := range y.prompt.log[y.counted:] {
		y.outcomes[e.EventName()]++
	}
	y.counted = len(y.prompt.log)
	if a, b := y.prompt.text(), y.late.text(); a != b {
		y.Fatalf("in time:\n%s\nlate:\n%s", a, b)
	}
}

// refusedAs leaves out how something ended, which a state that ended it has forgotten.
func refusedAs(err error) string {
	text, _, _ := strings.Cut(refusalText(err), " status=")
	return text
}

// run executes a command as a ledger does, what is much first, and holds the events to the laws.
func (l *course) run(t failer, at time.Time, by string, do account.Action) ([]domain.Event, error) {
	for l.state.Overdue(func() time.Time { return at }) {
		if _, err := l.one(t, step{at: at, by: "engine", do: account.Tick{}}); err != nil {
			t.Fatalf("tick: %v", err)
		}
	}
	return l.one(t, step{at: at, by: by, do: do})
}

func (l *course) one(t failer, s step) ([]domain.Event, error) {
	first, figures := int64(len(l.log)), l.state.Figures
	events, err := l.execute(s)
	for i, e := range events {
		revision := first + int64(i)
		postings, err := journal.Of(e, revision)
		if err != nil {
			t.Fatalf("%s: %v", e.EventName(), err)
		}
		l.books.Post(postings)
		figures.Apply(e, revision)
		l.tie(t, e, &figures)
		l.recorded = append(l.recorded, s.at)
		l.meets(t, e, revision)
	}
	if err == nil {
		if due, found := l.next(); found && !due.After(s.at) {
			t.Fatalf("at %s what was due at %s is still to come", s.at, due)
		}
	}
	return events, err
}

// tie holds the books to the figures after an event.
func (l *course) tie(t failer, e domain.Event, f *account.Figures) {
	balance, fits := l.books.Balance().Amount()
	if open := l.books.Open(); open != (journal.Sum{}) || !fits || balance != f.Balance().Balance {
		t.Fatalf("after %s the books are open by %s and have %s, the account has %s", e.EventName(), open, balance, f.Balance().Balance)
	}
	for line, want := range map[journal.Account]domain.Amount{
		journal.PurchasedCredits: -f.FreePurchased, journal.PromotionalCredits: -f.FreePromotional,
		journal.PurchasedReserved: -f.HeldPurchased, journal.PromotionalReserved: -f.HeldPromotional,
		journal.Withdrawals: -f.Withdrawing, journal.SpendingReceivable: f.SpendingDebt, journal.ChargebackReceivable: f.ChargebackDebt,
	} {
		if got, fits := l.books[line].Amount(); !fits || got != want {
			t.Fatalf("after %s, %s is %s, the account says %s", e.EventName(), line, got, want)
		}
	}
}

// meets follows a deployment's time, and holds its end to it: what it used is the started
// minutes for which it ran, and what that costs is rounded once.
func (l *course) meets(t failer, e domain.Event, revision int64) {
	if kind, id, ok := account.ObjectOf(e); ok {
		key := string(kind) + "/" + id
		if l.objects[key] == nil {
			l.objects[key] = account.NewObject(kind)
		}
		l.objects[key].Apply(e)
	}
	index, _ := account.PlaceOf(e)
	if entry, shown := account.EntryOf(e); shown && entry.Type == account.EntryDeduction && index == 1 {
		l.charges = append(l.charges, revision)
	}
	switch e := e.(type) {
	case *account.DeploymentPaid:
		l.since[e.Deployment] = e.StartedAt
	case *account.DeploymentPaused:
		l.ran[e.Deployment] += e.PausedAt.Sub(l.since[e.Deployment])
		delete(l.since, e.Deployment)
	case *account.DeploymentResumed:
		l.since[e.Deployment] = e.ResumedAt
	case *account.DeploymentEnded:
		if at, runs := l.since[e.Deployment]; runs {
			l.ran[e.Deployment] += e.EndedAt.Sub(at)
		}
		x := l.objects["deployment/"+e.Deployment].(*account.Deployment)
		l.costs(t, e, x)
	}
}

func (l *course) costs(t failer, e *account.DeploymentEnded, x *account.Deployment) {
	ran := l.ran[e.Deployment]
	minutes := min(int((ran+time.Minute-1)/time.Minute), x.Hours*60)
	charged := minutes
	switch {
	case e.Status == account.DeploymentIsCancelled || e.Cause == account.CauseUnpaid:
		minutes, charged = 0, 0
	case e.Status == account.DeploymentIsCompleted:
		if ran != time.Duration(x.Hours)*time.Hour {
			t.Fatalf("%s was complete after %s of %d hours", e.Deployment, ran, x.Hours)
		}
	case e.Status == account.DeploymentIsStopped || e.Cause == account.CauseUsageUnpaid:
		charged = max(minutes, x.MinimumMinutes)
	}
	price, _ := new(big.Rat).SetString(x.HourlyPrice.String())
	want := min(rounded(price.Mul(price, big.NewRat(int64(charged), 60))), x.Paid)
	if e.Status == account.DeploymentIsCompleted {
		want = x.Paid
	}
	if e.UsedMinutes != minutes || e.Used != want {
		t.Fatalf("%s %s after %s: %d minutes, %s charged; not %d, %s", e.Deployment, e.Status, ran, e.UsedMinutes, e.Used, minutes, want)
	}
}

// command draws what is asked of both.
func (y *years) command() account.Action {
	switch s := y.prompt.state; {
	case len(s.Waiting) > 0 && y.pick(3, "top up") == 0:
		return account.RecordPurchase{Purchase: y.made("p"), Amount: y.amount(90)}
	case s.Frozen && y.pick(3, "thaw") == 0:
		return account.Unfreeze{}
	case len(s.Deployments) > 0 && y.pick(12, "regret") == 0:
		return account.CancelDeployment{Deployment: y.open("d")}
	}
	switch y.pick(30, "command") {
	case 0, 1:
		return account.GrantIncentive{Amount: y.amount(20), ExpiresAt: y.date()}
	case 2, 3:
		return account.RecordPurchase{Purchase: y.made("p"), Amount: y.amount(40), ExpiresAt: y.date()}
	case 4, 5:
		return account.Reserve{Reservation: y.made("r"), Amount: y.amount(8), Service: vm, ExpiresAt: y.date()}
	case 6:
		return account.Capture{Reservation: y.hold(), Amount: y.amount(5), Final: y.pick(2, "final") == 0}
	case 7:
		return account.Release{Reservation: y.hold()}
	case 8, 9, 10:
		c := deploy(y.made("d"), []string{"0.333333333333", "1", "2.5", "0.1"}[y.pick(4, "price")], 1+y.pick(30, "hours"))
		if y.pick(5, "long") == 0 {
			c.Hours, c.HourlyPrice = 24*(1+y.pick(364, "days")), rate("0.001234567891")
		}
		if y.pick(2, "service") == 0 {
			c.Service = vm
		}
		return c
	case 11:
		return account.ExtendDeployment{Deployment: y.open("d"), Hours: 1 + y.pick(50, "hours")}
	case 12, 13, 14:
		if y.pick(2, "metered") == 0 {
			return account.RecordUsage{Deployment: y.open("d"), Metered: true, Quantity: units("1234.5"), UnitPrice: rate("0.003333333333")}
		}
		return account.RecordUsage{Deployment: y.open("d"), Amount: y.amount(60)}
	case 15:
		return account.StopDeployment{Deployment: y.open("d")}
	case 16:
		return account.FailDeployment{Deployment: y.open("d")}
	case 17:
		return account.CancelDeployment{Deployment: y.open("d")}
	case 18:
		return account.Deduct{Amount: y.amount(9), Service: vm}
	case 19:
		return reading(fmt.Sprint("m", y.pick(3, "meter")), "333.000001", "0.000777777777")
	}
	return y.desk()
}

// desk is what people do, and the provider.
func (y *years) desk() account.Action {
	switch y.pick(18, "desk") {
	case 0, 1:
		return withdraw(y.made("w"), min(y.amount(9), max(credit, y.prompt.state.Balance().Withdrawable)))
	case 2, 3, 16, 17:
		return account.ApproveWithdrawal{Withdrawal: y.withdrawal(account.WithdrawalIsRequested)}
	case 4, 14, 15:
		return account.RecordPayout{Withdrawal: y.withdrawal(account.WithdrawalIsApproved), TxURL: "sealed", Network: account.NetworkSolana}
	case 5:
		return account.CancelWithdrawal{Withdrawal: y.name("w")}
	case 6:
		return account.ReversePurchase{Purchase: y.name("p"), Kind: account.ReversalChargeback}
	case 7:
		return account.SetPolicy{Allowance: ptr(y.amount(20)), GraceMinutes: ptr([]int{1, 77, 10_000, 43_200}[y.pick(4, "grace")])}
	case 8:
		return account.RequestAdjustment{Adjustment: y.made("a"), Amount: y.amount(20) - 7*credit}
	case 9:
		return account.ApproveAdjustment{Adjustment: y.name("a")}
	case 10:
		return account.StartPurchase{Purchase: y.made("p"), Amount: credit + y.amount(30)}
	case 11:
		return payment(y.made("x"), y.name("p"), y.amount(40))
	case 12:
		if y.pick(3, "freeze") == 0 {
			return account.Freeze{}
		}
	}
	return account.Unfreeze{}
}

func (y *years) amount(most int) domain.Amount {
	if y.pick(3, "odd") == 0 {
		return domain.Amount(1 + rapid.IntRange(0, most*1_000_000).Draw(y.T, "micro"))
	}
	return domain.Amount(1+y.pick(most, "credits")) * credit
}

// date is none, or one that is seconds or years away.
func (y *years) date() time.Time {
	if y.pick(3, "never") == 0 {
		return time.Time{}
	}
	if y.pick(2, "months") == 0 {
		return y.now.AddDate(0, 1+y.pick(30, "month"), 0)
	}
	return y.now.Add(time.Duration(1+y.pick(200, "away")) * []time.Duration{time.Second, time.Hour}[y.pick(2, "unit")])
}

// made is a new name, name one of the last.
func (y *years) made(kind string) string {
	y.ids++
	name := fmt.Sprint(kind, y.ids)
	y.names[kind] = append(y.names[kind], name)
	return name
}

func (y *years) name(kind string) string {
	all := y.names[kind]
	if len(all) == 0 {
		return kind
	}
	return all[max(0, len(all)-1-y.pick(5, kind))]
}

// open is mostly a deployment that is, hold a reservation, withdrawal one of that status.
func (y *years) open(kind string) string {
	return y.mostly(kind, slices.Sorted(maps.Keys(y.prompt.state.Deployments)))
}

func (y *years) hold() string {
	return y.mostly("r", slices.Sorted(maps.Keys(y.prompt.state.Reservations)))
}

func (y *years) withdrawal(status account.WithdrawalStatus) string {
	of := y.prompt.state.Withdrawals
	return y.mostly("w", slices.DeleteFunc(slices.Sorted(maps.Keys(of)), func(id string) bool { return of[id].State != status }))
}

func (y *years) mostly(kind string, open []string) string {
	if len(open) > 0 && y.pick(10, "any") > 0 {
		return open[y.pick(len(open), kind)]
	}
	return y.name(kind)
}

// text is all that is the same however late it was learnt: no revisions, so no ids of lots.
func (l *course) text() string {
	var b strings.Builder
	s := l.state
	fmt.Fprintln(&b, balanceText(s.Balance()), s.SpendingDebt, s.ChargebackDebt, s.DebtPaidByPurchased, s.Cash, s.Paid)
	for _, lot := range s.Lots {
		fmt.Fprintln(&b, "lot", lot.Class, lot.Free, lot.ExpiresAt)
	}
	for _, id := range slices.Sorted(maps.Keys(s.Reservations)) {
		fmt.Fprintln(&b, "hold", id, s.Reservations[id].Left(), s.Reservations[id].ExpiresAt)
	}
	for _, due := range s.Due {
		fmt.Fprintln(&b, "due", due)
	}
	for _, key := range slices.Sorted(maps.Keys(l.objects)) {
		if strings.HasPrefix(key, "deployment/") || strings.HasPrefix(key, "withdrawal/") || strings.HasPrefix(key, "purchase/") {
			fmt.Fprintln(&b, key, l.objects[key].Status())
		}
		if x, is := l.objects[key].(*account.Deployment); is {
			fmt.Fprintln(&b, x.Paid, x.Used, x.UsedMinutes, x.Refunded, x.Usage, x.UsageOpen, x.UsageDropped, x.StartedAt, x.EndsAt, x.EndedAt, x.Cause)
		}
	}
	for at := range journal.ChartSize {
		fmt.Fprintln(&b, at, l.books[at])
	}
	for i, e := range l.log {
		if entry, shown := account.EntryOf(e); shown && (entry.Amount != 0 || entry.Held != 0) {
			effective := l.recorded[i]
			if !entry.EffectiveAt.IsZero() {
				effective = entry.EffectiveAt
			}
			fmt.Fprintln(&b, entry.Type, entry.Amount, entry.Held, effective)
		}
	}
	return b.String()
}
