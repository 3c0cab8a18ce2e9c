package httpapi_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
)

// TestExplainOfAReservationThatEnded: its status is today's.
func TestExplainOfAReservationThatEnded(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "50")
	r.must(post("service", demo+"/reservations", "a", `{"reservation_id":"job-7","amount":"30","service":"ray"}`))
	captured := part(r.must(post("service", demo+"/reservations/job-7/capture", "b", `{"amount":"12"}`)), "deduction")["id"].(string)
	x, text := r.explain(captured)
	require.Equal(t, "open", x.Objects[0].Status)
	require.Contains(t, text, "\nOf reservation job-7 (open)\n")
	r.must(post("service", demo+"/reservations/job-7/release", "c", ""))
	x, text = r.explain(captured)
	require.Equal(t, "closed", x.Objects[0].Status)
	require.Equal(t, []string{"open", "open"}, []string{x.Objects[0].Steps[0].Status, x.Objects[0].Steps[1].Status})
	require.Contains(t, text, "\nOf reservation job-7 (closed)\n")
}

// TestExplainChargeback: what a payment takes back when it goes is told in full, also
// what was spent already and is owed.
func TestExplainChargeback(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	purchase := r.must(get("finance", demo+"/purchases")).Body["items"].([]any)[0].(map[string]any)["id"].(string)
	r.must(post("service", demo+"/deductions", "a", `{"amount":"7","service":"vm"}`))
	entries := r.must(post("finance", demo+"/purchases/"+purchase+"/reverse", "b", `{"reason":"the bank's"}`)).Body["transactions"].([]any)
	x, text := r.explain(entries[0].(map[string]any)["transaction_id"].(string))
	require.Equal(t, []string{"3", "-7"}, []string{x.BalanceBefore, x.BalanceAfter})
	require.Len(t, x.Lots, 1)
	require.Equal(t, []string{"3", "7"}, []string{x.Lots[0].Amount, x.Debt})
	require.Contains(t, text, "\nTaken from\n  3 purchased of lot 0")
	require.Contains(t, text, "\n  7 below zero: no credits were left for it\n")
}

// TestExplainOfADeploymentThatWasExtended: who added the hours is a step of it, without
// which its terms don't follow from what was booked first.
func TestExplainOfADeploymentThatWasExtended(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "50")
	booked := r.must(post("service", demo+"/deployments", "a", deploymentBody("d", "vm", "2", 3)))
	r.must(post("service", demo+"/deployments/d/extend", "b", `{"duration_hours":2}`))
	x, text := r.explain(booked.Body["transactions"].([]any)[0].(map[string]any)["transaction_id"].(string))
	var steps []string
	for _, s := range x.Objects[0].Steps {
		steps = append(steps, s.Event+" "+s.Status)
	}
	require.Equal(t, []string{"deployment-requested requested", "deployment-paid active", "deployment-extended active"}, steps)
	require.Contains(t, text, "2 an hour x 3 hours = 6\n")
	require.Contains(t, text, "2 an hour, 5 hours booked, 10 paid\n")
	require.Contains(t, text, "  deployment-extended by actor.service (service): active\n")
}

// TestExplainOfAChargeWithManyRefunds: the oldest are told, and what came back is the sum
// of all.
func TestExplainOfAChargeWithManyRefunds(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	charge := part(r.must(post("service", demo+"/deductions", "d", `{"amount":"10","service":"vm"}`)), "deduction")["id"].(string)
	refunds := make([]ledger.Request, 1_002)
	for i := range refunds {
		refunds[i] = ledger.Request{Account: "demo-1", Do: account.Refund{Transaction: uuid.MustParse(charge), Amount: domain.Credit / 1000}, Actor: "a", Role: "support"}
	}
	for _, out := range r.ledger.ExecuteBatch(t.Context(), refunds) {
		require.NoError(t, out.Err)
	}
	x, text := r.explain(charge)
	require.Len(t, x.Since, 1_000)
	require.Equal(t, "1.002", x.Refunded)
	require.Contains(t, text, "\n  and 2 more refunds\n  1.002 have come back in all\n")
}

// TestExplainTellsAReservationsLife: all of it, from the hold as from any capture.
func TestExplainTellsAReservationsLife(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "50")
	var ids []string
	for i, c := range [][2]string{
		{"", `{"reservation_id":"job-7","amount":"30","service":"ray"}`}, {"/job-7/capture", `{"amount":"5"}`},
		{"", `{"reservation_id":"job-8","amount":"3","service":"ray"}`}, {"/job-8/capture", `{"amount":"1"}`},
		{"/job-7/capture", `{"amount":"6"}`}, {"/job-7/release", ""},
	} {
		answer := r.must(post("service", demo+"/reservations"+c[0], fmt.Sprint("life-", i), c[1]))
		ids = append(ids, answer.Body["transactions"].([]any)[0].(map[string]any)["transaction_id"].(string))
	}
	life := []string{ids[0] + " open", ids[1] + " open", ids[4] + " open", ids[5] + " closed"}
	for _, at := range []int{0, 1, 4, 5} {
		x, _ := r.explain(ids[at])
		require.Len(t, x.Objects, 1)
		var steps []string
		for _, s := range x.Objects[0].Steps {
			steps = append(steps, s.TransactionId+" "+s.Status)
		}
		require.Equal(t, life, steps, "from event %d", at)
		require.Equal(t, "closed", x.Objects[0].Status)
	}
}

// TestExplainTellsAReservationOfManyLots: it began in two events, and both are of its life.
func TestExplainTellsAReservationOfManyLots(t *testing.T) {
	r := newRig(t, nil)
	requests := make([]ledger.Request, 501, 503)
	for i := range requests {
		requests[i] = ledger.Request{Account: "demo-1", Do: account.GrantIncentive{Amount: domain.Credit}, Actor: "a", Role: "bd"}
	}
	for _, do := range []account.Action{
		account.Reserve{Reservation: "job-7", Amount: 501 * domain.Credit, Service: domain.ServiceRay}, account.Capture{Reservation: "job-7", Amount: domain.Credit},
	} {
		requests = append(requests, ledger.Request{Account: "demo-1", Do: do, Actor: "a", Role: "service"})
	}
	var facts []eventstore.Fact
	for _, out := range r.ledger.ExecuteBatch(t.Context(), requests) {
		require.NoError(t, out.Err)
		facts = append(facts, out.Result.Facts...)
	}
	for _, of := range facts[501:] {
		x, _ := r.explain(of.ID.String())
		var steps []string
		for _, s := range x.Objects[0].Steps {
			steps = append(steps, s.Event)
		}
		require.Equal(t, []string{"reserved", "reserved", "reservation-captured"}, steps, "from event %d", of.Revision)
	}
}
