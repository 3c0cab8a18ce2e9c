package spherepay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"iocredits/domain"
	"iocredits/eventstore/disk"
)

// SandboxOptions of a Sandbox. Key, Secret, BaseURL and WebhookURL are required.
type SandboxOptions struct {
	// Key is the merchant's secret key, Secret that of its webhooks.
	Key, Secret string
	// BaseURL is where the sandbox is served: links point there.
	BaseURL string
	// WebhookURL is where events are sent.
	WebhookURL string
	// File keeps what happened over a restart; empty: nothing is kept.
	File string
	// Now is the clock; nil: the system's.
	Now func() time.Time
	// Late, if set, lets the payment session of every open purchase pass, so that
	// a payment after it is late.
	Late func(ctx context.Context) error
}

// Sandbox is a payment provider that takes no money: the provider's API, its
// webhooks, and a page where a person plays the customer. Safe for concurrent use.
type Sandbox struct {
	opts SandboxOptions
	mux  *http.ServeMux
	http *http.Client

	mu    sync.Mutex
	state sandboxState
	// early: the next link is paid before its maker has the answer.
	early bool
}

// sandboxState is everything that happened, oldest first.
type sandboxState struct {
	Links    []Link          `json:"links"`
	Payments []Payment       `json:"payments"`
	Keys     map[string]bool `json:"keys"`
}

// OpenSandbox makes a sandbox and reads what its file has.
func OpenSandbox(o SandboxOptions) (*Sandbox, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Sandbox{opts: o, http: &http.Client{Timeout: webhookTimeout}, state: sandboxState{Keys: map[string]bool{}}}
	s.routes()
	if o.File == "" {
		return s, nil
	}
	content, err := os.ReadFile(o.File)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &s.state)
	}
	if err != nil {
		return nil, fmt.Errorf("payment sandbox %s: %w", o.File, err)
	}
	return s, nil
}

// keep writes the state. mu MUST be held.
func (s *Sandbox) keep() error {
	if s.opts.File == "" {
		return nil
	}
	content, err := json.Marshal(s.state, json.Deterministic(true))
	if err != nil {
		return err
	}
	return disk.WriteFile(s.opts.File, content, 0o600)
}

// Action is what a customer, or the provider, does about a purchase.
type Action string

// The actions of a sandbox.
const (
	// Pay pays what is still to be paid.
	Pay Action = "pay"
	// Fail tries to pay and fails.
	Fail Action = "fail"
	// Half pays half; done again, it pays the rest.
	Half Action = "half"
	// Double pays twice the amount.
	Double Action = "double"
	// Twice pays once, and the webhook is sent twice at the same time.
	Twice Action = "twice"
	// Late pays after the session has passed.
	Late Action = "late"
	// Silent pays, and the webhook is lost.
	Silent Action = "silent"
	// Refund gives the newest payment back; Chargeback is forced to.
	Refund     Action = "refund"
	Chargeback Action = "chargeback"
)

// Actions lists every action.
func Actions() []Action {
	return []Action{Pay, Fail, Half, Double, Twice, Late, Silent, Refund, Chargeback}
}

// Errors of Act.
var (
	ErrNoLink        = errors.New("the purchase has no payment link")
	ErrNoPayment     = errors.New("the purchase has no payment to give back")
	ErrUnknownAction = errors.New("unknown action")
)

// Act does something about a purchase at its newest link, and returns once the
// engine has taken the webhook.
func (s *Sandbox) Act(ctx context.Context, purchase string, action Action) error {
	if action == Late && s.opts.Late != nil {
		if err := s.opts.Late(ctx); err != nil {
			return fmt.Errorf("let the session pass: %w", err)
		}
	}
	name, payment, err := s.apply(purchase, action)
	if err != nil {
		return err
	}
	switch action {
	case Silent:
		return nil
	case Twice:
		body, err := s.event(name, payment)
		if err != nil {
			return err
		}
		sent := make(chan error, 2)
		for range 2 {
			go func() { sent <- s.post(ctx, body) }()
		}
		return errors.Join(<-sent, <-sent)
	}
	return s.send(ctx, name, payment)
}

// apply changes the state and tells what the webhook says.
func (s *Sandbox) apply(purchase string, action Action) (EventName, Payment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	link, ok := s.newestLink(purchase)
	if !ok {
		return "", Payment{}, fmt.Errorf("%w: %s", ErrNoLink, purchase)
	}
	paid := s.paid(purchase)
	rest := link.Amount - paid
	if rest <= 0 {
		rest = link.Amount
	}
	switch action {
	case Pay, Twice, Late, Silent:
		return s.pay(PaymentSuccessful, link, Succeeded, rest)
	case Double:
		return s.pay(PaymentSuccessful, link, Succeeded, 2*link.Amount)
	case Fail:
		return s.pay(PaymentFailed, link, Failed, rest)
	case Half:
		if paid == 0 {
			return s.pay(PaymentIncomplete, link, Succeeded, link.Amount/2)
		}
		return s.pay(PaymentSuccessful, link, Succeeded, rest)
	case Refund:
		return s.giveBack(purchase, "")
	case Chargeback:
		return s.giveBack(purchase, ReasonChargeback)
	}
	return "", Payment{}, fmt.Errorf("%w: %q", ErrUnknownAction, action)
}

func (s *Sandbox) newestLink(purchase string) (Link, bool) {
	for i := len(s.state.Links) - 1; i >= 0; i-- {
		if s.state.Links[i].Meta.Purchase == purchase {
			return s.state.Links[i], true
		}
	}
	return Link{}, false
}

func (s *Sandbox) paid(purchase string) (sum Amount) {
	for _, p := range s.state.Payments {
		if p.Meta.Purchase == purchase && p.Status == Succeeded {
			sum += p.Amount
		}
	}
	return sum
}

func (s *Sandbox) pay(name EventName, link Link, status Status, amount Amount) (EventName, Payment, error) {
	now := s.opts.Now().UTC()
	p := Payment{
		ID: "payment_" + uuid.NewString(), Status: status, Amount: amount, Link: link.ID, Meta: link.Meta,
		Created: now, Updated: now,
	}
	s.state.Payments = append(s.state.Payments, p)
	return name, p, s.keep()
}

func (s *Sandbox) giveBack(purchase, reason string) (EventName, Payment, error) {
	for i := len(s.state.Payments) - 1; i >= 0; i-- {
		p := &s.state.Payments[i]
		if p.Meta.Purchase == purchase && p.Status == Succeeded {
			p.Status, p.Reason, p.Updated = Refunded, reason, s.opts.Now().UTC()
			return PaymentCardRefunded, *p, s.keep()
		}
	}
	return "", Payment{}, fmt.Errorf("%w: %s", ErrNoPayment, purchase)
}

// What the provider does about a webhook that isn't taken.
const (
	webhookTimeout = 5 * time.Second
	webhookTries   = 3
	webhookPause   = 100 * time.Millisecond
)

func (s *Sandbox) event(name EventName, p Payment) ([]byte, error) {
	e := Event{ID: "event_" + uuid.NewString(), Name: name, Mock: true, Created: p.Updated, Updated: p.Updated}
	e.Data.Payment = p
	return json.Marshal(e)
}

func (s *Sandbox) send(ctx context.Context, name EventName, p Payment) error {
	body, err := s.event(name, p)
	if err != nil {
		return err
	}
	return s.post(ctx, body)
}

// post delivers one webhook, at least once.
func (s *Sandbox) post(ctx context.Context, body []byte) error {
	var failed error
	for try := range webhookTries {
		if try > 0 {
			timer := time.NewTimer(webhookPause << try)
			select {
			case <-ctx.Done():
				timer.Stop()
				return errors.Join(ctx.Err(), failed)
			case <-timer.C:
			}
		}
		if failed = s.postOnce(ctx, body); failed == nil {
			return nil
		}
	}
	return fmt.Errorf("webhook not taken: %w", failed)
}

func (s *Sandbox) postOnce(ctx context.Context, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.opts.WebhookURL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(SignatureHeader, Sign([]byte(s.opts.Secret), body))
	response, err := s.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("status %d: %s", response.StatusCode, text)
	}
	return nil
}

// PayEarly makes the next link be paid before its maker has the answer.
func (s *Sandbox) PayEarly() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.early = true
}

// makeLink is POST /v1/paymentLink.
func (s *Sandbox) makeLink(ctx context.Context, idempotency string, n newLink) (Link, *Error) {
	link, early, refused := s.addLink(idempotency, n)
	if refused != nil || !early {
		return link, refused
	}
	if err := s.Act(ctx, link.Meta.Purchase, Pay); err != nil {
		return Link{}, &Error{StatusCode: http.StatusInternalServerError, Code: "sandbox/webhook", Message: err.Error()}
	}
	return link, nil
}

func (s *Sandbox) addLink(idempotency string, n newLink) (link Link, early bool, refused *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if idempotency != "" && s.state.Keys[idempotency] {
		return Link{}, false, &Error{StatusCode: http.StatusBadRequest, Code: codesOfKeys + "reused", Message: "the Idempotency-Key was used before"}
	}
	if domain.Amount(n.Amount) <= 0 || n.Currency != currency {
		return Link{}, false, &Error{StatusCode: http.StatusBadRequest, Code: "paymentLink/invalid", Message: "amount and currency are required"}
	}
	s.state.Keys[idempotency] = true
	id := "paymentLink_" + uuid.NewString()
	link = Link{ID: id, URL: s.opts.BaseURL + "/pay/" + id, Amount: n.Amount, Meta: n.Meta, Active: true, Made: s.opts.Now().UTC()}
	s.state.Links = append(s.state.Links, link)
	early, s.early = s.early, false
	if err := s.keep(); err != nil {
		return Link{}, false, &Error{StatusCode: http.StatusInternalServerError, Code: "sandbox/disk", Message: err.Error()}
	}
	return link, early, nil
}
