package httpapi

import (
	"time"

	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/httpapi/api"
)

// RecordReading is POST …/meters/{meter}/readings; a line of a batch with a
// meter is the same.
func (h handlers) RecordReading(c echo.Context, name api.Account, meter api.MeterID, _ api.RecordReadingParams) error {
	k := callOf(c)
	var request api.ReadingRequest
	if err := k.decode(&request); err != nil {
		return err
	}
	o, err := readingOrder(meter, &request)
	if err != nil {
		return err
	}
	var refunded domain.Amount
	var position domain.Accrual
	open := false
	o.inspect = func(s *account.State, facts []eventstore.Fact) {
		refunded = refundedOf(s, facts)
		position, open = s.Meters[meter]
	}
	result, err := k.execute(o)
	if err != nil {
		return err
	}
	return k.answer(statusCreated, result, func(d *document) error {
		d.deduction(result.Facts, refunded)
		d.meter(meter, position, open, result.Facts)
		return nil
	})
}

func (d *document) meter(id string, position domain.Accrual, open bool, facts []eventstore.Fact) {
	status, charged := "open", position.Charged
	if !open {
		status = "closed"
		if reading, _ := firstOf[*account.UsageMetered](facts); reading != nil {
			charged = reading.Accrued.Charged
		}
	}
	d.object("meter")
	d.text("id", id)
	d.text("status", status)
	d.money("charged", charged)
	d.close()
}

// readingOrder makes the command of a request.
func readingOrder(meter string, r *api.ReadingRequest) (order, error) {
	if err := domain.CheckID("meter", meter); err != nil {
		return order{}, err
	}
	service, err := domain.ParseService(string(r.Service))
	if err != nil {
		return order{}, err
	}
	quantity, err := domain.ParseQuantity("quantity", string(r.Quantity))
	if err != nil {
		return order{}, err
	}
	price, err := domain.ParseRate("unit_price", string(r.UnitPrice))
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
	final := valueOf(r.Final)
	return order{
		do: account.RecordReading{
			Meter: meter, Service: service, Quantity: quantity, UnitPrice: price,
			Reference: reference, EffectiveAt: effective, Final: final,
		},
		body: readingBody{service, quantity, price, reference, effective, final},
	}, nil
}

// readingBody is everything that tells one reading of a meter from another.
type readingBody struct {
	service   domain.Service
	quantity  domain.Quantity
	price     domain.Rate
	reference string
	effective time.Time
	final     bool
}

func (b readingBody) appendCanonical(to []byte) []byte {
	d := document{b: to}
	d.open()
	d.moment("effective_at", b.effective)
	if b.final {
		d.flag("final", true)
	}
	d.text("quantity", b.quantity.String())
	d.optional("reference", b.reference)
	d.text("service", string(b.service))
	d.text("unit_price", b.price.String())
	d.close()
	return d.b
}
