package httpapi

import (
	"context"
	"time"

	"github.com/labstack/echo/v4"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/httpapi/api"
	"iocredits/projections"
)

var purchases = resource{account.ObjectPurchase, purchaseForm}

// StartPurchase is POST …/purchases. The payment link is made by the reactor; the
// answer waits for it, but not for long.
func (h handlers) StartPurchase(c echo.Context, _ api.Account, _ api.StartPurchaseParams) error {
	k := callOf(c)
	if h.opts.ReadWebhook == nil {
		return notSetUp("payment-provider", "no payment provider is set up: nobody can buy")
	}
	var request api.PurchaseRequest
	if err := k.decode(&request); err != nil {
		return err
	}
	amount, err := moneyOf("amount", &request.Amount)
	if err != nil {
		return err
	}
	id, err := newID()
	if err != nil {
		return err
	}
	result, err := k.execute(order{do: account.StartPurchase{Purchase: id, Amount: amount}, body: request})
	if err != nil {
		return err
	}
	record, err := k.purchaseWithLink(objectIn(account.ObjectPurchase, result.Facts), result.Position)
	if err != nil {
		return err
	}
	return k.answerWith(statusCreated, result, purchases, record)
}

// purchaseWithLink waits until a purchase has its link, or needs none any more,
// or patience ends.
func (k *call) purchaseWithLink(id string, position eventstore.Position) (*projections.ObjectRecord, error) {
	record, err := k.objectAfter(account.ObjectPurchase, id, position)
	if err != nil || k.server.opts.Views.Through() < position {
		return record, err
	}
	patience, cancel := context.WithTimeout(k.ctx, k.server.opts.LinkPatience)
	defer cancel()
	pause := firstPause
	soon := func() <-chan time.Time {
		timer := time.After(pause)
		pause = min(2*pause, lastPause)
		return timer
	}
	err = lookAgain(patience, soon, func() (done bool, err error) {
		if record, err = k.mustObject(account.ObjectPurchase, id); err != nil {
			return false, err
		}
		p, ok := record.Object.(*account.Purchase)
		return !ok || p.URL() != "" || p.State != account.PurchaseIsAwaiting, nil
	})
	return record, err
}

// The pauses between two looks at a purchase that waits for its link double from the
// first, because most links are made in a few milliseconds, to the last. To look at each
// move of the read models would read it at every batch of the whole log, and hurry them.
const (
	firstPause = 2 * time.Millisecond
	lastPause  = 50 * time.Millisecond
)

// lookAgain looks at once and whenever soon has come, until it is done or ctx is.
func lookAgain(ctx context.Context, soon func() <-chan time.Time, look func() (done bool, err error)) error {
	for {
		if done, err := look(); done || err != nil {
			return err
		}
		select {
		case <-soon():
		case <-ctx.Done():
			return nil
		}
	}
}

// GetPurchase is GET …/purchases/{id}.
func (h handlers) GetPurchase(c echo.Context, _ api.Account, id api.PurchaseID, params api.GetPurchaseParams) error {
	return callOf(c).sendObject(purchases, id, params.MinPosition)
}

// ListPurchases is GET …/purchases of an account.
func (h handlers) ListPurchases(c echo.Context, _ api.Account, params api.ListPurchasesParams) error {
	return callOf(c).sendObjects(purchases, params.Order, paging{params.Limit, params.Cursor, params.MinPosition})
}

// ReversePurchase is POST …/purchases/{id}/reverse: finance learnt of a chargeback,
// of a purchase or of a payment that they had credited.
func (h handlers) ReversePurchase(c echo.Context, name api.Account, id api.PurchaseID, _ api.ReversePurchaseParams) error {
	k, request := callOf(c), api.ReasonRequest{}
	o, err := k.orderAbout(purchases, id, &request, func() (account.Action, error) {
		reason, err := k.seal("reason", name, request.Reason)
		return account.RecordChargeback{Purchase: id, Reason: reason}, err
	})
	if err != nil {
		return err
	}
	result, err := k.execute(o)
	if err != nil {
		return err
	}
	record := k.creditedPayment(id, result.Facts)
	if record == nil {
		if record, err = k.objectAfter(account.ObjectPurchase, id, result.Position); err != nil {
			return err
		}
	}
	return k.answerWith(statusOK, result, purchases, record)
}

// creditedPayment shows a reversed payment that finance had credited in the form of a
// purchase, which it never had; nil if a purchase was reversed.
func (k *call) creditedPayment(id string, facts []eventstore.Fact) *projections.ObjectRecord {
	record, p := projections.NewObjectRecord(k.account, account.ObjectPurchase, id), &account.Purchase{}
	record.Object = p
	for _, fact := range facts {
		if e, ok := fact.Body.(*account.PurchaseReversed); ok && e.Purchase == "" && e.Payment == id {
			record.Apply(fact)
		}
	}
	if p.Reversed == 0 {
		return nil
	}
	p.Amount, p.ToPay, p.Received, p.Credited = p.Reversed, p.Reversed, p.Reversed, p.Reversed
	return record
}

// purchaseForm writes the members of a purchase.
func purchaseForm(_ *call, d *document, r *projections.ObjectRecord) error {
	p, ok := r.Object.(*account.Purchase)
	if !ok {
		return wrongObject(r)
	}
	d.text("id", r.ID)
	d.text("account", r.Account)
	d.text("status", p.Status())
	d.money("amount", p.Amount)
	d.money("fee", p.Fee)
	d.money("to_pay", p.ToPay)
	d.money("received", p.Received)
	d.money("credited", p.Credited)
	d.money("reversed", p.Reversed)
	link := ""
	if p.State == account.PurchaseIsAwaiting { // nobody should pay for one that is over
		link = p.URL()
	}
	d.nullable("payment_url", link)
	d.moment("started_at", p.StartedAt)
	d.moment("expires_at", p.ExpiresAt)
	d.steps(r.Steps)
	return nil
}
