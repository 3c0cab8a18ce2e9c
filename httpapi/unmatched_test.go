package httpapi_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore/ledger"
)

func (r *rig) unmatched() []any {
	r.t.Helper()
	return r.must(get("finance", "/v1/payments/unmatched")).Body["items"].([]any)
}

func resolve(key, id, body string) call {
	return post("finance", "/v1/payments/unmatched/"+id+"/resolve", key, body)
}

// creditUnseen has finance credit demo-1, which has 1, with a payment of 7 that named an
// account which nobody has.
func (r *rig) creditUnseen() {
	r.t.Helper()
	r.fund("demo-1", "1")
	r.must(tell("unseen", "none", "pay-1", "succeeded", "7"))
	r.must(resolve("a", "@unmatched~pay-1", `{"account":"demo-1"}`))
}

// TestAPaymentForAnAccountThatComesLater is credited once: by finance, whatever the
// provider tells again when the account has come to be.
func TestAPaymentForAnAccountThatComesLater(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "1")
	for _, payment := range []string{"here", "elsewhere", "back", "open"} {
		r.must(tell("late", "bought-before", payment, "succeeded", "7"))
	}
	for _, waiting := range r.unmatched() {
		require.Equal(t, "late", waiting.(map[string]any)["named_account"])
	}
	r.must(resolve("a", "@unmatched~elsewhere", `{"account":"demo-1"}`))
	r.must(resolve("b", "@unmatched~back", `{"returned":true}`))
	r.must(resolve("c", "@unmatched~here", `{"account":"late"}`))
	r.fund("late", "1")
	before := r.unmatched()
	require.Len(t, before, 1)
	for range 2 {
		for _, payment := range []string{"here", "elsewhere", "back", "open"} {
			r.must(tell("late", "bought-before", payment, "succeeded", "7"))
		}
	}
	require.Equal(t, before, r.unmatched(), "a payment waits twice")
	require.Equal(t, "8", r.balance("late")["balance"])
	r.must(resolve("at last", "@unmatched~open", `{"account":"late"}`))
	require.Equal(t, "15", r.balance("late")["balance"])
	r.refused(409, "wrong-status", resolve("again", "@unmatched~open", `{"account":"demo-1"}`))

	r.must(tell("late", "bought-before", "here", "refunded", "7"))
	require.Equal(t, "8", r.balance("late")["balance"], "what was credited there is taken back there")
	require.Empty(t, r.unmatched())
	r.must(tell("late", "bought-before", "elsewhere", "refunded", "7"))
	require.Equal(t, "8", r.balance("late")["balance"])
	require.Equal(t, "1", r.balance("demo-1")["balance"], "and what was credited elsewhere, there")
	require.Empty(t, r.unmatched())
	r.must(tell("late", "bought-before", "back", "refunded", "7"))
	require.Equal(t, "refund", r.unmatched()[0].(map[string]any)["kind"], "people look at what was returned before")
}

// TestAPaymentThatAnAccountHasNoRoomFor: a decision that can't be carried out is none, so
// that finance can take another.
func TestAPaymentThatAnAccountHasNoRoomFor(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "1")
	r.must(tell("nobody", "?", "x", "succeeded", "1000000000000")) // somebody's mistake, and a fact
	before := r.unmatched()
	for range 2 {
		refused := r.refused(422, "amount-too-large", resolve("a", "@unmatched~x", `{"account":"demo-1"}`)).Body
		require.Equal(t, []any{"amount", "1000000000000"}, []any{refused["field"], refused["value"]})
		require.Equal(t, before, r.unmatched(), "a refusal leaves no event")
	}
	r.must(resolve("a", "@unmatched~x", `{"returned":true}`))
	require.Equal(t, "1", r.balance("demo-1")["balance"])
}

// TestANoteIsForgottenWithTheAccountThatGotThePayment: it is about whoever that is, and not
// about the account where the payment stood, which may be the engine's own.
func TestANoteIsForgottenWithTheAccountThatGotThePayment(t *testing.T) {
	r := newRig(t, nil)
	for i, stood := range []string{"@unmatched", "demo-1"} {
		to := fmt.Sprint("to-", i)
		r.fund("demo-1", "1")
		r.fund(to, "1")
		r.must(tell(strings.Trim(stood, "@"), "?", to+"-pay", "succeeded", "7"))
		payment := stood + "~" + to + "-pay"
		for range 2 {
			done := r.must(resolve(to, payment, `{"account":"`+to+`","note":"Ada Lovelace called"}`)).Body
			require.Equal(t, "Ada Lovelace called", object(done, "payment")["note"])
		}
		read := get("finance", "/v1/payments/unmatched/"+payment)
		require.Equal(t, "Ada Lovelace called", r.must(read).Body["note"])
		require.Contains(t, r.must(get("finance", "/v1/payments/unmatched?status=credited")).Text, "Ada Lovelace called")
		r.must(post("admin", "/v1/accounts/"+to+"/forget", "", `{"reason":"case 7"}`))
		require.Equal(t, "[erased]", r.must(read).Body["note"])
	}
	long := resolve("long", "@unmatched~none", `{"account":"demo-1","note":"`+strings.Repeat("x", 2001)+`"}`)
	long.wrong = true
	require.Equal(t, "note", r.refused(422, "field-invalid", long).Body["field"])
}

// TestTheReversalOfACreditedPayment: the provider takes back what finance had
// credited to another account than it names; or finance learns of it first.
func TestTheReversalOfACreditedPayment(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "1")
	for _, payment := range []string{"pay-1", "pay-2"} {
		r.must(tell("unseen", "none", payment, "succeeded", "7"))
		r.must(resolve(payment, "@unmatched~"+payment, `{"account":"demo-1"}`))
	}
	require.Equal(t, "15", r.balance("demo-1")["balance"])
	for range 2 {
		r.must(tell("unseen", "none", "pay-1", "refunded", "7"))
		require.Equal(t, "8", r.balance("demo-1")["balance"], "it follows where the payment went")
		require.Empty(t, r.unmatched())
	}

	reverse := func(key, id string) call {
		return post("finance", "/v1/accounts/demo-1/purchases/"+id+"/reverse", key, `{"reason":"the bank says so"}`)
	}
	for _, key := range []string{"a", "a"} {
		done := r.must(reverse(key, "pay-2")).Body
		purchase := object(done, "purchase")
		require.Equal(t, "pay-2", purchase["id"])
		require.Equal(t, "reversed", purchase["status"])
		require.Equal(t, "7", purchase["reversed"])
		require.Equal(t, "1", object(done, "balance")["balance"])
	}
	r.refused(409, "wrong-status", reverse("b", "pay-2"))
	r.refused(409, "wrong-status", reverse("c", "pay-1"))
	r.refused(404, "unknown-purchase", reverse("d", "pay-3"))
	r.must(tell("unseen", "none", "pay-2", "refunded", "7"))
	require.Equal(t, "1", r.balance("demo-1")["balance"], "told by the provider too")
	require.Empty(t, r.unmatched())
}

// TestAPartOfACreditedPaymentIsTakenBack: nothing is taken where it was credited, and
// people find out what went back.
func TestAPartOfACreditedPaymentIsTakenBack(t *testing.T) {
	r := newRig(t, nil)
	r.creditUnseen()
	for range 2 {
		r.must(tell("unseen", "none", "pay-1", "refunded", "4"))
		require.Equal(t, "8", r.balance("demo-1")["balance"])
		waiting := r.unmatched()
		require.Len(t, waiting, 1)
		back := waiting[0].(map[string]any)
		require.Equal(t, []any{"demo-1~reversal:pay-1", "refund", "amount-differs", "4"}, []any{back["id"], back["kind"], back["why"], back["amount"]})
	}
}

// TestTheReversalOfAPaymentThatIsOnlyAssigned waits for people: nothing was credited.
func TestTheReversalOfAPaymentThatIsOnlyAssigned(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "1")
	r.must(tell("unseen", "none", "pay-1", "succeeded", "7"))
	_, err := r.ledger.Execute(t.Context(), ledger.Request{
		Account: account.UnmatchedAccount, Do: account.ResolvePayment{Payment: "pay-1", Account: "demo-1"}, Actor: "finance", Role: "finance",
	})
	require.NoError(t, err)
	r.must(tell("unseen", "none", "pay-1", "refunded", "7"))
	require.Equal(t, "1", r.balance("demo-1")["balance"])
	require.Len(t, r.unmatched(), 2)
}

// TestAPaymentThatStandsTwice: two webhooks met the account's first event.
func TestAPaymentThatStandsTwice(t *testing.T) {
	r := newRig(t, nil)
	r.must(tell("late", "", "x", "succeeded", "7"))
	r.fund("late", "1")
	_, err := r.ledger.Execute(t.Context(), ledger.Request{
		Account: "late", Do: account.RecordPayment{Payment: "x", Amount: 7_000_000}, Actor: "spherepay", Role: "provider",
	})
	require.NoError(t, err)
	r.must(resolve("a", "late~x", `{"account":"late"}`))
	refused := r.refused(409, "wrong-status", resolve("b", "@unmatched~x", `{"account":"late"}`))
	require.Equal(t, "late", refused.Body["account"])
	r.must(resolve("c", "@unmatched~x", `{"returned":true,"note":"stood twice"}`))
	require.Equal(t, "8", r.balance("late")["balance"])
}

// TestAPaymentThatStandsTwiceIsCreditedOnce, however late the read models are.
func TestAPaymentThatStandsTwiceIsCreditedOnce(t *testing.T) {
	r := newRig(t, func(p *parts) { p.stillViews, p.server.ReadPatience = true, time.Nanosecond })
	r.must(tell("late", "", "x", "succeeded", "7"))
	r.fund("late", "1")
	_, err := r.ledger.Execute(t.Context(), ledger.Request{
		Account: "late", Do: account.RecordPayment{Payment: "x", Amount: 7_000_000}, Actor: "spherepay", Role: "provider",
	})
	require.NoError(t, err)
	r.fund("demo-1", "1")
	r.must(resolve("a", "late~x", `{"account":"late"}`))
	require.Equal(t, "late", r.refused(409, "wrong-status", resolve("b", "@unmatched~x", `{"account":"demo-1"}`)).Body["account"])
	for acct, balance := range map[string]string{"late": "8", "demo-1": "1"} {
		strong := r.must(get("service", "/v1/accounts/"+acct+"/balance?consistency=strong"))
		require.Equal(t, balance, strong.Body["balance"], acct)
	}
}

// TestAPaymentIsNotResolvedToATypingMistake.
func TestAPaymentIsNotResolvedToATypingMistake(t *testing.T) {
	r := newRig(t, nil)
	r.must(tell("new-one", "", "x", "succeeded", "7"))
	r.must(tell("", "", "y", "succeeded", "5"))
	refused := r.refused(404, "unknown-account", resolve("a", "@unmatched~x", `{"account":"new-oen"}`))
	require.Equal(t, []any{"account", "new-oen", "new-oen"}, []any{refused.Body["field"], refused.Body["value"], refused.Body["account"]})
	r.refused(404, "unknown-account", resolve("b", "@unmatched~y", `{"account":"new-one"}`))
	require.Equal(t, -1.0, r.balance("new-oen")["revision"])
	r.must(resolve("a", "@unmatched~x", `{"account":"new-one"}`))
	require.Equal(t, "7", r.balance("new-one")["balance"])
	r.must(resolve("b", "@unmatched~y", `{"account":"new-one"}`))
	require.Equal(t, "12", r.balance("new-one")["balance"])
}

// TestAnotherAmountOfAKnownPayment moves no money, and finance has to look: at what a
// payment has more, once.
func TestAnotherAmountOfAKnownPayment(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "1")
	bought := object(r.must(post("customer:demo-1", "/v1/accounts/demo-1/purchases", "a", `{"amount":"5"}`)).Body, "purchase")
	purchase := bought["id"].(string)
	r.makeLink("demo-1", purchase)
	differing := func() string {
		_, rest, found := strings.Cut(r.must(get("", "/metrics")).Text, "\niocredits_payments_differing_total ")
		require.True(t, found)
		count, _, _ := strings.Cut(rest, "\n")
		return count
	}
	for range 2 { // a repeat as it should be
		r.must(tell("demo-1", purchase, "pay-1", "succeeded", bought["to_pay"].(string)))
		r.must(tell("demo-1", "none", "pay-2", "succeeded", "3"))
	}
	r.must(tell("demo-1", purchase, "pay-1", "failed", "9"))
	balance, waiting := r.balance("demo-1")["balance"], r.unmatched()
	require.Equal(t, "6", balance)
	require.Equal(t, "0", differing())
	require.NotContains(t, r.log.String(), "another amount")

	r.must(tell("demo-1", purchase, "pay-1", "succeeded", "500"))
	more := r.unmatched()
	require.Len(t, more, len(waiting)+1)
	rest := more[len(more)-1].(map[string]any)
	require.Equal(t, []any{"payment", "amount-differs", "495", purchase}, []any{rest["kind"], rest["why"], rest["amount"], rest["purchase"]}, "%v", rest)
	waiting = more
	require.Regexp(t, `level=WARN msg="the provider tells of a recorded payment with another amount.*request_id=\S+ payment=pay-1 account=demo-1 purchase=`+
		purchase+` status=succeeded told=500 detail="payment \\"pay-1\\" was recorded with `+bought["to_pay"].(string)+` credits, not 500"`, r.log.String())
	require.Equal(t, "1", differing())
	r.must(tell("demo-1", "none", "pay-2", "succeeded", "0.5"))
	require.Equal(t, "2", differing(), "of one that waits for finance too")
	require.Equal(t, balance, r.balance("demo-1")["balance"])
	require.Equal(t, waiting, r.unmatched())

	for range 2 { // a refund of a part, or of what else?
		r.must(tell("demo-1", purchase, "pay-1", "refunded", "0.01"))
	}
	require.Equal(t, balance, r.balance("demo-1")["balance"], "people have to find out")
	waiting = r.unmatched()
	require.Len(t, waiting, len(more)+1)
	back := waiting[slices.IndexFunc(waiting, func(p any) bool { return p.(map[string]any)["kind"] == "refund" })].(map[string]any)
	require.Equal(t, []any{"refund", "amount-differs", "0.01", purchase}, []any{back["kind"], back["why"], back["amount"], back["purchase"]}, "%v", back)
}

// booked is what an account of the journal owes: its credits without its debits.
func (r *rig) booked(name string) string {
	r.t.Helper()
	for _, line := range r.must(get("auditor", "/v1/audit/trial-balance")).Body["accounts"].([]any) {
		if l := line.(map[string]any); l["account"] == name {
			debit, err := domain.ParseAmount("debit", l["debit"].(string))
			require.NoError(r.t, err)
			credit, err := domain.ParseAmount("credit", l["credit"].(string))
			require.NoError(r.t, err)
			return (credit - debit).String()
		}
	}
	return "0"
}

// TestAPaymentOfAnOddAmount waits for people once, and is credited as far as it is
// certain.
func TestAPaymentOfAnOddAmount(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "1")
	for range 2 {
		require.Equal(t, true, r.must(tell("demo-1", "p", "pay/1=", "succeeded", "10.0000001")).Body["taken"])
		require.Equal(t, true, r.must(tell("demo-1", "p", "pay-2", "succeeded", "ten")).Body["taken"])
	}
	waiting := map[string]string{}
	for _, item := range r.unmatched() {
		p := item.(map[string]any)
		require.Equal(t, "amount-invalid", p["why"])
		waiting[p["amount"].(string)] = p["id"].(string)
	}
	require.Len(t, waiting, 2)
	require.Equal(t, "demo-1~pay-2", waiting["0"])
	r.must(resolve("a", waiting["10"], `{"account":"demo-1"}`))
	require.Equal(t, "11", r.balance("demo-1")["balance"])
	r.refused(422, "amount-invalid", resolve("b", waiting["0"], `{"account":"demo-1"}`))
	r.must(resolve("c", waiting["0"], `{"returned":true,"note":"looked up: it was 10"}`))
	require.Empty(t, r.unmatched())

	// More than a caller may name is compared with what is told later nevertheless.
	require.Equal(t, true, r.must(tell("demo-1", "p", "pay-3", "succeeded", "2000000000")).Body["taken"])
	require.Equal(t, true, r.must(tell("demo-1", "p", "pay-3", "succeeded", "20")).Body["taken"])
}

// TestOnePaymentForTwoAccounts is credited to one of them, that which was told first;
// the other's purchase stays open, and what is taken back is taken there once.
func TestOnePaymentForTwoAccounts(t *testing.T) {
	r := newRig(t, nil)
	for n := range 8 {
		payment := fmt.Sprint("pay-", n)
		var told []call
		accounts := []string{fmt.Sprint("first-", n), fmt.Sprint("second-", n)}
		for _, name := range accounts {
			r.fund(name, "1")
			_, err := r.ledger.Execute(t.Context(), ledger.Request{
				Account: name, Do: account.StartPurchase{Purchase: "p-" + name, Amount: 5_000_000}, Actor: "tester", Role: "service",
			})
			require.NoError(t, err)
			r.makeLink(name, "p-"+name)
			told = append(told, tell(name, "p-"+name, payment, "succeeded", "5"))
		}
		var wg sync.WaitGroup
		for _, c := range told {
			wg.Go(func() { r.do(c) })
		}
		wg.Wait()
		for _, c := range told {
			r.must(c) // the provider tells of each again
		}
		credited, other := accounts[0], accounts[1]
		if r.balance(credited)["balance"] == "1" {
			credited, other = other, credited
		}
		require.Equal(t, "6", r.balance(credited)["balance"])
		require.Equal(t, "1", r.balance(other)["balance"])
		require.Empty(t, r.unmatched())
		require.Contains(t, r.log.String(), "tells of a payment with another account")
		for _, name := range []string{credited, other} {
			r.must(tell(name, "p-"+name, payment, "refunded", "5"))
			require.Equal(t, "1", r.balance(credited)["balance"])
			require.Equal(t, "1", r.balance(other)["balance"], "nothing of it was there")
		}
		require.Empty(t, r.unmatched())
	}
}

// TestAPaymentAtAnAccountsFirstEvent stands in one stream, however the two meet.
func TestAPaymentAtAnAccountsFirstEvent(t *testing.T) {
	r := newRig(t, nil)
	for n := range 12 {
		name, payment := fmt.Sprint("new-", n), fmt.Sprint("pay-", n)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { r.do(tell(name, "", payment, "succeeded", "7")) })
		}
		wg.Go(func() { r.fund(name, "1") })
		wg.Wait()
		r.must(tell(name, "", payment, "succeeded", "7"))
		require.Len(t, r.unmatched(), n+1)
	}
}

// TestAPartIsToldAtOnce: one that comes too late, and one that goes back in time; each
// once, though several events may be about it.
func TestAPartIsToldAtOnce(t *testing.T) {
	const (
		over = "Your purchase ran out of time. Nothing has arrived for it yet; if you have paid, it is credited when the payment arrives."
		late = "A payment of 5 credits came when your purchase was over, and does not pay all of it. We are looking into it."
		back = "A part of your purchase that had come, 5 credits, was taken back by the payment provider."
		done = "10 credits arrived from your purchase."
	)
	for name, c := range map[string]struct {
		told  []string
		after time.Duration // until the first payment
		tell  []string      // "payment status"
		wait  time.Duration // between the payments
	}{
		"half of an expired one":              {[]string{over, late}, 21 * time.Minute, []string{"x succeeded"}, 0},
		"both halves of an expired one":       {[]string{over, late, done}, 21 * time.Minute, []string{"x succeeded", "y succeeded"}, 0},
		"told of twice":                       {[]string{over, late}, 21 * time.Minute, []string{"x succeeded", "x succeeded"}, 0},
		"taken back while it can be paid":     {[]string{back}, 0, []string{"x succeeded", "x refunded"}, 0},
		"taken back when it is over":          {[]string{over, late, back}, 21 * time.Minute, []string{"x succeeded", "x refunded"}, 0},
		"taken back, known before it came":    {[]string{back}, 0, []string{"x refunded"}, 0},
		"in time, of one that then ends":      {[]string{"Your purchase ran out of time, and only a part of it, 5 credits, has come. We are looking into it.", back}, 0, []string{"x succeeded", "x refunded"}, 21 * time.Minute},
		"in time: nothing before the end":     {nil, 0, []string{"x succeeded"}, 0},
		"both halves in time: told as bought": {[]string{done}, 0, []string{"x succeeded", "y succeeded"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			id := object(r.must(post(customer, demo+"/purchases", "buy", `{"amount":"10"}`)).Body, "purchase")["id"].(string)
			r.clock.Move(c.after)
			for i, one := range c.tell {
				if i > 0 {
					r.clock.Move(c.wait)
				}
				payment, status, _ := strings.Cut(one, " ")
				r.must(tell("demo-1", id, payment, status, "5"))
			}
			var told []string
			for _, n := range r.notices("") {
				told = append([]string{n.(map[string]any)["message"].(string)}, told...)
			}
			require.Equal(t, c.told, told)
		})
	}
}

// TestWhatBecomesOfAPart: a customer whose purchase got but a part of its money is
// told how that ended, and not whose account got it; the purchase's steps keep it.
func TestWhatBecomesOfAPart(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "1")
	r.fund("demo-2", "1")
	for body, end := range map[string]string{
		`{"returned":true,"note":"by wire"}`:   "A part of your purchase that had come, 5 credits, was sent back to you.",
		`{"account":"demo-2","note":"a typo"}`: "A part of your purchase that had come, 5 credits, was found to belong to another account, and credited there.",
		`{"account":"demo-1"}`:                 "5 credits arrived from your payment.",
	} {
		bought := object(r.must(post(customer, demo+"/purchases", "buy "+body, `{"amount":"10"}`)).Body, "purchase")
		id := bought["id"].(string)
		r.must(tell("demo-1", id, "part-of-"+id, "succeeded", "5"))
		one := demo + "/purchases/" + id
		require.Equal(t, "5", r.must(get(customer, one)).Body["received"])
		r.clock.Move(21 * time.Minute)
		r.must(resolve("end "+body, "demo-1~part-of-"+id, body))

		told := r.must(get(customer, notifications+"?limit=2"))
		require.Contains(t, told.Text, end)
		require.NotContains(t, told.Text, "demo-2")
		left := r.must(get(customer, one)).Body
		require.Equal(t, "0", left["received"], "it counts no more")
		var steps []string
		for _, s := range left["steps"].([]any) {
			step := s.(map[string]any)
			steps = append(steps, fmt.Sprint(step["event"], " ", step["status"], " ", step["amount"], " by ", step["role"]))
		}
		require.Equal(t, []string{
			"purchase-started awaiting-payment <nil> by customer", "payment-received awaiting-payment 5 by provider",
			"purchase-expired expired <nil> by finance", "payment-dropped expired 5 by finance",
		}, steps)
	}
	r.must(tell("none", "p", "nobodys", "succeeded", "5"))
	r.must(resolve("nobody", "@unmatched~nobodys", `{"returned":true}`))
	require.Empty(t, r.must(get("auditor", "/v1/accounts/@unmatched/notifications")).Body["items"], "the queue's own account has no customer")
}
