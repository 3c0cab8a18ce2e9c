package account_test

import (
	"strings"
	"testing"

	"iocredits/domain/account"
)

// TestRecordForgotten: it says why, in the clear, and may be said again (design.md rule 14).
func TestRecordForgotten(t *testing.T) {
	forget := func(reason string) step { return do(account.RecordForgotten{Reason: reason}) }
	said := &account.Forgotten{Reason: "case 7"}
	check(t, []row{
		{name: "once", when: forget("case 7"), then: events(said)},
		{name: "again", given: given(granted(credit), forget("case 7")), when: forget("case 7"), then: events(said)},
		{name: "of 200 bytes", when: forget(strings.Repeat("x", 200)), then: events(&account.Forgotten{Reason: strings.Repeat("x", 200)})},
		{name: "without a reason", when: forget(""), refused: "field-invalid field=reason value= length=0 limit=200"},
		{name: "of too many", when: forget(strings.Repeat("x", 201)), refused: "field-invalid field=reason value=" + strings.Repeat("x", 40) + "… length=201 limit=200"},
	})
	h := newHistory(t)
	for _, s := range given(granted(credit), forget("case 7"), spent(credit)) {
		if _, err := h.execute(s); err != nil {
			t.Fatal(err)
		}
	}
	if h.state.Forgotten != 1 {
		t.Errorf("it was forgotten at revision %d", h.state.Forgotten)
	}
}
