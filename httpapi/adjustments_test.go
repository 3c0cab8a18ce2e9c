package httpapi_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
)

// askedBefore begins an account as a version might have that looked for no related
// transaction: with corrections "a0", "a1" … that name any id.
func (r *rig) askedBefore(name string, related ...string) {
	r.t.Helper()
	stream, previous := eventstore.AccountStream(name), eventstore.Hash{}
	for i, text := range related {
		requested := &account.AdjustmentRequested{
			Adjustment: fmt.Sprint("a", i), Amount: domain.Credit, Related: uuid.MustParse(text), RequestedBy: "support",
		}
		event := eventstore.Event{Type: requested.EventName()}
		var err error
		event.Data, err = codec.Encode(requested)
		require.NoError(r.t, err)
		event.Metadata, err = eventstore.EncodeMetadata(eventstore.Metadata{
			RecordedAt: r.clock.Now(), Actor: "support", Role: "support", Command: eventstore.Command{Count: 1}, Previous: previous,
		})
		require.NoError(r.t, err)
		event.ID = eventstore.EventID(stream, int64(i), event.Type, event.Data, event.Metadata, previous)
		_, err = r.store.Append(r.t.Context(), stream, int64(i)-1, []eventstore.Event{event})
		require.NoError(r.t, err)
		previous = eventstore.ChainHash(stream, int64(i), event, previous)
	}
}

// TestAdjustmentOfAnotherTransaction: what a correction names is looked for, as what a
// refund names is.
func TestAdjustmentOfAnotherTransaction(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	r.fund("demo-2", "10")
	deduct := func(name string) string {
		got := r.must(post("service", "/v1/accounts/"+name+"/deductions", "d-"+name, `{"amount":"1","service":"vm"}`))
		return part(got, "deduction")["id"].(string)
	}
	own, other := deduct("demo-1"), deduct("demo-2")
	ask := func(key, id string) call {
		return post("support", demo+"/adjustments", key, fmt.Sprintf(`{"amount":"-1","related_transaction":%q}`, id))
	}
	for i, id := range []string{other, "00000063-0001-8000-8000-000000000000", uuid.Nil.String(), uuid.NewString()} {
		refused := r.refused(404, "unknown-transaction", ask(fmt.Sprint("k", i), id))
		require.Equal(t, []any{"related_transaction", id}, []any{refused.Body["field"], refused.Body["value"]})
	}
	require.Equal(t, own, part(r.must(ask("k", own)), "adjustment")["related_transaction"])
}
