package httpapi

import (
	"time"

	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/httpapi/api"
)

// Deduct is POST …/deductions; a line of a batch with an amount is the same.
func (h handlers) Deduct(c echo.Context, name api.Account, _ api.DeductParams) error {
	k := callOf(c)
	var request deductionText
	err := k.withBody(func(body []byte) error {
		if !request.scan(body) {
			request = deductionText{}
			if err := decodeObject(body, &request.DeductionRequest); err != nil {
				return err
			}
		}
		if request.Amount == "" || request.Service == "" {
			k.missing = missingFields(body, &request.DeductionRequest)
		}
		return nil
	})
	if err != nil {
		return err
	}
	o, err := k.deduction(name, &request.DeductionRequest)
	if err != nil {
		return err
	}
	var refunded domain.Amount
	o.inspect = func(s *account.State, facts []eventstore.Fact) { refunded = refundedOf(s, facts) }
	result, err := k.execute(o)
	if err != nil {
		return err
	}
	return k.answer(statusCreated, result, func(d *document) error {
		d.deduction(result.Facts, refunded)
		return nil
	})
}

// deduction makes the command of a request, and the request canonical.
func (k *call) deduction(name string, r *api.DeductionRequest) (order, error) {
	amount, err := domain.ParseAmount("amount", string(r.Amount))
	if err != nil {
		return order{}, err
	}
	service, err := domain.ParseService(string(r.Service))
	if err != nil {
		return order{}, err
	}
	reference := valueOf(r.Reference)
	if err := checkReference("reference", reference); err != nil {
		return order{}, err
	}
	effective, err := timeOf("effective_at", r.EffectiveAt)
	if err != nil {
		return order{}, err
	}
	description, err := k.seal("description", name, r.Description)
	if err != nil {
		return order{}, err
	}
	return order{
		do: account.Deduct{
			Amount: amount, Service: service, Reference: reference, Description: description, EffectiveAt: effective,
		},
		body: deductionBody{amount, service, reference, valueOf(r.Description), effective},
	}, nil
}

// deductionBody is everything that tells one deduction from another.
type deductionBody struct {
	amount      domain.Amount
	service     domain.Service
	reference   string
	description string
	effective   time.Time
}

func (b deductionBody) appendCanonical(to []byte) []byte {
	d := document{b: to}
	d.open()
	d.money("amount", b.amount)
	d.optional("description", b.description)
	d.moment("effective_at", b.effective)
	d.optional("reference", b.reference)
	d.text("service", string(b.service))
	d.close()
	return d.b
}

// refundedOf is what came back of the command's deduction until today.
func refundedOf(s *account.State, facts []eventstore.Fact) domain.Amount {
	if first := chargeIn(facts); first != nil {
		return s.Refunded[first.Revision]
	}
	return 0
}

// chargeOf tells what an event takes, and for what.
func chargeOf(fact *eventstore.Fact) (amount domain.Amount, service domain.Service, reference string, ok bool) {
	switch e := fact.Body.(type) {
	case *account.Deducted:
		return e.Amount, e.Service, e.Reference, true
	case *account.UsageMetered:
		return e.Amount, e.Service, e.Reference, true
	case *account.Captured:
		return e.Amount, e.Service, e.Reference, true
	}
	return 0, "", "", false
}

// chargeIn finds the command's deduction among its events.
func chargeIn(facts []eventstore.Fact) *eventstore.Fact {
	for i := range facts {
		if _, _, _, ok := chargeOf(&facts[i]); ok {
			return &facts[i]
		}
	}
	return nil
}

// deduction writes the object; its parts, where it was split, count as one.
func (d *document) deduction(facts []eventstore.Fact, refunded domain.Amount) {
	first := chargeIn(facts)
	if first == nil {
		return
	}
	_, service, reference, _ := chargeOf(first)
	total := domain.Amount(0)
	for i := range facts {
		if amount, _, _, ok := chargeOf(&facts[i]); ok {
			total += amount
		}
	}
	d.object("deduction")
	d.id("id", first.ID)
	d.money("amount", total)
	d.money("refunded", refunded)
	d.text("service", string(service))
	d.text("reference", reference)
	d.close()
}
