package spherepay

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"iocredits/domain"
)

// What the provider tells is a fact, and a fact is never refused (design.md rule 2):
// whatever is JSON is read as far as it can be, member by member. A member of
// another form than is documented is a member that isn't there, and what that
// leaves unsaid (Told, Unnamed) is for people to find out.

// ParseEvent reads a webhook's body. The provider may add members at any time,
// so unknown ones are skipped. Ids are as they were told: whoever records them sees
// to it that ours can be such.
// Error: CodeBodyInvalid, if the body is no JSON object.
func ParseEvent(body []byte) (Event, error) {
	var members map[string]jsontext.Value
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return Event{}, domain.Refuse(domain.CodeBodyInvalid, "the body is no event of the payment provider")
	}
	e := Event{
		ID: textOf(members["id"]), Name: EventName(textOf(members["name"])), Mock: textOf(members["mock"]) == "true",
		Created: timeOf(members["created"]), Updated: timeOf(members["updated"]),
	}
	payment := membersOf(members["data"])["payment"]
	p := readPayment(payment)
	if said := statusOf[e.Name]; p.Status == "" || progress[said] > progress[p.Status] {
		p.Status = said
	}
	if p.Unnamed = p.ID == ""; p.Unnamed {
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
	*p = readPayment(value)
	if p.Unnamed = p.ID == ""; p.Unnamed {
		p.ID = nameOf(value)
	}
	return nil
}

// nameOf is an id for what has none: the same for the same text, and none of the
// provider's.
func nameOf(text []byte) string { return "unnamed/" + string(text) }

func readPayment(value jsontext.Value) Payment {
	members := membersOf(value)
	p := Payment{
		ID: textOf(members["id"]), Status: Status(textOf(members["status"])), Link: textOf(members["paymentLink"]),
		Reason: textOf(members["reason"]), Created: timeOf(members["created"]), Updated: timeOf(members["updated"]),
	}
	p.Meta.read(members["meta"])
	amount, exact := domain.ReadAmount(textOf(members["amount"]))
	if p.Amount = Amount(amount); !exact || amount == 0 {
		p.Told = excerpt(cmp.Or(textOf(members["amount"]), string(members["amount"]), "nothing"))
	}
	return p
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
	members := membersOf(value)
	m.Account, m.Purchase = textOf(members["account"]), textOf(members["purchase"])
	m.Attempt, _ = strconv.Atoi(textOf(members["attempt"])) // 0: none of ours
}

// membersOf are an object's; anything else has none.
func membersOf(value jsontext.Value) (members map[string]jsontext.Value) {
	if value.Kind() != '{' || json.Unmarshal(value, &members) != nil {
		return nil
	}
	return members
}

// textOf is a string's text, and a number or a truth as it is written; anything else
// has none.
func textOf(value jsontext.Value) string {
	switch value.Kind() {
	case '"':
		text, err := jsontext.AppendUnquote(nil, value)
		if err != nil {
			return ""
		}
		return string(text)
	case '0', 't', 'f':
		return string(value)
	}
	return ""
}

func timeOf(value jsontext.Value) time.Time {
	at, err := time.Parse(time.RFC3339, textOf(value))
	if err != nil {
		return time.Time{}
	}
	return at
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
