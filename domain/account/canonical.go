package account

import (
	"strconv"

	"iocredits/domain"
)

// The stored form of the events that make up nearly all of a log, written and
// read without reflection (domain/canonical.go). A field that is added to one of
// these events is added here too: a test that compares with the general codec
// fails until it is.

// AppendJSON appends the stored form; false if the general codec has to.
func (e *Deducted) AppendJSON(b []byte) ([]byte, bool) {
	b = domain.AppendJSONAmount(append(b, `{"amount":`...), e.Amount)
	b, ok := appendText(b, `,"service":`, e.Service, true)
	if b, ok = appendText(b, `,"reference":`, e.Reference, ok); !ok {
		return b, false
	}
	if b, ok = appendText(b, `,"description":`, e.Description, ok); !ok {
		return b, false
	}
	if !e.EffectiveAt.IsZero() {
		b = domain.AppendJSONTime(append(b, `,"effective_at":`...), e.EffectiveAt)
	}
	b, ok = appendFunding(b, e.Lots, e.Debt)
	return append(b, '}'), ok && e.Part == Part{} && e.Service != ""
}

// ParseJSON reads the stored form; false, and the event is void, if the general
// codec has to.
func (e *Deducted) ParseJSON(text []byte) bool {
	s := domain.NewJSONScanner(text)
	s.Literal(`{"amount":"`)
	e.Amount = s.Amount()
	s.Literal(`,"service":"`)
	e.Service = serviceOf(s.Text())
	if s.Optional(`,"reference":"`) {
		e.Reference = s.String()
	}
	if s.Optional(`,"description":"`) {
		e.Description = domain.Sealed(s.String())
	}
	if s.Optional(`,"effective_at":"`) {
		e.EffectiveAt = s.Time()
	}
	e.Lots, e.Debt = scanFunding(&s)
	s.Literal(`}`)
	return s.Done()
}

// AppendJSON appends the stored form; false if the general codec has to.
func (e *UsageMetered) AppendJSON(b []byte) ([]byte, bool) {
	b, ok := appendText(b, `{"meter":`, e.Meter, e.Meter != "" && e.Service != "")
	if b, ok = appendText(b, `,"service":`, e.Service, ok); !ok {
		return b, false
	}
	b = append(append(b, `,"quantity":"`...), e.Quantity.String()...)
	b = append(append(b, `","unit_price":"`...), e.UnitPrice.String()...)
	b = domain.AppendJSONAmount(append(b, `","amount":`...), e.Amount)
	b = domain.AppendJSONAmount(append(b, `,"accrued":{"charged":`...), e.Accrued.Charged)
	if e.Accrued.Carry != 0 {
		b = strconv.AppendInt(append(b, `,"carry":`...), e.Accrued.Carry, 10)
	}
	b = append(b, '}')
	if b, ok = appendText(b, `,"reference":`, e.Reference, ok); !ok {
		return b, false
	}
	if !e.EffectiveAt.IsZero() {
		b = domain.AppendJSONTime(append(b, `,"effective_at":`...), e.EffectiveAt)
	}
	if e.Final {
		b = append(b, `,"final":true`...)
	}
	b, ok = appendFunding(b, e.Lots, e.Debt)
	return append(b, '}'), ok && e.Part == Part{}
}

// ParseJSON reads the stored form; false, and the event is void, if the general
// codec has to.
func (e *UsageMetered) ParseJSON(text []byte) bool {
	s := domain.NewJSONScanner(text)
	s.Literal(`{"meter":"`)
	e.Meter = s.String()
	s.Literal(`,"service":"`)
	e.Service = serviceOf(s.Text())
	s.Literal(`,"quantity":"`)
	quantity := s.Text()
	s.Literal(`,"unit_price":"`)
	price := s.Text()
	if e.Quantity.UnmarshalText(quantity) != nil || e.UnitPrice.UnmarshalText(price) != nil {
		return false
	}
	s.Literal(`,"amount":"`)
	e.Amount = s.Amount()
	s.Literal(`,"accrued":{"charged":"`)
	e.Accrued.Charged = s.Amount()
	if s.Optional(`,"carry":`) {
		e.Accrued.Carry = s.Int()
	}
	s.Literal(`}`)
	if s.Optional(`,"reference":"`) {
		e.Reference = s.String()
	}
	if s.Optional(`,"effective_at":"`) {
		e.EffectiveAt = s.Time()
	}
	e.Final = s.Optional(`,"final":true`)
	e.Lots, e.Debt = scanFunding(&s)
	s.Literal(`}`)
	return s.Done()
}

// appendText appends a member unless its text is empty; ok is passed on.
func appendText[T ~string](b []byte, name string, text T, ok bool) ([]byte, bool) {
	if text == "" || !ok {
		return b, ok
	}
	return domain.AppendJSONString(append(b, name...), text)
}

// appendFunding appends what paid for a charge.
func appendFunding(b []byte, lots []LotUse, debt domain.Amount) ([]byte, bool) {
	for i, u := range lots {
		if u.Class != Promotional && u.Class != Purchased {
			return b, false
		}
		if i == 0 {
			b = append(b, `,"lots":[`...)
		} else {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, `{"lot":`...), u.Lot, 10)
		b = append(append(b, `,"class":"`...), u.Class...)
		b = domain.AppendJSONAmount(append(b, `","amount":`...), u.Amount)
		if !u.ExpiresAt.IsZero() {
			b = domain.AppendJSONTime(append(b, `,"expires_at":`...), u.ExpiresAt)
		}
		b = append(b, '}')
	}
	if len(lots) > 0 {
		b = append(b, ']')
	}
	if debt != 0 {
		b = domain.AppendJSONAmount(append(b, `,"debt":`...), debt)
	}
	return b, true
}

func scanFunding(s *domain.JSONScanner) (lots []LotUse, debt domain.Amount) {
	if s.Optional(`,"lots":[`) {
		for {
			s.Literal(`{"lot":`)
			u := LotUse{Lot: s.Int()}
			s.Literal(`,"class":"`)
			u.Class = classOf(s.Text())
			s.Literal(`,"amount":"`)
			u.Amount = s.Amount()
			if s.Optional(`,"expires_at":"`) {
				u.ExpiresAt = s.Time()
			}
			s.Literal(`}`)
			lots = append(lots, u)
			if !s.Optional(`,`) {
				break
			}
		}
		s.Literal(`]`)
	}
	if s.Optional(`,"debt":"`) {
		debt = s.Amount()
	}
	return lots, debt
}

// classOf and serviceOf give the constant where there is one: a log of millions
// of events has a handful of these words.
func classOf(text []byte) Class {
	switch string(text) {
	case string(Promotional):
		return Promotional
	case string(Purchased):
		return Purchased
	}
	return Class(text)
}

func serviceOf(text []byte) domain.Service {
	switch string(text) {
	case string(domain.ServiceInference):
		return domain.ServiceInference
	case string(domain.ServiceVM):
		return domain.ServiceVM
	case string(domain.ServiceRay):
		return domain.ServiceRay
	case string(domain.ServiceKubernetes):
		return domain.ServiceKubernetes
	}
	return domain.Service(text)
}
