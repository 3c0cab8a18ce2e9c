package audit

import (
	"fmt"

	"github.com/go-json-experiment/json"

	"iocredits/domain/account"
	"iocredits/eventstore"
)

// claims holds each claim of a payment to the account in which the payment is recorded
// after it. A claim is no account's event, so neither the chain nor the tree has it.
// Only claims whose payment hasn't come yet are kept.
type claims struct {
	codec  *eventstore.Codec
	report func(Finding)
	open   map[string]claim
}

type claim struct {
	account string
	at      eventstore.Position
}

func newClaims(codec *eventstore.Codec, report func(Finding)) *claims {
	return &claims{codec, report, map[string]claim{}}
}

// see takes the events of the log in their order.
func (c *claims) see(r *eventstore.Recorded) {
	if payment, ours := eventstore.ClaimOf(r.Stream); ours {
		c.claimed(payment, r)
		return
	}
	name, ours := eventstore.AccountOf(r.Stream)
	if !ours || len(c.open) == 0 {
		return
	}
	payment := c.recorded(r)
	first, open := c.open[payment]
	if !open {
		return
	}
	delete(c.open, payment)
	if first.account != name {
		c.report(Finding{
			Check: CheckClaim, Account: name, Revision: r.Revision, Position: r.Position, What: payment,
			Expected: fmt.Sprintf("the payment in %s, by its claim at position %d", first.account, first.at), Found: "it is recorded in " + name,
		})
	}
}

func (c *claims) claimed(payment string, r *eventstore.Recorded) {
	var body struct {
		Account string `json:"account"`
	}
	if err := json.Unmarshal(r.Data, &body); err != nil || body.Account == "" || r.Revision != 0 {
		c.report(Finding{
			Check: CheckClaim, Revision: r.Revision, Position: r.Position, What: payment,
			Expected: "one claim, with an account", Found: string(r.Data),
		})
		return
	}
	c.open[payment] = claim{body.Account, r.Position}
}

// recorded is the payment that an event records; empty: it is none of those.
func (c *claims) recorded(r *eventstore.Recorded) string {
	if r.Type != (*account.PaymentReceived)(nil).EventName() && r.Type != (*account.PaymentUnmatched)(nil).EventName() {
		return ""
	}
	body, err := c.codec.Decode(r.Type, r.Data)
	if err != nil {
		return "" // a finding of its own
	}
	switch e := body.(type) {
	case *account.PaymentReceived:
		return e.Payment
	case *account.PaymentUnmatched:
		if e.Kind == account.KindPayment {
			return e.Payment
		}
	}
	return ""
}
