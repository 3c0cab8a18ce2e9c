package httpapi

import (
	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/httpapi/api"
)

// Refund is POST …/refunds.
func (h handlers) Refund(c echo.Context, name api.Account, _ api.RefundParams) error {
	k := callOf(c)
	var request api.RefundRequest
	if err := k.decode(&request); err != nil {
		return err
	}
	transaction, err := canonicalTransactionID("transaction_id", &request.TransactionId)
	if err != nil {
		return err
	}
	amount, err := optionalMoneyOf("amount", request.Amount)
	if err != nil {
		return err
	}
	if amount != nil {
		if err := aboveZero("amount", *amount); err != nil {
			return err
		}
	}
	reason, err := k.seal("reason", name, request.Reason)
	if err != nil {
		return err
	}
	var refunded domain.Amount
	result, err := k.execute(order{
		do:   account.Refund{Transaction: transaction, Amount: valueOf(amount), Reason: reason},
		body: request,
		inspect: func(s *account.State, facts []eventstore.Fact) {
			if parts, _ := refundIn(facts, transaction); len(parts) > 0 {
				refunded = s.Refunded[parts[0].Revision]
			}
		},
	})
	if err != nil {
		return err
	}
	return k.answer(statusCreated, result, func(d *document) error {
		d.refund(result.Facts, transaction, refunded)
		return nil
	})
}

// refundIn finds the parts of a command's refund among its events, and the first of them.
// What deadlines that came due with it gave back doesn't count: that names no deduction.
func refundIn(facts []eventstore.Fact, of domain.TransactionID) (parts []*account.Refunded, first *eventstore.Fact) {
	for i := range facts {
		if e, ok := facts[i].Body.(*account.Refunded); ok && e.Deduction == of {
			if parts = append(parts, e); first == nil {
				first = &facts[i]
			}
		}
	}
	return parts, first
}

// refund writes the object; its parts, where it was split, count as one.
func (d *document) refund(facts []eventstore.Fact, of domain.TransactionID, refunded domain.Amount) {
	parts, first := refundIn(facts, of)
	if first == nil {
		return
	}
	total := domain.Amount(0)
	for _, e := range parts {
		total += e.Amount
	}
	d.object("refund")
	d.text("id", first.ID.String())
	d.text("transaction_id", of.String())
	d.money("amount", total)
	d.money("refunded", refunded)
	d.close()
}
