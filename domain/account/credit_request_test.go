package account_test

import (
	"slices"
	"testing"
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
)

func askedFor(id string, amount domain.Amount) step {
	return doBy("cust", account.RequestCredit{Request: id, Amount: amount, Name: "sealed-name", Reason: "sealed-reason"})
}

func terms(amount domain.Amount, promotional bool) account.CreditTerms {
	return account.CreditTerms{Amount: amount, Promotional: promotional}
}

func approves(by, id string, t account.CreditTerms) step {
	return doBy(by, account.ApproveCreditRequest{Request: id, Terms: t})
}

func TestCreditRequest(t *testing.T) {
	ask := given(askedFor("r", 500*credit))
	grant := func(t account.CreditTerms, by string, level int) *account.CreditGranted {
		return &account.CreditGranted{Request: "r", Terms: t, ApprovedBy: by, Level: level}
	}
	once := func(t account.CreditTerms, by string) *account.CreditRequestApproved {
		return &account.CreditRequestApproved{Request: "r", Terms: t, ApprovedBy: by}
	}
	timed := terms(500*credit, false)
	timed.ExpiresAt = hour(100)
	wrongTerms := func(t account.CreditTerms) []step { return append(ask[:1:1], approves("bd", "r", t)) }
	check(t, []row{
		{
			name: "asks, and nothing moves", when: askedFor("r", 500*credit), balance: "nothing",
			then: events(&account.CreditRequested{Request: "r", Amount: 500 * credit, Name: "sealed-name", Reason: "sealed-reason", RequestedBy: "cust"}),
		},
		{
			name: "promotional below the policy's amount: one approver", given: ask, when: approves("bd", "r", terms(999*credit, true)),
			then:    events(grant(terms(999*credit, true), "bd", 1)),
			balance: "balance 999, available 999, promotional 999, spendable 999",
		},
		{
			name: "promotional from the policy's amount: the first of two", given: ask, when: approves("bd", "r", terms(1000*credit, true)),
			then: events(once(terms(1000*credit, true), "bd")), balance: "nothing",
		},
		{
			name: "the second of two", given: wrongTerms(terms(1000*credit, true)), when: approves("bd2", "r", terms(1000*credit, true)),
			then: events(grant(terms(1000*credit, true), "bd2", 2)),
		},
		{
			name: "not promotional: always two", given: ask, when: approves("bd", "r", terms(credit, false)),
			then: events(once(terms(credit, false), "bd")),
		},
		{
			name: "not promotional: purchased, and has not paid", given: wrongTerms(timed), when: approves("bd2", "r", timed),
			then: events(grant(timed, "bd2", 2)), balance: "balance 500, available 500, purchased 500, withdrawable 500, spendable 500",
		},
		{
			name: "it pays what waits", given: append(ask[:1:1], do(deploy("d", "5", 2))), when: approves("bd", "r", terms(10*credit, true)),
			then: events(grant(terms(10*credit, true), "bd", 1), ran("d", 2, hour(0), 0, promo(3, 10*credit))),
		},
	})
}

func TestCreditRequestRefused(t *testing.T) {
	ask := given(askedFor("r", 500*credit))
	timed := terms(500*credit, false)
	timed.ExpiresAt = hour(100)
	wrongTerms := func(t account.CreditTerms) []step { return append(ask[:1:1], approves("bd", "r", t)) }
	check(t, []row{
		{name: "nobody approves their own", given: ask, when: approves("cust", "r", terms(credit, true)), refused: "self-approval field=credit_request_id value=r"},
		{name: "nor rejects it", given: ask, when: doBy("cust", account.RejectCreditRequest{Request: "r"}), refused: "self-approval field=credit_request_id value=r"},
		{name: "nor twice", given: wrongTerms(terms(credit, false)), when: approves("bd", "r", terms(credit, false)), refused: "self-approval field=credit_request_id value=r"},
		{
			name: "the second has to approve the same amount", given: wrongTerms(timed), when: approves("bd2", "r", account.CreditTerms{Amount: 501 * credit, ExpiresAt: hour(100)}),
			refused: "field-invalid field=approved_amount value=501 first=500",
		},
		{
			name: "the same class", given: wrongTerms(timed), when: approves("bd2", "r", account.CreditTerms{Amount: 500 * credit, Promotional: true, ExpiresAt: hour(100)}),
			refused: "field-invalid field=promotional value=true first=false",
		},
		{
			name: "the same expiry", given: wrongTerms(timed), when: approves("bd2", "r", terms(500*credit, false)),
			refused: "field-invalid field=expires_at first=2026-03-05T04:00:00Z",
		},
		{
			name: "that has expired", given: ask, when: doAt(hour(100), account.ApproveCreditRequest{Request: "r", Terms: timed}),
			refused: "time-invalid field=expires_at value=2026-03-05T04:00:00Z",
		},
		{name: "of nothing", given: ask, when: approves("bd", "r", terms(0, true)), refused: "amount-invalid field=approved_amount value=0"},
		{name: "asks for nothing", when: askedFor("r", 0), refused: "amount-invalid field=amount value=0"},
		{name: "unknown", when: approves("bd", "r", terms(credit, true)), refused: "unknown-credit-request field=credit_request_id value=r"},
		{
			name: "decided", given: append(ask[:1:1], approves("bd", "r", terms(credit, true))), when: approves("bd", "r", terms(credit, true)),
			refused: "wrong-status field=credit_request_id value=r",
		},
		{name: "an id is used once", given: append(ask[:1:1], approves("bd", "r", terms(credit, true))), when: askedFor("r", credit), refused: "duplicate-id field=credit_request_id value=r"},
		{
			name: "rejected, at its level", given: wrongTerms(timed), when: doBy("bd2", account.RejectCreditRequest{Request: "r", Reason: "sealed"}),
			then: events(&account.CreditRequestClosed{Status: account.CreditIsRejected, Request: "r", By: "bd2", Reason: "sealed", Level: 2}),
		},
		{
			name: "cancelled", given: ask, when: doBy("cust", account.CancelCreditRequest{Request: "r"}),
			then: events(&account.CreditRequestClosed{Status: account.CreditIsCancelled, Request: "r", By: "cust"}),
		},
		{
			name: "approved after it was cancelled", given: append(ask[:1:1], doBy("cust", account.CancelCreditRequest{Request: "r"})),
			when: approves("bd", "r", terms(credit, true)), refused: "wrong-status field=credit_request_id value=r",
		},
		{
			name: "past the limit of an account", given: append(ask[:1:1], facts(&account.IncentiveGranted{Amount: domain.MaxBalance})),
			when: approves("bd", "r", terms(1, true)), refused: "amount-too-large field=amount value=0.000001 limit=1000000000000",
		},
	})
}

// TestLapsedApproval: an approval whose credits would have expired before the second
// one came counts no longer. The request can be approved anew, by two people again.
func TestLapsedApproval(t *testing.T) {
	until := func(h int, amount domain.Amount, promotional bool) account.CreditTerms {
		return account.CreditTerms{Amount: amount, Promotional: promotional, ExpiresAt: hour(h)}
	}
	at := func(h int, by string, t account.CreditTerms) step {
		return step{at: hour(h), by: by, do: account.ApproveCreditRequest{Request: "r", Terms: t}}
	}
	once := func(by string, t account.CreditTerms) *account.CreditRequestApproved {
		return &account.CreditRequestApproved{Request: "r", Terms: t, ApprovedBy: by}
	}
	old, fresh := until(100, 500*credit, false), until(200, 500*credit, false)
	first := given(askedFor("r", 500*credit), at(0, "bd", old))
	anew := append(first[:2:2], at(100, "bd2", fresh))
	check(t, []row{
		{
			name: "the terms that lapsed", given: first, when: at(100, "bd2", old),
			refused: "time-invalid field=expires_at value=2026-03-05T04:00:00Z",
		},
		{
			name: "a second before, the first one counts", given: first, when: step{at: hour(100).Add(-time.Second), by: "bd2", do: account.ApproveCreditRequest{Request: "r", Terms: fresh}},
			refused: "field-invalid field=expires_at value=2026-03-09T08:00:00Z first=2026-03-05T04:00:00Z",
		},
		{name: "anew by another is the first of two", given: first, when: at(100, "bd2", fresh), then: events(once("bd2", fresh))},
		{name: "anew by the same person is", given: first, when: at(100, "bd", fresh), then: events(once("bd", fresh))},
		{name: "with another amount, for ever", given: first, when: at(100, "bd2", terms(credit, false)), then: events(once("bd2", terms(credit, false)))},
		{name: "never by who asked", given: first, when: at(100, "cust", fresh), refused: "self-approval field=credit_request_id value=r"},
		{name: "nobody twice", given: anew, when: at(101, "bd2", fresh), refused: "self-approval field=credit_request_id value=r"},
		{
			name: "whose approval lapsed may be the second", given: anew, when: at(101, "bd", fresh),
			then: events(&account.CreditGranted{Request: "r", Terms: fresh, ApprovedBy: "bd", Level: 2}),
		},
		{name: "who has to agree with the new terms", given: anew, when: at(101, "bd", terms(500*credit, false)), refused: "field-invalid field=expires_at first=2026-03-09T08:00:00Z"},
		{name: "it may lapse again", given: anew, when: at(200, "bd", terms(credit, false)), then: events(once("bd", terms(credit, false)))},
		{
			name: "what needs one person is granted by one", given: first, when: at(100, "bd2", until(200, credit, true)),
			then: events(&account.CreditGranted{Request: "r", Terms: until(200, credit, true), ApprovedBy: "bd2", Level: 1}),
		},
		{
			name: "rejected, at the level that counts", given: first, when: step{at: hour(100), by: "bd2", do: account.RejectCreditRequest{Request: "r"}},
			then: events(&account.CreditRequestClosed{Status: account.CreditIsRejected, Request: "r", By: "bd2", Level: 1}),
		},
	})
}

// TestApproversAreThoseThatCount: whose approval lapsed stays in the steps alone.
func TestApproversAreThoseThatCount(t *testing.T) {
	var r account.CreditRequest
	for _, c := range []struct {
		event domain.Event
		want  []string
	}{
		{&account.CreditRequested{Request: "r", Amount: credit}, nil},
		{&account.CreditRequestApproved{Request: "r", ApprovedBy: "bd"}, []string{"bd"}},
		{&account.CreditRequestApproved{Request: "r", ApprovedBy: "bd2"}, []string{"bd2"}},
		{&account.CreditGranted{Request: "r", ApprovedBy: "bd", Level: 2}, []string{"bd2", "bd"}},
		{&account.CreditRequestApproved{Request: "r", ApprovedBy: "bd"}, []string{"bd"}},
		{&account.CreditGranted{Request: "r", ApprovedBy: "bd2", Level: 1}, []string{"bd2"}},
	} {
		r.Apply(c.event)
		if !slices.Equal(r.ApprovedBy, c.want) {
			t.Errorf("after %+v: %v, not %v", c.event, r.ApprovedBy, c.want)
		}
	}
}

func TestCheckout(t *testing.T) {
	const notEnough = "Not enough credits. Use another payment method or request more."
	for _, c := range []struct {
		name             string
		balance          account.Balance
		visible, enabled bool
		message          string
	}{
		{"no credits", account.Balance{}, false, false, notEnough},
		{"enough, to the last micro-credit", account.Balance{Balance: 5 * credit, Available: 5 * credit}, true, true, "Pay & Deploy Container"},
		{"a micro-credit short", account.Balance{Balance: 5 * credit, Available: 5*credit - 1}, true, false, notEnough},
		{"the allowance is not offered", account.Balance{Balance: credit, Available: credit, Allowance: 10 * credit, Spendable: 11 * credit}, true, false, notEnough},
		{"in debt", account.Balance{Balance: -credit, Available: -credit}, false, false, notEnough},
	} {
		t.Run(c.name, func(t *testing.T) {
			options := c.balance.Checkout(5 * credit)
			if len(options) != 3 {
				t.Fatalf("%d options", len(options))
			}
			for i, method := range []account.PaymentMethod{account.PayUSDC, account.PayIOCoin} {
				if o := options[i]; o.Method != method || !o.Visible || !o.Enabled || o.Required != 5*credit || o.Available != c.balance.Available {
					t.Errorf("option %d is %+v", i, o)
				}
			}
			want := account.CheckoutOption{
				Method: account.PayCredits, Visible: c.visible, Enabled: c.enabled, Message: c.message,
				Required: 5 * credit, Available: c.balance.Available,
			}
			if options[2] != want {
				t.Errorf("credits: %+v\nwant:    %+v", options[2], want)
			}
		})
	}
}

// TestBuyingPolicies has the figures of a policy that buying and deploying read.
func TestBuyingPolicies(t *testing.T) {
	set := func(c account.SetPolicy) step { return do(c) }
	check(t, []row{
		{
			name: "minimum charges keep those that aren't named", when: set(account.SetPolicy{MinimumMinutes: map[domain.Service]int{domain.ServiceRay: 15}}),
			then: events(&account.PolicySet{Policy: account.Policy{Allowance: 10 * credit, GraceMinutes: 5, TwoApproversFrom: 1000 * credit, MinimumMinutes: account.MinimumMinutes{Ray: 15, VM: 60}}}),
		},
		{
			name: "a minimum charge holds from the next deployment on", given: given(granted(2*credit), do(deploy("d", "1", 2)),
				set(account.SetPolicy{MinimumMinutes: map[domain.Service]int{domain.ServiceCaaS: 60}})),
			when: doAt(minute(30), account.StopDeployment{Deployment: "d"}),
			then: events(back("d", 2, promo(0, 1_500_000)), ended(account.DeploymentIsStopped, "d", minute(30), 30, 500_000, 1_500_000)),
		},
		{
			name: "an impossible minimum", when: set(account.SetPolicy{MinimumMinutes: map[domain.Service]int{vm: 1, domain.ServiceRay: -1}}),
			refused: "field-invalid field=minimum_minutes value=-1",
		},
		{name: "an impossible fee", when: set(account.SetPolicy{PurchaseFeeBasisPoints: ptr(10_001)}), refused: "field-invalid field=purchase_fee_basis_points value=10001"},
		{name: "an impossible life", when: set(account.SetPolicy{PurchasedLifeMonths: ptr(-1)}), refused: "field-invalid field=purchased_life_months value=-1"},
	})
}
