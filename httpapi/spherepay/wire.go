package spherepay

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"iocredits/domain"
)

// Status of a payment.
type Status string

// The provider's payment statuses.
const (
	Pending   Status = "pending"
	Confirmed Status = "confirmed"
	Succeeded Status = "succeeded"
	Failed    Status = "failed"
	Refunded  Status = "refunded"
)

// EventName is the kind of a webhook.
type EventName string

// The provider's payment events.
const (
	PaymentPending      EventName = "payment.pending"
	PaymentSuccessful   EventName = "payment.successful"
	PaymentFailed       EventName = "payment.failed"
	PaymentCancelled    EventName = "payment.cancelled"
	PaymentIncomplete   EventName = "payment.incomplete"
	PaymentCardRefunded EventName = "payment.card.refunded"
)

// Meta is what we put on a link, and find on its payments: which purchase of
// which account it is for, and the attempt that made the link.
type Meta struct {
	Account  string `json:"account"`
	Purchase string `json:"purchase"`
	Attempt  int    `json:"attempt,string"`
}

// ofAnother tells that what has this is another purchase's than the one that was asked about.
// That the provider looks at the question is nowhere documented, and most services skip a
// parameter that they don't know: a customer would be sent to pay for somebody else, and
// what that one has paid would be recorded in this account.
func (m *Meta) ofAnother(purchase string) bool { return m.Purchase != "" && m.Purchase != purchase }

// Link is where a customer pays.
type Link struct {
	ID     string    `json:"id"`
	URL    string    `json:"url"`
	Amount Amount    `json:"amount"`
	Meta   Meta      `json:"meta"`
	Active bool      `json:"active"`
	Made   time.Time `json:"created"`
}

// usable tells that a customer can be sent there, and that the link can be told from others.
func (l *Link) usable() bool { return l.ID != "" && l.URL != "" }

// Payment is what a customer did at a link.
type Payment struct {
	ID     string `json:"id"`
	Status Status `json:"status"`
	// Amount that arrived, in the link's currency.
	Amount Amount `json:"amount"`
	// Told is the amount as the provider wrote it, if that is none that can be
	// credited; Amount is then what is certain of it.
	Told string `json:"-"`
	// Unnamed: the provider gave no id, or what it told contradicts itself; ID is made of
	// all that it told.
	Unnamed bool `json:"-"`
	// Contradicted: it says two things of whether it moved money. Neither is taken for true,
	// whatever the event's name says.
	Contradicted bool `json:"-"`
	// Link is the id of the link that was paid at.
	Link string `json:"paymentLink"`
	Meta Meta   `json:"meta"`
	// Reason is set on refunded payments: "chargeback" where the customer's bank
	// took the money back.
	Reason  string    `json:"reason,omitempty"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// ReasonChargeback marks a refund that the customer's bank forced.
const ReasonChargeback = "chargeback"

// Event is the body of a webhook.
type Event struct {
	ID   string    `json:"id"`
	Name EventName `json:"name"`
	Data struct {
		Payment Payment `json:"payment"`
	} `json:"data"`
	// Mock is true for events that moved no money.
	Mock    bool      `json:"mock"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// Amount is an amount on the provider's wire: written as a string, read exactly
// from a string or a number.
type Amount domain.Amount

// MarshalJSONTo writes the canonical text as a string.
func (a Amount) MarshalJSONTo(out *jsontext.Encoder) error {
	return out.WriteToken(jsontext.String(domain.Amount(a).String()))
}

// UnmarshalJSONFrom reads a string or a number without a detour over floats.
func (a *Amount) UnmarshalJSONFrom(in *jsontext.Decoder) error {
	token, err := in.ReadToken()
	if err != nil {
		return err
	}
	if kind := token.Kind(); kind != '"' && kind != '0' {
		return fmt.Errorf("amount is a %s", kind)
	}
	value, err := domain.ParseAmount("amount", token.String())
	*a = Amount(value)
	return err
}

// envelope is around every answer, as the provider writes it.
type envelope struct {
	OK         bool           `json:"ok"`
	Object     string         `json:"object,omitempty"`
	StatusCode int            `json:"statusCode"`
	Error      string         `json:"error,omitempty"`
	Message    string         `json:"message,omitempty"`
	Data       jsontext.Value `json:"data,omitempty"`
	TS         time.Time      `json:"ts"`
	Request    string         `json:"request,omitempty"`
}

// answered is what of the envelope is needed: the rest may be of any form, and so may
// error and message, which only answers have that aren't ok.
type answered struct {
	OK      bool           `json:"ok"`
	Error   jsontext.Value `json:"error"`
	Message jsontext.Value `json:"message"`
	Data    jsontext.Value `json:"data"`
}

// newLink is the body of POST /v1/paymentLink.
type newLink struct {
	Name     string `json:"name"`
	Amount   Amount `json:"amount"`
	Currency string `json:"currency"`
	Meta     Meta   `json:"meta"`
}

// currency in which credits are bought.
const currency = "usdc"

// linkData, linksData and paymentsData are the data of answers.
type linkData struct {
	PaymentLink Link `json:"paymentLink"`
}

type linksData struct {
	PaymentLinks []Link `json:"paymentLinks"`
}

type paymentsData struct {
	Payments []Payment `json:"payments"`
}
