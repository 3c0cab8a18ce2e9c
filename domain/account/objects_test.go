package account_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
)

// life is what an object says after each of some steps; "" where it isn't looked at.
type life []struct {
	step
	want string
}

// told follows an object as people and programs read it: each figure that api.md
// promises, and what only the desks see.
func (l life) told(t *testing.T, kind account.ObjectKind, id string) {
	t.Helper()
	h := newHistory(t)
	for i, c := range l {
		if _, err := h.execute(c.step); err != nil {
			t.Fatalf("step %d, %T: %v", i, c.do, err)
		}
		if c.want != "" {
			is := h.object(kind, id)
			require.JSONEq(t, c.want, stored(t, is), "step %d, %T", i, c.do)
			require.Contains(t, c.want, `"status":"`+is.Status()+`"`, "step %d, %T", i, c.do)
		}
	}
}

func TestDeploymentObject(t *testing.T) {
	life{
		{bought("p", 12*credit), ""},
		{do(account.SetPolicy{Allowance: ptr(domain.Amount(0))}), ""},
		{do(account.StartDeployment{Deployment: "d", Service: vm, HourlyPrice: rate("5"), Hours: 3}),
			`{"status":"pending-payment","service":"vm","hourly_price":"5","hours":3,"minimum_minutes":60,"required":"15","shortfall":"3",
			  "grace_ends_at":"2026-03-01T00:05:00Z","requested_at":"2026-03-01T00:00:00Z"}`},
		{doAt(minute(1), account.GrantIncentive{Amount: 4 * credit}),
			`{"status":"active","service":"vm","hourly_price":"5","hours":3,"minimum_minutes":60,"required":"15","paid":"15",
			  "requested_at":"2026-03-01T00:00:00Z","started_at":"2026-03-01T00:01:00Z","counts_from":"2026-03-01T00:01:00Z","ends_at":"2026-03-01T03:01:00Z"}`},
		{doAt(minute(2), account.RecordUsage{Deployment: "d", Metered: true, Quantity: units("3"), UnitPrice: rate("0.1000003")}),
			`{"status":"active","service":"vm","hourly_price":"5","hours":3,"minimum_minutes":60,"required":"15","paid":"15",
			  "usage":"0.300001","meter":{"charged":"0.300001","carry":-100000000000},
			  "requested_at":"2026-03-01T00:00:00Z","started_at":"2026-03-01T00:01:00Z","counts_from":"2026-03-01T00:01:00Z","ends_at":"2026-03-01T03:01:00Z"}`},
		{doAt(minute(10), account.RecordUsage{Deployment: "d", Amount: 2 * credit}),
			`{"status":"paused","service":"vm","hourly_price":"5","hours":3,"minimum_minutes":60,"required":"15","paid":"15",
			  "usage":"0.300001","usage_open":"2","meter":{"charged":"0.300001","carry":-100000000000},"shortfall":"1.300001","grace_ends_at":"2026-03-01T00:15:00Z","paused_at":"2026-03-01T00:10:00Z",
			  "requested_at":"2026-03-01T00:00:00Z","started_at":"2026-03-01T00:01:00Z","counts_from":"2026-03-01T00:01:00Z","ends_at":"2026-03-01T03:01:00Z"}`},
		{doAt(minute(12), account.GrantIncentive{Amount: 7 * credit}),
			`{"status":"active","service":"vm","hourly_price":"5","hours":3,"minimum_minutes":60,"required":"15","paid":"15",
			  "usage":"2.300001","meter":{"charged":"0.300001","carry":-100000000000},
			  "requested_at":"2026-03-01T00:00:00Z","started_at":"2026-03-01T00:01:00Z","counts_from":"2026-03-01T00:03:00Z","ends_at":"2026-03-01T03:03:00Z"}`},
		{doAt(minute(13), account.ExtendDeployment{Deployment: "d", Hours: 1}),
			`{"status":"active","service":"vm","hourly_price":"5","hours":4,"minimum_minutes":60,"required":"15","paid":"20",
			  "usage":"2.300001","meter":{"charged":"0.300001","carry":-100000000000},
			  "requested_at":"2026-03-01T00:00:00Z","started_at":"2026-03-01T00:01:00Z","counts_from":"2026-03-01T00:03:00Z","ends_at":"2026-03-01T04:03:00Z"}`},
		{doAt(minute(14), account.RecordUsage{Deployment: "d", Amount: 900 * credit}), ""},
		{doAt(minute(16), account.FailDeployment{Deployment: "d", Reason: "sealed"}),
			`{"status":"failed","service":"vm","hourly_price":"5","hours":4,"minimum_minutes":60,"required":"15","paid":"20","used":"0.916667","used_minutes":11,"refunded":"19.083333",
			  "usage":"2.300001","usage_dropped":"900","meter":{"charged":"0.300001","carry":-100000000000},"cause":"provider","reason":"sealed","paused_at":"2026-03-01T00:14:00Z",
			  "requested_at":"2026-03-01T00:00:00Z","started_at":"2026-03-01T00:01:00Z","counts_from":"2026-03-01T00:03:00Z","ends_at":"2026-03-01T04:03:00Z","ended_at":"2026-03-01T00:16:00Z"}`},
	}.told(t, account.ObjectDeployment, "d")
}

func TestWithdrawalObject(t *testing.T) {
	const asked = `"amount":"5","wallet":"sealed","network":"solana","due_from":"2026-03-04T00:00:00Z","due_by":"2026-03-10T00:00:00Z",
		"requested_by":"ann","lots":[{"lot":0,"class":"purchased","amount":"5"}]`
	life{
		{bought("p", 2000*credit), ""},
		{withdrawn("w", 5*credit), `{"status":"requested",` + asked + `}`},
		{okayed("w", "fin"), `{"status":"approved","approved_by":["fin"],` + asked + `}`},
		{doBy("fin", account.RecordPayout{Withdrawal: "w", TxURL: "sealed-url", Network: account.NetworkEthereum}),
			`{"status":"paid","approved_by":["fin"],"tx_url":"sealed-url","paid_on":"ethereum",` + asked + `}`},
	}.told(t, account.ObjectWithdrawal, "w")
	for status, end := range map[string]step{
		`"cancelled","cause":"cancelled"`:                     do(account.CancelWithdrawal{Withdrawal: "w"}),
		`"rejected","cause":"rejected","reason":"sealed-why"`: turnedDown("w", "fin"),
		`"rejected","cause":"chargeback","purchase":"p"`:      chargedBack("p"),
	} {
		life{{bought("p", 5*credit), ""}, {withdrawn("w", 5*credit), ""}, {end, `{"status":` + status + `,` + asked + `}`}}.told(t, account.ObjectWithdrawal, "w")
	}
	life{
		{bought("p", 5*credit), ""}, {withdrawn("w", 5*credit), ""}, {okayed("w", "fin"), ""},
		{fellThrough("w", "fin"), `{"status":"failed","cause":"failed","reason":"sealed-why","approved_by":["fin"],` + asked + `}`},
	}.told(t, account.ObjectWithdrawal, "w")
	h := newHistory(t)
	for _, s := range given(bought("p", 2000*credit), withdrawn("w", 1000*credit), okayed("w", "fin")) {
		_, err := h.execute(s)
		require.NoError(t, err)
	}
	w := h.object(account.ObjectWithdrawal, "w").(*account.Withdrawal)
	require.Equal(t, account.WithdrawalIsRequested, w.State, "one approval of two")
	require.Equal(t, dueBy, w.QueueTime())
}

func TestCreditRequestObject(t *testing.T) {
	const asked = `"amount":"500","name":"sealed-name","reason":"sealed-reason","requested_by":"cust"`
	wanted := account.CreditTerms{Amount: 400 * credit, ExpiresAt: hour(9)}
	const granted = `"terms":{"amount":"400","expires_at":"2026-03-01T09:00:00Z"}`
	life{
		{askedFor("r", 500*credit), `{"status":"requested",` + asked + `}`},
		{approves("bd", "r", wanted), `{"status":"requested","approved_by":["bd"],` + granted + `,` + asked + `}`},
		{approves("bd2", "r", wanted), `{"status":"approved","approved_by":["bd","bd2"],` + granted + `,` + asked + `}`},
	}.told(t, account.ObjectCreditRequest, "r")
	life{
		{askedFor("r", 500*credit), ""},
		{doBy("bd", account.RejectCreditRequest{Request: "r", Reason: "sealed"}),
			`{"status":"rejected","rejected_by":"bd","rejection_reason":"sealed","rejection_level":1,` + asked + `}`},
	}.told(t, account.ObjectCreditRequest, "r")
	life{
		{askedFor("r", 500*credit), ""},
		{doBy("cust", account.CancelCreditRequest{Request: "r"}), `{"status":"cancelled",` + asked + `}`},
	}.told(t, account.ObjectCreditRequest, "r")
}

func TestDisputeAndAdjustmentObjects(t *testing.T) {
	about := `"deduction":"` + tx(1).String() + `","deduction_revision":1,"amount":"10","service":"vm","reason":"sealed","opened_by":"ann"`
	life{
		{bought("p", 50*credit), ""}, {spent(10 * credit), ""},
		{disputed("d", 1), `{"status":"open",` + about + `}`},
		{resolved("d", account.DisputeUpheld, ptr(3*credit)), `{"status":"upheld","refund":"3","note":"sealed-note","resolved_by":"sue",` + about + `}`},
	}.told(t, account.ObjectDispute, "d")
	asked := `"amount":"5","reason":"sealed","related_transaction":"` + tx(0).String() + `","requested_by":"ann"`
	ask := do(account.RequestAdjustment{Adjustment: "a", Amount: 5 * credit, Reason: "sealed", Related: tx(0)})
	life{
		{bought("p", 50*credit), ""}, {ask, `{"status":"requested",` + asked + `}`},
		{doBy("fin", account.RejectAdjustment{Adjustment: "a", Reason: "sealed-no"}), `{"status":"rejected","rejected_by":"fin","rejection":"sealed-no",` + asked + `}`},
	}.told(t, account.ObjectAdjustment, "a")
}

func TestPurchaseObject(t *testing.T) {
	const begun = `"amount":"10","fee":"0.2","to_pay":"10.2","started_at":"2026-03-01T00:00:00Z","expires_at":"2026-03-01T00:20:00Z"`
	fee := do(account.SetPolicy{PurchaseFeeBasisPoints: ptr(200)})
	link := do(account.RecordLink{Purchase: "p", Attempt: 2, Link: "l2", URL: "https://pay/l2"})
	const linked = `"attempts":2,"failed_attempt":1,"links":[{"attempt":2,"link":"l2","url":"https://pay/l2"}]`
	life{
		{fee, ""},
		{started("p", 10*credit), `{"status":"awaiting-payment",` + begun + `}`},
		{do(account.RequestLink{Purchase: "p", Attempt: 1}), `{"status":"awaiting-payment","attempts":1,` + begun + `}`},
		{do(account.RecordLinkFailure{Purchase: "p", Attempt: 1, Why: "no"}), `{"status":"awaiting-payment","attempts":1,"failed_attempt":1,` + begun + `}`},
		{do(account.RequestLink{Purchase: "p", Attempt: 2}), ""},
		{link, `{"status":"awaiting-payment",` + linked + `,` + begun + `}`},
		{do(payment("x", "p", 4*credit)), `{"status":"awaiting-payment","received":"4","payments":[{"payment":"x","amount":"4"}],` + linked + `,` + begun + `}`},
		{do(payment("y", "p", 7*credit)), `{"status":"settled","received":"11","credited":"10.8","payments":[{"payment":"x","amount":"4"},{"payment":"y","amount":"7"}],` + linked + `,` + begun + `}`},
		{backOf("y", "p", 7*credit), `{"status":"settled","received":"11","credited":"10.8","reversed":"7","payments":[{"payment":"x","amount":"4"},{"payment":"y","amount":"7"}],` + linked + `,` + begun + `}`},
		{backOf("x", "p", 4*credit), `{"status":"reversed","received":"11","credited":"10.8","reversed":"10.8","payments":[{"payment":"x","amount":"4"},{"payment":"y","amount":"7"}],` + linked + `,` + begun + `}`},
	}.told(t, account.ObjectPurchase, "p")
	life{
		{fee, ""}, {started("p", 10*credit), ""}, {do(payment("x", "p", 4*credit)), ""},
		{doAt(minute(20), account.Tick{}), `{"status":"expired","received":"4","payments":[{"payment":"x","amount":"4"}],` + begun + `}`},
		{doAt(minute(21), account.ResolvePayment{Payment: "x", Returned: true}), `{"status":"expired",` + begun + `}`},
	}.told(t, account.ObjectPurchase, "p")
	var p account.Purchase
	require.Empty(t, p.URL())
	for _, url := range []string{"first", "newest"} {
		p.Apply(&account.PurchaseLinkMade{Purchase: "p", URL: url})
		require.Equal(t, url, p.URL())
	}
}

func TestPaymentObject(t *testing.T) {
	lost := do(account.RecordPayment{Payment: "x", Purchase: "q", Amount: 5 * credit, Named: "bob"})
	const waits = `"kind":"payment","purchase":"q","amount":"5","why":"purchase-unknown","since":"2026-03-01T00:00:00Z","named":"bob"`
	life{
		{lost, `{"status":"unmatched",` + waits + `}`},
		{doAt(hour(1), account.ResolvePayment{Payment: "x", Account: "bob", Note: "sealed"}), `{"status":"assigned","account":"bob","note":"sealed",` + waits + `}`},
		{doAt(hour(2), account.ClosePayment{Payment: "x"}), `{"status":"credited","account":"bob","note":"sealed",` + waits + `}`},
	}.told(t, account.ObjectPayment, "x")
	life{
		{lost, ""},
		{doAt(hour(1), account.ResolvePayment{Payment: "x", Returned: true, Note: "sealed"}), `{"status":"returned","note":"sealed",` + waits + `}`},
	}.told(t, account.ObjectPayment, "x")
	p := account.Payment{Since: time.Unix(7, 0)}
	require.Equal(t, time.Unix(7, 0), p.QueueTime())
}
