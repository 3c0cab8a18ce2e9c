package spherepay

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"iocredits/domain"
)

// What the provider tells is a fact, and a fact is never refused (design.md rule 2):
// whatever is JSON is read as far as it can be, member by member. A member of
// another form than is documented is a member that isn't there, and what that
// leaves unsaid (Told, Unnamed) is for people to find out. So is a member that says two
// things: to take either would be to guess.

// lenient is how everything of the provider's is read: a text that was cut in the middle of
// a character, or a name that is there twice, is no reason to miss a payment.
var lenient = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))

// ParseEvent reads a webhook's body. The provider may add members at any time,
// so unknown ones are skipped. Ids are as they were told: whoever records them has to make
// ids of ours out of them.
// Error: CodeBodyInvalid, if the body is no JSON object.
func ParseEvent(body []byte) (Event, error) {
	var event members
	if err := json.Unmarshal(body, &event, lenient); err != nil || event == nil {
		return Event{}, domain.Refuse(domain.CodeBodyInvalid, "the body is no event of the payment provider")
	}
	e := Event{
		ID: event.text("id"), Name: EventName(event.text("name")), Mock: event.text("mock") == "true",
		Created: event.time("created"), Updated: event.time("updated"),
	}
	data := membersOf(event["data"].value)
	p := readPayment(data["payment"].value)
	if said := statusOf[e.Name]; p.Status == "" || progress[said] > progress[p.Status] {
		p.Status = said
	}
	if event.contradict("name", "mock", "data") || data.contradict("payment") {
		p.doubt()
	}
	if p.Unnamed {
		p.ID = nameOf(body)
	}
	e.Data.Payment = p
	return e, nil
}

// statusOf is what an event says by its name alone.
var statusOf = map[EventName]Status{
	PaymentPending: Pending, PaymentSuccessful: Succeeded, PaymentFailed: Failed, PaymentCancelled: Failed, PaymentCardRefunded: Refunded,
}

// progress is how far a payment has come. An event's name and its payment's status may
// differ, as the payment is shown as it was or as it has become: the further one counts, or
// the refund of a payment that is shown as succeeded would be lost. Of one that is shown as
// failed and told to be successful the reconciliation finds out.
var progress = map[Status]int{Pending: 1, Confirmed: 2, Succeeded: 3, Failed: 3, Refunded: 4}

// UnmarshalJSONFrom reads a payment in the answer to a question.
func (p *Payment) UnmarshalJSONFrom(in *jsontext.Decoder) error {
	value, err := in.ReadValue()
	if err != nil {
		return err
	}
	if *p = readPayment(value); p.Unnamed {
		p.ID = nameOf(value)
	}
	return nil
}

// UnmarshalJSONFrom reads a link in the answer to a question. Nothing but its id and its url
// has to be there.
func (l *Link) UnmarshalJSONFrom(in *jsontext.Decoder) error {
	value, err := in.ReadValue()
	if err != nil {
		return err
	}
	of := membersOf(value)
	*l = Link{ID: of.text("id"), URL: of.text("url"), Active: of.text("active") == "true", Made: of.time("created")}
	l.Meta.read(of["meta"].value)
	amount, _ := domain.ReadAmount(of.text("amount"))
	l.Amount = Amount(amount)
	return nil
}

// nameOf is an id for what has none: the same for the same text, and none of the
// provider's.
func nameOf(text []byte) string { return "unnamed/" + string(text) }

// readPayment reads a payment; of one that is Unnamed the id is still to be made.
func readPayment(value jsontext.Value) Payment {
	of := membersOf(value)
	p := Payment{
		ID: of.text("id"), Status: Status(of.text("status")), Link: of.text("paymentLink"),
		Reason: of.text("reason"), Created: of.time("created"), Updated: of.time("updated"),
	}
	p.Meta.read(of["meta"].value)
	amount, exact := domain.ReadAmount(of.text("amount"))
	if p.Amount = Amount(amount); !exact || amount == 0 {
		p.Told = excerpt(cmp.Or(of.text("amount"), string(of["amount"].value), "nothing"))
	}
	// An id that has lost a character may be another payment's too.
	p.Unnamed = p.ID == "" || strings.ContainsRune(p.ID, utf8.RuneError) || of.contradict("amount")
	if of.contradict("status") {
		p.doubt()
	}
	return p
}

// doubt is for a payment of which two things are told: that it came and that it didn't, or
// whether it moved money at all. It waits for people as one that came, or as one that was
// taken back, and its id counts for nothing: what is told of that later is another payment.
func (p *Payment) doubt() {
	p.Unnamed, p.Contradicted = true, true
	if p.Status != Refunded {
		p.Status = Succeeded
	}
}

// UnmarshalJSONFrom reads what we put on a link, in whatever form it comes back.
func (m *Meta) UnmarshalJSONFrom(in *jsontext.Decoder) error {
	value, err := in.ReadValue()
	if err == nil {
		m.read(value)
	}
	return err
}

func (m *Meta) read(value jsontext.Value) {
	of := membersOf(value)
	m.Account, m.Purchase = of.text("account"), of.text("purchase")
	m.Attempt, _ = strconv.Atoi(of.text("attempt")) // 0: none of ours
}

// members are those of an object, by name.
type members map[string]member

// member is what was told under one name; of what was told twice, and differs, the list:
// no member of ours has that form.
type member struct {
	value        jsontext.Value
	contradicted bool
}

// UnmarshalJSONFrom reads a value of the name, the first one or a later one.
func (m *member) UnmarshalJSONFrom(in *jsontext.Decoder) error {
	value, err := in.ReadValue()
	switch {
	case err != nil:
		return err
	case m.value == nil:
		m.value = value.Clone()
	case !bytes.Equal(m.value, value):
		m.value, m.contradicted = slices.Concat(jsontext.Value("["), m.value, jsontext.Value(","), value, jsontext.Value("]")), true
	}
	return nil
}

// membersOf are an object's; anything else has none.
func membersOf(value jsontext.Value) (of members) {
	if value.Kind() != '{' || json.Unmarshal(value, &of, lenient) != nil {
		return nil
	}
	return of
}

// contradict tells that one of these says two things.
func (m members) contradict(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return m[name].contradicted })
}

func (m members) text(name string) string { return textOf(m[name].value) }

func (m members) time(name string) time.Time {
	at, err := time.Parse(time.RFC3339, m.text(name))
	if err != nil {
		return time.Time{}
	}
	return at
}

// textOf is a string's text, with U+FFFD for what is no character, and a number or a truth
// as it is written; anything else has none.
func textOf(value jsontext.Value) string {
	switch value.Kind() {
	case '"':
		text, _ := jsontext.AppendUnquote(nil, value) // it fails for what it has replaced
		return string(text)
	case '0', 't', 'f':
		return string(value)
	}
	return ""
}

// excerpt keeps what was told short, and to what can be printed anywhere.
func excerpt(text string) string {
	const most = 64
	printable := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	return printable[:min(len(printable), most)]
}
