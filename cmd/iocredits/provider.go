package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore/disk"
	"iocredits/eventstore/reactor"
	"iocredits/httpapi/spherepay"
	"iocredits/projections"
)

// provider is the payment provider as the rest of the engine needs it: the
// reactor makes links and asks for payments, httpapi takes webhooks.
type provider struct {
	client *spherepay.Client
	secret []byte
	// mock: events that moved no money count. All of the sandbox's are such.
	mock   bool
	logger *slog.Logger
}

// openProvider gives the provider of the flags, or the sandbox under --dev; nil if
// there is none.
func (c *serveCmd) openProvider(ctx context.Context, dir dataDir, engine string, dev *devMode, logger *slog.Logger) (_ *provider, err error) {
	base, key, secret := c.PaymentURL, c.PaymentKey, c.PaymentSecret
	if dev != nil {
		if dev.sandbox, err = openSandbox(ctx, dir, engine, dev); err != nil {
			return nil, err
		}
		base, key, secret = dev.sandbox.url, dev.paymentKey, dev.paymentSecret
	}
	if base == "" {
		return nil, nil //nolint:nilnil // no provider is a choice
	}
	client, err := spherepay.NewClient(base, key, nil)
	if err != nil {
		return nil, usagef("--payment-url: %w", err)
	}
	return &provider{client: client, secret: []byte(secret), mock: dev != nil, logger: logger}, nil
}

// webhooks is what httpapi reads webhooks with; nil without a provider.
func (p *provider) webhooks() func(string, []byte) (account.ProviderPayment, error) {
	if p == nil {
		return nil
	}
	return p.readWebhook
}

// CreateLink implements reactor.Provider.
func (p *provider) CreateLink(ctx context.Context, r reactor.LinkRequest) (reactor.Link, error) {
	link, err := p.client.CreateLink(ctx, spherepay.Meta{Account: r.Account, Purchase: r.Purchase, Attempt: r.Attempt}, r.Amount)
	var refused *spherepay.Error
	if errors.As(err, &refused) && refused.Final() {
		err = fmt.Errorf("%w: %s", reactor.ErrNoLink, refused.Code)
	}
	return linkOf(link), err
}

// Links implements reactor.Provider.
func (p *provider) Links(ctx context.Context, purchase string) ([]reactor.Link, error) {
	found, err := p.client.Links(ctx, purchase)
	links := make([]reactor.Link, len(found))
	for i, l := range found {
		links[i] = linkOf(l)
	}
	return links, err
}

// Payments implements reactor.Provider.
func (p *provider) Payments(ctx context.Context, purchase string) ([]account.ProviderPayment, error) {
	found, err := p.client.Payments(ctx, purchase)
	payments := make([]account.ProviderPayment, len(found))
	for i := range found {
		payments[i] = paymentOf(&found[i])
	}
	return payments, err
}

// readWebhook is httpapi's: it trusts a body that the secret has signed. An event
// that moved no money says nothing, unless mock: the zero payment is answered and
// recorded nowhere. A payment in an answer to the reconciliation has no such mark.
func (p *provider) readWebhook(signature string, body []byte) (account.ProviderPayment, error) {
	if !spherepay.Verify(p.secret, body, signature) {
		return account.ProviderPayment{}, domain.Refuse(domain.CodeUnauthenticated, "the signature is not the provider's over this body")
	}
	event, err := spherepay.ParseEvent(body)
	if err != nil {
		return account.ProviderPayment{}, err
	}
	if event.Mock && !p.mock {
		p.logger.Warn("a mock event of the payment provider moved no money: nothing was recorded",
			"event", event.ID, "name", event.Name, "payment", event.Data.Payment.ID)
		return account.ProviderPayment{}, nil
	}
	told := &event.Data.Payment
	payment := paymentOf(told)
	failed := event.Name == spherepay.PaymentFailed || event.Name == spherepay.PaymentCancelled
	if failed && told.Status != spherepay.Refunded && !told.Contradicted { // one that came, and went, is no failure
		payment.Status, payment.Why = account.ProviderFailed, string(event.Name)
	}
	return payment, nil
}

func linkOf(l spherepay.Link) reactor.Link {
	return reactor.Link{ID: l.ID, URL: l.URL, Attempt: l.Meta.Attempt}
}

func paymentOf(p *spherepay.Payment) account.ProviderPayment {
	payment := account.ProviderPayment{
		Account: p.Meta.Account, Purchase: p.Meta.Purchase, Payment: p.ID, Link: p.Link,
		Status: account.ProviderStatus(p.Status), Amount: domain.Amount(p.Amount), Told: p.Told,
	}
	switch {
	case p.Unnamed:
		payment.Odd = account.WhyPaymentUnnamed
	case p.Told != "":
		payment.Odd = account.WhyAmountInvalid
	}
	switch {
	case p.Status == spherepay.Failed:
		payment.Why = string(spherepay.PaymentFailed)
	case p.Status == spherepay.Refunded && p.Reason == spherepay.ReasonChargeback:
		payment.Status = account.ProviderChargedBack
	}
	return payment
}

// purchases adapts the read models to what the reactor asks of purchases.
type purchases struct{ *projections.Views }

// purchasePage is how many purchases are looked at in one read.
const purchasePage = 200

// PurchasesIn implements reactor.Purchases.
func (v purchases) PurchasesIn(ctx context.Context, status account.PurchaseStatus, since time.Time, after string) ([]reactor.OpenPurchase, string, error) {
	page, err := v.QueueSince(ctx, account.ObjectPurchase, string(status), since, purchasePage, after)
	if err != nil {
		return nil, "", err
	}
	var found []reactor.OpenPurchase
	for _, r := range page.Items {
		if p, ok := r.Object.(*account.Purchase); ok {
			found = append(found, reactor.OpenPurchase{Account: r.Account, ID: r.ID, Purchase: *p})
		}
	}
	return found, page.Next, nil
}

// sandbox is a provider of our own, on a port of its own as a real one would be.
type sandbox struct {
	*spherepay.Sandbox
	url      string
	server   *http.Server
	listener net.Listener
}

// pastSession is a minute more than a purchase waits for its payment (purchaseLife): what
// is paid after it is late.
const pastSession = 21 * time.Minute

// openSandbox makes a sandbox with a port of the loopback. engine is where its
// webhooks go.
func openSandbox(ctx context.Context, dir dataDir, engine string, dev *devMode) (*sandbox, error) {
	listener, err := listenAgain(ctx, dir.sandboxAddr())
	if err != nil {
		return nil, fmt.Errorf("payment sandbox: %w", err)
	}
	s := &sandbox{url: "http://" + listener.Addr().String()}
	s.Sandbox, err = spherepay.OpenSandbox(spherepay.SandboxOptions{
		Key: dev.paymentKey, Secret: dev.paymentSecret, BaseURL: s.url, WebhookURL: engine + "/webhooks/spherepay",
		File: dir.sandbox(), Now: dev.clock.Now, Late: func(ctx context.Context) error { return dev.advance(ctx, pastSession) },
	})
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s.server = &http.Server{Handler: s.Sandbox, ReadHeaderTimeout: 5 * time.Second}
	s.listener = listener
	return s, nil
}

// serve begins to take requests: what they lead to needs a whole engine.
func (s *sandbox) serve() {
	go func() { _ = s.server.Serve(s.listener) }() // ends with close
}

// listenAgain takes the port of the last run, to which old payment links lead, or
// a free one of the loopback.
func listenAgain(ctx context.Context, file string) (net.Listener, error) {
	var config net.ListenConfig
	before, err := os.ReadFile(file)
	if err == nil {
		if listener, err := config.Listen(ctx, "tcp", strings.TrimSpace(string(before))); err == nil {
			return listener, nil
		}
	}
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if err := disk.WriteFile(file, []byte(listener.Addr().String()+"\n"), privateMode); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

func (s *sandbox) close() error {
	return errors.Join(s.server.Close(), ignoreClosed(s.listener.Close()))
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// play is httpapi's POST /dev/payments/{purchase_id}.
func (s *sandbox) play(ctx context.Context, purchase, action string) error {
	err := s.Act(ctx, purchase, spherepay.Action(action))
	switch {
	case errors.Is(err, spherepay.ErrUnknownAction):
		return domain.Refuse(domain.CodeFieldInvalid, "%s", err.Error()).With("field", "action")
	case errors.Is(err, spherepay.ErrNoLink):
		return domain.Refuse(domain.CodeUnknownPurchase, "%s", err.Error()).With("field", "purchase_id").With("value", purchase)
	case errors.Is(err, spherepay.ErrNoPayment):
		return domain.Refuse(domain.CodeWrongStatus, "%s", err.Error())
	}
	return err
}
