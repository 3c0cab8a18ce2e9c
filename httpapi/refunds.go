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
			if e, _ := firstOf[*account.Refunded](facts); e != nil {
				refunded = s.Refunded[e.Revision]
			}
		},
	})
	if err != nil {
		return err
	}
	return k.answer(statusCreated, result, func(d *document) error {
		d.refund(result.Facts, refunded)
		return nil
	})
}

// refund writes the object; its parts, where it was split, count as one.
func (d *document) refund(facts []eventstore.Fact, refunded domain.Amount) {
	first, fact := firstOf[*account.Refunded](facts)
	if fact == nil {
		return
	}
	total := domain.Amount(0)
	for i := range facts {
		if e, ok := facts[i].Body.(*account.Refunded); ok {
			total += e.Amount
		}
	}
	d.object("refund")
	d.text("id", fact.ID.String())
	d.text("transaction_id", first.Deduction.String())
	d.money("amount", total)
	d.money("refunded", refunded)
	d.close()
}
