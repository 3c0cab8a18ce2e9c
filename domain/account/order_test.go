package account_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
)

// broken is a command that breaks one check and, as far as it can, every later one: the
// order of checks is part of the contract (design.md rule 1).
type broken struct {
	name  string
	facts []domain.Event
	step
	taken bool
	want  domain.Code
}

// inOrder decides each on the facts that all of them share, then its own. Facts are
// folded without the laws of history: ten thousand open things take long to hold to them.
func inOrder(t *testing.T, shared []domain.Event, all []broken) {
	t.Helper()
	base := account.New()
	for _, e := range shared {
		account.Evolve(base, e)
	}
	for _, c := range all {
		s := base.Branch()
		for _, e := range c.facts {
			account.Evolve(s, e)
		}
		_, err := account.Decide(s, account.Command{At: hour(0), By: c.by, Do: c.do, NameTaken: c.taken})
		var got domain.Code
		if refusal, ok := domain.AsError(err); ok {
			got = refusal.Code
		}
		require.Equal(t, c.want, got, "%s: %v", c.name, err)
	}
}

// many makes n facts with the numbers 0 to n-1 as ids.
func many(n int, of func(id string) domain.Event) (all []domain.Event) {
	for i := range n {
		all = append(all, of(fmt.Sprint(i)))
	}
	return all
}

func TestDeploymentOrderOfChecks(t *testing.T) {
	start := func(id, price string, hours int) step { return do(deploy(id, price, hours)) }
	requested := func(id string) domain.Event {
		return &account.DeploymentRequested{Deployment: id, Service: vm, HourlyPrice: rate("1"), Hours: 1, Required: credit}
	}
	frozen := &account.Frozen{}
	full := append(many(10_000, requested), frozen)
	inOrder(t, full, []broken{
		{name: "hours", step: start("0", "0", 0), want: domain.CodeFieldInvalid},
		{name: "cost", step: start("0", "0", 1), want: domain.CodeAmountInvalid},
		{name: "cost too large", step: start("0", "1000000000", 2), want: domain.CodeAmountTooLarge},
		{name: "duplicate", step: start("0", "1", 1), want: domain.CodeDuplicateID},
		{name: "duplicate of a closed one", step: start("new", "1", 1), taken: true, want: domain.CodeDuplicateID},
		{name: "limit", step: start("new", "1", 1), want: domain.CodeLimitExceeded},
	})
	inOrder(t, full[1:], []broken{
		{name: "frozen", step: start("new", "1", 1), want: domain.CodeAccountFrozen},
		{name: "one below the limit", facts: events(&account.Unfrozen{}), step: start("new", "1", 1)},
	})
	extend := func(id string, hours int) step {
		return do(account.ExtendDeployment{Deployment: id, Hours: hours})
	}
	runs := func(price string, hours int) []domain.Event {
		return events(&account.DeploymentRequested{Deployment: "d", Service: vm, HourlyPrice: rate(price), Hours: hours},
			&account.DeploymentPaid{Deployment: "d", StartedAt: hour(0), EndsAt: hour(hours)})
	}
	const most = 87_600
	inOrder(t, events(requested("waits"), &account.DeploymentPending{Deployment: "waits", GraceEndsAt: hour(1)}, frozen), []broken{
		{name: "hours", step: extend("none", 0), want: domain.CodeFieldInvalid},
		{name: "hours at once", step: extend("none", 8761), want: domain.CodeFieldInvalid},
		{name: "unknown", step: extend("none", 1), want: domain.CodeUnknownDeployment},
		{name: "ended", step: extend("none", 1), taken: true, want: domain.CodeWrongStatus},
		{name: "pending", step: extend("waits", 1), want: domain.CodeWrongStatus},
		{name: "hours in all", facts: runs("0", most), step: extend("d", 1), want: domain.CodeLimitExceeded},
		{name: "cost", facts: runs("0", most-1), step: extend("d", 1), want: domain.CodeAmountInvalid},
		{name: "cost too large", facts: runs("1000000000", 1), step: extend("d", 2), want: domain.CodeAmountTooLarge},
		{name: "frozen", facts: runs("1", 1), step: extend("d", 1), want: domain.CodeAccountFrozen},
		{name: "short", facts: append(runs("1", 1), &account.Unfrozen{}), step: extend("d", 1), want: domain.CodeInsufficientCredits},
	})
}

func TestUsageOrderOfChecks(t *testing.T) {
	use := func(amount domain.Amount, at time.Time) step {
		return do(account.RecordUsage{Deployment: "none", Amount: amount, EffectiveAt: at})
	}
	inOrder(t, nil, []broken{
		{name: "amount", step: use(0, hour(1)), want: domain.CodeAmountInvalid},
		{name: "amount too large", step: use(domain.MaxAmount+1, hour(1)), want: domain.CodeAmountTooLarge},
		{name: "time", step: use(credit, hour(1)), want: domain.CodeTimeInvalid},
		{name: "unknown", step: use(credit, hour(0)), want: domain.CodeUnknownDeployment},
		{name: "stop: minutes", step: do(account.StopDeployment{Deployment: "none", UsedMinutes: ptr(-1)}), want: domain.CodeFieldInvalid},
	})
}

func TestReviewOrderOfChecks(t *testing.T) {
	approve := func(by string) step { return doBy(by, account.ApproveWithdrawal{Withdrawal: "w"}) }
	pay := func(by string) step { return doBy(by, account.RecordPayout{Withdrawal: "w"}) }
	frozen := &account.Frozen{}
	// Asked for by ann, without any money behind it.
	asked := &account.WithdrawalRequested{Withdrawal: "w", Amount: credit, RequestedBy: "ann", Lots: lots(paid(0, credit))}
	once := &account.WithdrawalApproved{Withdrawal: "w", ApprovedBy: "fin"}
	final := &account.WithdrawalApproved{Withdrawal: "w", ApprovedBy: "fin", Final: true}
	inOrder(t, nil, []broken{
		{name: "unknown", facts: events(frozen), step: approve("ann"), want: domain.CodeUnknownWithdrawal},
		{name: "closed", facts: events(frozen), step: approve("ann"), taken: true, want: domain.CodeWrongStatus},
		{name: "approved", facts: events(asked, final, frozen), step: approve("ann"), want: domain.CodeWrongStatus},
		{name: "by who asked", facts: events(asked, frozen), step: approve("ann"), want: domain.CodeSelfApproval},
		{name: "twice", facts: events(asked, once, frozen), step: approve("fin"), want: domain.CodeSelfApproval},
		{name: "frozen", facts: events(asked, frozen), step: approve("fin"), want: domain.CodeAccountFrozen},
		{name: "without money", facts: events(asked), step: approve("fin"), want: domain.CodeNotWithdrawable},
		{name: "pay unknown", facts: events(frozen), step: pay("ann"), want: domain.CodeUnknownWithdrawal},
		{name: "pay requested", facts: events(asked, frozen), step: pay("ann"), want: domain.CodeWrongStatus},
		{name: "pay by who asked", facts: events(asked, final, frozen), step: pay("ann"), want: domain.CodeSelfApproval},
		{name: "pay frozen", facts: events(asked, final, frozen), step: pay("fin"), want: domain.CodeAccountFrozen},
		{name: "pay without money", facts: events(asked, final), step: pay("fin"), want: domain.CodeNotWithdrawable},
		{name: "fail requested", facts: events(asked), step: doBy("ann", account.FailWithdrawal{Withdrawal: "w"}), want: domain.CodeWrongStatus},
		{name: "fail by who asked", facts: events(asked, final), step: doBy("ann", account.FailWithdrawal{Withdrawal: "w"}), want: domain.CodeSelfApproval},
		{name: "reject approved", facts: events(asked, final), step: doBy("ann", account.RejectWithdrawal{Withdrawal: "w"}), want: domain.CodeWrongStatus},
		{name: "cancel approved", facts: events(asked, final), step: do(account.CancelWithdrawal{Withdrawal: "w"}), want: domain.CodeWrongStatus},
	})
}

func TestAdjustmentOrderOfChecks(t *testing.T) {
	ask := func(id string, amount domain.Amount, related domain.TransactionID) step {
		return do(account.RequestAdjustment{Adjustment: id, Amount: amount, Related: related})
	}
	approve := func(id, by string) step { return doBy(by, account.ApproveAdjustment{Adjustment: id}) }
	asked := func(id string) domain.Event {
		return &account.AdjustmentRequested{Adjustment: id, Amount: 1000 * credit, RequestedBy: "ann"}
	}
	inOrder(t, many(1_000, asked), []broken{
		{name: "amount", step: ask("0", 0, tx(9)), want: domain.CodeAmountInvalid},
		{name: "amount too large", step: ask("0", -domain.MaxAmount-1, tx(9)), want: domain.CodeAmountTooLarge},
		{name: "transaction", step: ask("0", credit, tx(9)), want: domain.CodeUnknownTransaction},
		{name: "duplicate", step: ask("0", credit, domain.TransactionID{}), want: domain.CodeDuplicateID},
		{name: "limit", step: ask("new", credit, domain.TransactionID{}), want: domain.CodeLimitExceeded},
	})
	full := append(many(10_000, func(string) domain.Event { return &account.IncentiveGranted{Amount: credit} }), asked("a"))
	once := &account.AdjustmentApproved{Adjustment: "a", ApprovedBy: "bob"}
	rest := &account.IncentiveGranted{Amount: domain.MaxBalance - 10_000*credit}
	inOrder(t, full, []broken{
		{name: "unknown", step: approve("none", "ann"), want: domain.CodeUnknownAdjustment},
		{name: "decided", step: approve("none", "ann"), taken: true, want: domain.CodeWrongStatus},
		{name: "by who asked", facts: events(once, rest), step: approve("a", "ann"), want: domain.CodeSelfApproval},
		{name: "twice", facts: events(once, rest), step: approve("a", "bob"), want: domain.CodeSelfApproval},
		{name: "a first approval needs no room yet", facts: events(rest), step: approve("a", "cyd")},
		{name: "too large", facts: events(once, rest), step: approve("a", "cyd"), want: domain.CodeAmountTooLarge},
		{name: "too many lots", facts: events(once), step: approve("a", "cyd"), want: domain.CodeLimitExceeded},
	})
}

func TestCreditRequestOrderOfChecks(t *testing.T) {
	ask := func(id string, amount domain.Amount) step {
		return do(account.RequestCredit{Request: id, Amount: amount})
	}
	asked := func(id string) domain.Event {
		return &account.CreditRequested{Request: id, Amount: credit, RequestedBy: "ann"}
	}
	inOrder(t, many(100, asked), []broken{
		{name: "amount", step: ask("0", 0), taken: true, want: domain.CodeAmountInvalid},
		{name: "amount too large", step: ask("0", domain.MaxAmount+1), taken: true, want: domain.CodeAmountTooLarge},
		{name: "duplicate", step: ask("0", credit), taken: true, want: domain.CodeDuplicateID},
		{name: "limit", step: ask("new", credit), want: domain.CodeLimitExceeded},
	})
	inOrder(t, many(99, asked), []broken{{name: "one below the limit", step: ask("new", credit)}})
	approve := func(by, id string, amount domain.Amount, until time.Time) step {
		return approves(by, id, account.CreditTerms{Amount: amount, Promotional: true, ExpiresAt: until})
	}
	large := 1000 * credit
	first := &account.CreditRequestApproved{Request: "r", Terms: account.CreditTerms{Amount: large, Promotional: true}, ApprovedBy: "bd"}
	lotsOf := many(10_000, func(string) domain.Event { return &account.IncentiveGranted{Amount: credit} })
	full := append(lotsOf, asked("r"), first)
	rest := &account.IncentiveGranted{Amount: domain.MaxBalance - 10_000*credit}
	inOrder(t, full, []broken{
		{name: "amount", step: approve("ann", "none", 0, hour(0)), want: domain.CodeAmountInvalid},
		{name: "amount too large", step: approve("ann", "none", domain.MaxAmount+1, hour(0)), want: domain.CodeAmountTooLarge},
		{name: "time", step: approve("ann", "none", credit, hour(0)), want: domain.CodeTimeInvalid},
		{name: "unknown", step: approve("ann", "none", credit, hour(1)), want: domain.CodeUnknownCreditRequest},
		{name: "decided", step: approve("ann", "none", credit, hour(1)), taken: true, want: domain.CodeWrongStatus},
		{name: "by who asked", facts: events(rest), step: approve("ann", "r", credit, hour(1)), want: domain.CodeSelfApproval},
		{name: "twice", facts: events(rest), step: approve("bd", "r", credit, hour(1)), want: domain.CodeSelfApproval},
		{name: "other terms", facts: events(rest), step: approve("bd2", "r", credit, hour(1)), want: domain.CodeFieldInvalid},
		{name: "too large in all", facts: events(rest), step: approve("bd2", "r", large, time.Time{}), want: domain.CodeAmountTooLarge},
		{name: "too many lots", step: approve("bd2", "r", large, time.Time{}), want: domain.CodeLimitExceeded},
		{name: "cancel an unknown one", step: do(account.CancelCreditRequest{Request: "none"}), want: domain.CodeUnknownCreditRequest},
		{name: "reject an unknown one", step: do(account.RejectCreditRequest{Request: "none"}), want: domain.CodeUnknownCreditRequest},
	})
}

func TestPurchaseOrderOfChecks(t *testing.T) {
	start := func(id string, amount domain.Amount) step {
		return do(account.StartPurchase{Purchase: id, Amount: amount})
	}
	link := func(id string, attempt int) step {
		return do(account.RequestLink{Purchase: id, Attempt: attempt})
	}
	begun := func(id string) domain.Event {
		return &account.PurchaseStarted{Purchase: id, Amount: credit, ToPay: credit, ExpiresAt: hour(1)}
	}
	fee := &account.PolicySet{Policy: account.Policy{PurchaseFeeBasisPoints: 10_000}} // as much again
	inOrder(t, append(many(100, begun), fee), []broken{
		{name: "below the minimum", step: start("0", credit-1), taken: true, want: domain.CodeAmountInvalid},
		{name: "too large", step: start("0", domain.MaxAmount+1), taken: true, want: domain.CodeAmountTooLarge},
		{name: "too large with its fee", step: start("0", domain.MaxAmount/2+1), taken: true, want: domain.CodeAmountTooLarge},
		{name: "duplicate", step: start("0", domain.MaxAmount/2), taken: true, want: domain.CodeDuplicateID},
		{name: "limit", step: start("new", credit), want: domain.CodeLimitExceeded},
		{name: "link: unknown", step: link("none", 9), want: domain.CodeUnknownPurchase},
		{name: "link: ended", step: link("none", 9), taken: true, want: domain.CodeWrongStatus},
		{name: "link: limit", facts: events(&account.PurchaseLinkRequested{Purchase: "0", Attempt: 20}), step: link("0", 9), want: domain.CodeLimitExceeded},
		{name: "link: number", facts: events(&account.PurchaseLinkRequested{Purchase: "0", Attempt: 19}), step: link("0", 9), want: domain.CodeConflict},
		{name: "link: the last", facts: events(&account.PurchaseLinkRequested{Purchase: "0", Attempt: 19}), step: link("0", 20)},
	})
	inOrder(t, append(many(99, begun), fee), []broken{
		{name: "one below the limit, as large as any", step: start("new", domain.MaxAmount/2)},
		{name: "the minimum", step: start("new", credit)},
	})
}

func TestResolveDisputeOrderOfChecks(t *testing.T) {
	resolve := func(id string, outcome account.DisputeOutcome, refund *domain.Amount) step {
		return do(account.ResolveDispute{Dispute: id, Outcome: outcome, Refund: refund})
	}
	inOrder(t, events(&account.DisputeOpened{Dispute: "d", Deduction: tx(9), Revision: 9, Amount: credit, OpenedBy: "ann"},
		&account.DisputeOpened{Dispute: "e", Deduction: tx(8), Revision: 8, Amount: credit, OpenedBy: "bob"}), []broken{
		{name: "amount", step: resolve("none", "perhaps", ptr(-credit)), want: domain.CodeAmountInvalid},
		{name: "amount of nothing", step: resolve("none", "perhaps", ptr(domain.Amount(0))), want: domain.CodeAmountInvalid},
		{name: "unknown", step: resolve("none", "perhaps", ptr(credit)), want: domain.CodeUnknownDispute},
		{name: "resolved", step: resolve("none", "perhaps", ptr(credit)), taken: true, want: domain.CodeWrongStatus},
		{name: "by the opener", step: resolve("d", "perhaps", ptr(credit)), want: domain.CodeSelfApproval},
		{name: "a refund with a rejection", step: resolve("e", account.DisputeRejected, ptr(credit)), want: domain.CodeFieldInvalid},
		{name: "no outcome", step: resolve("e", "perhaps", ptr(credit)), want: domain.CodeFieldInvalid},
		{name: "no deduction", step: resolve("e", account.DisputeUpheld, ptr(credit)), want: domain.CodeUnknownTransaction},
	})
}
