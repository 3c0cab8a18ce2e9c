package reactor

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"iocredits/eventstore"
)

// Claims decide once and for ever in which account's stream a payment is recorded.
// There it has its effects once, because its id is a name; but no name spans two
// streams, and one payment may be told at once as of two: of two accounts, or of an
// account and, before that came to be, of the engine's own. So before anything is
// recorded the payment's own stream gets its one event, at the expected revision
// NoStream: of two who try, one is refused, and goes where the first one's says.
//
// MUST: whoever records a payment asks here first. What is claimed and not recorded, as
// after a crash, is recorded there when the provider tells of it again.
type Claims struct{ Store eventstore.Store }

// typeClaimed is stored, and for ever.
const typeClaimed = "payment-claimed"

// Claim is where a payment belongs.
type Claim struct {
	Account string `json:"account"`
	// Purchase is what was named with the account: whoever records the payment there
	// and was told of another account was told of another's purchase.
	Purchase string `json:"purchase,omitempty"`
}

// claimSpace makes the ids of claims: of equal ones the same each time, so that one
// of which the outcome is unknown may be repeated.
var claimSpace = uuid.MustParse("b7f5a0c4-9b0e-4d39-8a53-0f1b6f1d2c8e")

// Claim gives where a payment belongs: what was given first.
func (c Claims) Claim(ctx context.Context, payment string, wanted Claim) (Claim, error) {
	stream := eventstore.ClaimStream(payment)
	if first, found, err := c.first(ctx, stream); found || err != nil {
		return first, err
	}
	data, err := json.Marshal(wanted)
	if err != nil {
		return Claim{}, fmt.Errorf("encode claim: %w", err)
	}
	id := uuid.NewSHA1(claimSpace, append([]byte(payment+"\x00"), data...))
	_, err = c.Store.Append(ctx, stream, eventstore.NoStream, []eventstore.Event{{ID: id, Type: typeClaimed, Data: data, Metadata: []byte("{}")}})
	var conflict *eventstore.ConflictError
	if errors.As(err, &conflict) {
		first, found, err := c.first(ctx, stream)
		if found || err != nil {
			return first, err
		}
	}
	if err != nil {
		return Claim{}, fmt.Errorf("claim payment %q: %w", payment, err)
	}
	return wanted, nil
}

// first reads the claim; found: there is one.
func (c Claims) first(ctx context.Context, stream string) (claim Claim, found bool, err error) {
	for r, err := range c.Store.ReadStream(ctx, stream, 0, eventstore.Forwards, 1) {
		if err == nil {
			err = json.Unmarshal(r.Data, &claim)
		}
		if err == nil && (r.Type != typeClaimed || claim.Account == "") {
			err = &eventstore.CorruptError{Position: r.Position, Stream: stream, Revision: r.Revision, Reason: "it is no claim of a payment"}
		}
		if err != nil {
			return Claim{}, false, fmt.Errorf("read %s: %w", stream, err)
		}
		return claim, true, nil
	}
	return Claim{}, false, nil
}
