package httpapi

import (
	"iocredits/httpapi/api"
)

// What follows reads the bodies that come by the thousand without reflection:
// JSON objects of plain strings, in any order. What is not as plain as that (an
// escape, a number, a name that is unknown or there twice, anything wrong) is
// for decodeObject, which also knows how to refuse it. So this never has to be
// complete, only right, and a fuzz test holds the two equal.

// deductionText is a deduction's body and room for its optional fields.
type deductionText struct {
	api.DeductionRequest
	reference, description string
}

// scan reads a body; false leaves it to decodeObject, and in an unknown state.
func (t *deductionText) scan(body []byte) bool {
	s := memberScanner{rest: string(body)}
	for s.next() {
		switch s.name {
		case "amount":
			t.Amount = api.Figure(s.once(1))
		case "service":
			t.Service = api.Service(s.once(2))
		case "reference":
			t.reference = s.once(4)
			t.Reference = &t.reference
		case "description":
			t.description = s.once(8)
			t.Description = &t.description
		default:
			return false
		}
	}
	return s.done()
}

// lineText is a line of a batch and room for its optional fields.
type lineText struct {
	api.BatchLine
	amount, quantity, price       api.Figure
	meter, reference, description string
}

func (t *lineText) scan(line []byte) bool {
	// One copy for all of its strings: none of them may hold on to a whole body.
	s := memberScanner{rest: string(line)}
	for s.next() {
		switch s.name {
		case "account":
			t.Account = s.once(1)
		case "key":
			t.Key = s.once(2)
		case "amount":
			t.amount = api.Figure(s.once(4))
			t.Amount = &t.amount
		case "service":
			t.Service = api.Service(s.once(8))
		case "reference":
			t.reference = s.once(16)
			t.Reference = &t.reference
		case "description":
			t.description = s.once(32)
			t.Description = &t.description
		case "meter":
			t.meter = s.once(64)
			t.Meter = &t.meter
		case "quantity":
			t.quantity = api.Figure(s.once(128))
			t.Quantity = &t.quantity
		case "unit_price":
			t.price = api.Figure(s.once(256))
			t.UnitPrice = &t.price
		default:
			return false
		}
	}
	return s.done()
}

// memberScanner reads an object's members, all of which are plain strings. Once
// it has failed it reads nothing more; MUST: done is asked before anything read
// is used.
type memberScanner struct {
	rest        string
	name, value string
	// seen has a bit for each member that was there.
	seen               int
	begun, closed, bad bool
}

// next reads a member; false at the end or after a failure.
func (s *memberScanner) next() bool {
	if s.bad {
		return false
	}
	switch {
	case !s.begun && s.take('{'):
		s.begun = true
		if s.take('}') {
			s.closed = true
			return false
		}
	case s.begun && s.take('}'):
		s.closed = true
		return false
	case s.begun && s.take(','):
	default:
		s.bad = true
		return false
	}
	var ok bool
	if s.name, ok = s.text(); !ok || !s.take(':') {
		s.bad = true
		return false
	}
	s.value, ok = s.text()
	s.bad = !ok
	return ok
}

// done tells that the object was read to its end and nothing follows it.
func (s *memberScanner) done() bool {
	s.space()
	return s.closed && !s.bad && s.rest == ""
}

// once gives the member's value; it fails if the bit was seen before.
func (s *memberScanner) once(bit int) string {
	s.bad = s.bad || s.seen&bit != 0
	s.seen |= bit
	return s.value
}

func (s *memberScanner) space() {
	for s.rest != "" && (s.rest[0] == ' ' || s.rest[0] == '\n' || s.rest[0] == '\r' || s.rest[0] == '\t') {
		s.rest = s.rest[1:]
	}
}

// take skips white space and then b, if that comes next.
func (s *memberScanner) take(b byte) bool {
	s.space()
	if s.rest == "" || s.rest[0] != b {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// text reads a string of printable ASCII without escapes.
func (s *memberScanner) text() (string, bool) {
	if !s.take('"') {
		return "", false
	}
	for i := range len(s.rest) {
		switch c := s.rest[i]; {
		case c == '"':
			text := s.rest[:i]
			s.rest = s.rest[i+1:]
			return text, true
		case c < ' ' || c > '~' || c == '\\':
			return "", false
		}
	}
	return "", false
}
