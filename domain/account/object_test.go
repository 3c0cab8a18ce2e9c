package account_test

import (
	"testing"

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
