package account_test

import (
	"errors"
	"testing"

	"iocredits/domain"
	"iocredits/domain/account"
)

// TestAdjustmentObject: the views fold the object from its events as the state does.
func TestAdjustmentObject(t *testing.T) {
	const large = 1000 * credit
	h := newHistory(t)
	for _, c := range []struct {
		step
		want string
	}{
		{asked(-large), `requested {"status":"requested","amount":"-1000","requested_by":"ann"}`},
		{approvedBy("bob"), `requested {"status":"requested","amount":"-1000","requested_by":"ann","approved_by":["bob"]}`},
		{granted(large), `requested {"status":"requested","amount":"-1000","requested_by":"ann","approved_by":["bob"]}`},
		{approvedBy("cyd"), `approved {"status":"approved","amount":"-1000","requested_by":"ann","approved_by":["bob","cyd"]}`},
	} {
		if _, err := h.execute(c.step); err != nil {
			t.Fatal(err)
		}
		object := h.object(account.ObjectAdjustment, "a")
		if got := object.Status() + " " + stored(t, object); got != c.want {
			t.Errorf("after %T it is %s\nwant %s", c.do, got, c.want)
		}
		if open := h.state.Adjustments["a"]; object.Open() && stored(t, open) != stored(t, object) {
			t.Errorf("the state has %s", stored(t, open))
		}
	}
	if h.object(account.ObjectAdjustment, "a").Open() || len(h.state.Adjustments) != 0 {
		t.Error("it is still open")
	}
	if account.NewObject("none") != nil {
		t.Error("an unknown kind has objects")
	}
	if kind, id, ok := account.ObjectOf(&account.Deducted{}); ok {
		t.Errorf("a deduction belongs to %s %q", kind, id)
	}
}

// TestAdjustmentObjectInParts: the parts of one correction approve it once.
func TestAdjustmentObjectInParts(t *testing.T) {
	h := newHistory(t)
	h.fold(manyLots(501).facts)
	for _, s := range given(asked(-501*credit), approvedBy("bob")) {
		if _, err := h.execute(s); err != nil {
			t.Fatal(err)
		}
	}
	want := `{"status":"approved","amount":"-501","requested_by":"ann","approved_by":["bob"]}`
	if got := stored(t, h.object(account.ObjectAdjustment, "a")); got != want {
		t.Errorf("it is %s\nwant %s", got, want)
	}
}

// object folds an object from the log.
func (h *history) object(kind account.ObjectKind, id string) account.Object {
	o := account.NewObject(kind)
	for _, e := range h.log {
		if k, i, ok := account.ObjectOf(e); ok && k == kind && i == id {
			o.Apply(e)
		}
	}
	return o
}

// TestClosedError: what a refusal is about stands in its fields, whatever its words
// are; with the status it is the refusal of an object whose status was known.
func TestClosedError(t *testing.T) {
	odd := `a" is closed` // no id of ours, and none that any word could be read of
	h := newHistory(t)
	for _, s := range given(doBy("ann", account.RequestAdjustment{Adjustment: odd, Amount: credit}),
		doBy("bob", account.RejectAdjustment{Adjustment: odd})) {
		if _, err := h.execute(s); err != nil {
			t.Fatal(err)
		}
	}
	_, err := h.execute(doBy("bob", account.ApproveAdjustment{Adjustment: odd}))
	var closed *account.ClosedError
	if !errors.As(err, &closed) || closed.Kind != account.ObjectAdjustment || closed.ID != odd {
		t.Fatalf("it is of %+v: %v", closed, err)
	}
	if got, want := refusalText(err), "wrong-status field=adjustment_id value="+odd; got != want {
		t.Errorf("refused: %s", got)
	}
	known := closed.WithStatus("rejected")
	if got, want := refusalText(known), "wrong-status field=adjustment_id value="+odd+" status=rejected"; got != want {
		t.Errorf("with the status: %s", got)
	}
	if want := `adjustment "a\" is closed" is rejected, not requested`; known.Detail != want {
		t.Errorf("in words: %s", known.Detail)
	}
}

// TestStepOf: what moves an object on though its status may stay.
func TestStepOf(t *testing.T) {
	for _, c := range []struct {
		event  domain.Event
		step   bool
		amount domain.Amount
	}{
		{&account.AdjustmentApproved{}, true, 0},
		{&account.CreditRequestApproved{}, true, 0},
		{&account.WithdrawalApproved{}, true, 0},
		{&account.DeploymentExtended{Amount: credit}, true, 0},
		{&account.DeploymentExtended{Amount: credit, Part: account.Part{Index: 1, Count: 2}}, false, 0},
		{&account.DeploymentExtended{Amount: credit, Part: account.Part{Index: 2, Count: 2}}, true, 0},
		{&account.PaymentReceived{Amount: credit}, true, credit},
		{&account.PaymentDropped{Amount: credit}, true, credit},
		{&account.PurchaseReversed{Amount: credit}, true, credit},
		{&account.DeploymentUsed{Amount: credit}, false, 0},
	} {
		if step, amount := account.StepOf(c.event); step != c.step || amount != c.amount {
			t.Errorf("%T%+v is a step: %v, of %s", c.event, c.event, step, amount)
		}
	}
}

// TestPlaceOf: which part of its movement an event is.
func TestPlaceOf(t *testing.T) {
	second := account.Part{Index: 2, Count: 3}
	places := map[domain.Event][3]int{&account.Deducted{}: {1, 1, 1}, &account.PolicySet{}: {1, 1, 1}}
	for _, event := range []domain.Event{
		&account.Adjusted{Part: second}, &account.Deducted{Part: second}, &account.UsageMetered{Part: second}, &account.Refunded{Part: second},
		&account.DeploymentPaid{Part: second}, &account.DeploymentExtended{Part: second}, &account.DeploymentUsed{Part: second},
		&account.Reserved{Part: second}, &account.Captured{Part: second}, &account.Released{Part: second}, &account.PurchaseReversed{Part: second},
		&account.WithdrawalRequested{Part: second}, &account.WithdrawalPaid{Part: second}, &account.WithdrawalReturned{Part: second},
	} {
		places[event] = [3]int{2, 3, 2}
	}
	for event, want := range places {
		index, count := account.PlaceOf(event)
		if rest := account.PartsOf(event); want != [3]int{index, count, rest} {
			t.Errorf("%T%+v is part %d of %d, with %d to come", event, event, index, count, rest)
		}
	}
}
