package reactor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"iocredits/domain"
	"iocredits/domain/account"
)

// cashier makes payment links for purchases that have none, and asks the
// provider what became of the open ones: a webhook that was lost only delays.
//
// Each attempt at a link is an event before the provider is asked, and its key
// there is the purchase and the attempt, which the provider takes once. So after
// a crash anywhere between the two the next try first looks whether the attempt
// made a link, and makes another attempt only if it did not. Were there two
// links all the same, a payment at either counts for the one purchase.
type cashier struct {
	opts  Options
	tries *tries
}

func newCashier(opts Options) *cashier {
	return &cashier{opts: opts, tries: newTries(&opts, "no payment link", "purchase")}
}

func (c *cashier) run(ctx context.Context) {
	defer c.tries.wait()
	// Beside the links: a customer waits for one, and a provider that is slow to
	// tell of payments must not hold them up.
	var reconciling sync.WaitGroup
	defer reconciling.Wait()
	reconciling.Go(func() { c.reconcileAgain(ctx) })
	for ctx.Err() == nil {
		if wait := c.tries.quiet(); wait > 0 {
			sleep(ctx, wait, nil, nil)
			continue
		}
		if err := c.makeLinks(ctx); err != nil && ctx.Err() == nil {
			c.opts.Logger.Warn("purchases without a payment link can't be listed", "error", err)
		}
		sleep(ctx, c.opts.Recheck, c.opts.Purchases.PurchasesChanged(), c.tries.ended)
	}
}

func (c *cashier) reconcileAgain(ctx context.Context) {
	for ctx.Err() == nil {
		if err := c.reconcile(ctx); err != nil && ctx.Err() == nil {
			c.opts.Logger.Warn("payments not reconciled in full", "error", err)
		}
		sleep(ctx, c.opts.ReconcileEvery, nil, nil)
	}
}

// makeLinks begins a try at every purchase that lacks a link and isn't busy.
func (c *cashier) makeLinks(ctx context.Context) error {
	var lacking []string
	var free []OpenPurchase
	asked := time.Now()
	err := c.each(ctx, account.PurchaseIsAwaiting, time.Time{}, func(p OpenPurchase) error {
		if len(p.Links) > 0 {
			return nil
		}
		lacking = append(lacking, p.name())
		if !c.tries.busy(p.name()) {
			free = append(free, p)
		}
		return nil
	})
	if err == nil {
		c.tries.forget(lacking, asked)
	}
	free = first(c.tries, free, OpenPurchase.name)
	for _, p := range free[:min(len(free), c.tries.room())] {
		c.tries.begin(ctx, p.name(), func() error { return c.makeLink(ctx, p) })
	}
	return err
}

// makeLink sees to it that the purchase has a link, and waits until the read
// model knows: until then nobody tries again.
func (c *cashier) makeLink(ctx context.Context, p OpenPurchase) error {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	if p.Attempts > p.FailedAttempt {
		found, err := c.findLink(ctx, p)
		if err != nil || found {
			return err
		}
	}
	attempt := p.Attempts + 1
	err := c.execute(ctx, p.Account, account.RequestLink{Purchase: p.ID, Attempt: attempt})
	if domain.IsCode(err, domain.CodeWrongStatus) || domain.IsCode(err, domain.CodeConflict) {
		// It ended, or another engine is at it. Until the read model tells it
		// would be tried again at once.
		return c.opts.Purchases.WaitThrough(ctx, c.opts.Ledger.AckedAny())
	}
	if err != nil {
		return err
	}
	link, err := c.opts.Provider.CreateLink(ctx, LinkRequest{Account: p.Account, Purchase: p.ID, Attempt: attempt, Amount: p.ToPay})
	if errors.Is(err, ErrNoLink) {
		failure := account.RecordLinkFailure{Purchase: p.ID, Attempt: attempt, Why: err.Error()}
		return errors.Join(err, c.execute(ctx, p.Account, failure))
	}
	if err != nil {
		return err
	}
	return c.execute(ctx, p.Account, account.RecordLink{Purchase: p.ID, Attempt: attempt, Link: link.ID, URL: link.URL})
}

// findLink records the links that earlier attempts made without our learning it.
func (c *cashier) findLink(ctx context.Context, p OpenPurchase) (found bool, err error) {
	links, err := c.opts.Provider.Links(ctx, p.ID)
	if err != nil {
		return false, err
	}
	for _, link := range links {
		if err := c.execute(ctx, p.Account, account.RecordLink{Purchase: p.ID, Attempt: link.Attempt, Link: link.ID, URL: link.URL}); err != nil {
			return false, err
		}
	}
	return len(links) > 0, nil
}

// reconcile asks the provider about every purchase that may still be paid: those
// that wait, and after them those that ended lately, because customers pay late. Errors:
// those of single purchases, the first of them, after all others were asked about.
func (c *cashier) reconcile(ctx context.Context) error {
	since := c.opts.now().Add(-c.opts.ReconcileEnded)
	var asking errgroup.Group
	asking.SetLimit(maxAsking)
	var failed failures
	for _, in := range []struct {
		status account.PurchaseStatus
		since  time.Time
	}{{account.PurchaseIsAwaiting, time.Time{}}, {account.PurchaseIsExpired, since}, {account.PurchaseIsFailed, since}} {
		err := c.each(ctx, in.status, in.since, func(p OpenPurchase) error {
			if p.Attempts > 0 {
				asking.Go(func() error {
					if err := c.reconcileOne(ctx, p); err != nil {
						failed.add(fmt.Errorf("purchase %s: %w", p.name(), err))
					}
					return nil
				})
			}
			return ctx.Err()
		})
		if err != nil {
			failed.add(err)
		}
	}
	_ = asking.Wait() // which has none
	return failed.joined()
}

// maxAsking is how many purchases the provider is asked about at once: it takes its time,
// and who paid waits for all that are asked about first.
const maxAsking = 8

// maxToldFailures bounds what is said of failures that all have one cause.
const maxToldFailures = 10

// failures collects those of calls side by side.
type failures struct {
	mu    sync.Mutex
	first []error
	all   int
}

func (f *failures) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all++; f.all <= maxToldFailures {
		f.first = append(f.first, err)
	}
}

func (f *failures) joined() error {
	if more := f.all - len(f.first); more > 0 {
		return errors.Join(errors.Join(f.first...), fmt.Errorf("and %d more", more))
	}
	return errors.Join(f.first...)
}

func (c *cashier) reconcileOne(ctx context.Context, p OpenPurchase) error {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	payments, err := c.opts.Provider.Payments(ctx, p.ID)
	if err != nil {
		return err
	}
	for _, payment := range payments {
		payment = Normal(payment)
		home, payment, err := PaymentHome(ctx, c.opts.Ledger, c.opts.Claims, payment, p.Account)
		if err != nil {
			return err
		}
		differs, err := RecordPayment(ctx, c.opts.Ledger, c.opts.Logger, home, payment, c.execute)
		if err != nil {
			return err
		}
		if differs {
			c.opts.OnPaymentDiffers()
		}
	}
	return nil
}

// RecordPayment has record write every fact of a payment, which MUST be Normal, into
// the account where it belongs; home is PaymentHome. differs: the provider tells of
// another amount than was recorded first; what it has above that waits for finance, and
// so does a second part of it that was taken back.
func RecordPayment(ctx context.Context, l Ledger, logger *slog.Logger, home string, p account.ProviderPayment,
	record func(ctx context.Context, name string, fact account.Action) error,
) (differs bool, err error) {
	in := home
	for _, fact := range p.Actions() {
		if in, err = factHome(ctx, l, home, fact); err != nil {
			return false, err
		}
		if err := record(ctx, in, fact); err != nil {
			return false, err
		}
	}
	recorded, differs, err := comparePayment(ctx, l, logger, home, p)
	if err != nil {
		return false, err
	}
	if more := p.More(recorded); more != nil {
		err = record(ctx, in, more)
	}
	return differs, err
}

// Normal is a payment with ids that our own can be: whoever learns of it, by
// whatever way, records the same.
func Normal(p account.ProviderPayment) account.ProviderPayment {
	p.Payment, p.Link = shortID(p.Payment), shortID(p.Link)
	if domain.CheckID("purchase", p.Purchase) != nil {
		p.Purchase = ""
	}
	return p
}

// shortID takes the provider's id as it is, or a digest of one that has a form
// which our ids can't have, or that only what we make of others has: two ids never
// become one. It MUST be taken once, of the provider's own.
func shortID(id string) string {
	if id == "" || domain.CheckID("id", id) == nil && len(id) <= 100 && !account.MadeID(id) && !strings.HasPrefix(id, digestPrefix) {
		return id
	}
	digest := sha256.Sum256([]byte(id))
	return digestPrefix + hex.EncodeToString(digest[:16])
}

const digestPrefix = "sha256:"

// PaymentHome is the account in whose stream a payment is recorded: the one that it
// names, which MUST have events or be the engine's own; or that in which it was
// recorded before, by whatever it named then. Otherwise it would count twice: once as
// finance decided, and once in the account. What stands in the engine's own and was
// credited to the account that it names is taken back there.
//
// It gives the payment as it is to be recorded there.
func PaymentHome(ctx context.Context, l Ledger, claims Claims, p account.ProviderPayment, named string) (string, account.ProviderPayment, error) {
	home, p, err := paymentHome(ctx, l, claims, p, named)
	if err == nil && home == account.UnmatchedAccount && domain.CheckAccount("account", p.Account) == nil {
		p.Named = p.Account // for finance, who looks for whose it is
	}
	return home, p, err
}

func paymentHome(ctx context.Context, l Ledger, claims Claims, p account.ProviderPayment, named string) (string, account.ProviderPayment, error) {
	if p.Payment == "" || !p.Recorded() {
		return named, p, nil
	}
	wanted := Claim{Account: named, Purchase: p.Purchase}
	// It may be from before there were claims.
	if isNew, err := unseen(ctx, l, account.UnmatchedAccount, account.RequireNewPayment{Payment: p.Payment}); err != nil {
		return "", p, err
	} else if !isNew {
		wanted.Account = account.UnmatchedAccount
	}
	home, err := claims.Claim(ctx, p.Payment, wanted)
	if err != nil || home.Account == named {
		return home.Account, p, err
	}
	if home.Account != account.UnmatchedAccount {
		p.Purchase, p.Link = home.Purchase, ""
		return home.Account, p, nil
	}
	uncredited, err := unseen(ctx, l, named, account.RequireNewPayment{Payment: p.Payment, Credited: true})
	if uncredited || err != nil {
		return home.Account, p, err
	}
	return named, p, nil
}

func unseen(ctx context.Context, l Ledger, name string, do account.RequireNewPayment) (bool, error) {
	_, err := l.Execute(ctx, byEngine(name, do))
	if domain.IsCode(err, domain.CodeDuplicateID) {
		return false, nil
	}
	return err == nil, err
}

// factHome is the account in which a fact about a payment is recorded, of which home
// is PaymentHome. What was credited to another account, because finance sent the
// payment there, is taken back there; if it wasn't credited yet, people look at it.
func factHome(ctx context.Context, l Ledger, home string, fact account.Action) (string, error) {
	reversal, ok := fact.(account.ReversePurchase)
	if !ok || reversal.Payment == "" {
		return home, nil
	}
	_, err := l.Execute(ctx, byEngine(home, account.RequireUnassigned{Payment: reversal.Payment}))
	refusal, refused := domain.AsError(err)
	if !refused || refusal.Code != domain.CodeWrongStatus {
		return home, err
	}
	for _, f := range refusal.Fields {
		if f.Name != "account" {
			continue
		}
		uncredited, err := unseen(ctx, l, f.Value, account.RequireNewPayment{Payment: reversal.Payment, Credited: true})
		if !uncredited && err == nil {
			return f.Value, nil
		}
		return home, err
	}
	return home, nil
}

// comparePayment holds what the provider says of a payment to what was recorded of
// it, in the account home. The first amount that was recorded stays; people have
// to look, so the log says so, and differs. It changes nothing. recorded is that amount,
// or what is told where nothing else was.
func comparePayment(ctx context.Context, l Ledger, logger *slog.Logger, home string, p account.ProviderPayment) (recorded domain.Amount, differs bool, err error) {
	actions := p.Actions()
	if len(actions) == 0 || p.Payment == "" {
		return p.Amount, false, nil
	}
	if _, arrived := actions[0].(account.RecordPayment); !arrived {
		return p.Amount, false, nil
	}
	_, err = l.Execute(ctx, byEngine(home, account.ComparePayment{Payment: p.Payment, Amount: p.Amount}))
	refusal, refused := domain.AsError(err)
	if !refused || refusal.Code != domain.CodeAmountInvalid {
		return p.Amount, false, err
	}
	for _, f := range refusal.Fields {
		if f.Name == account.RecordedField {
			recorded, _ = domain.ReadAmount(f.Value) // it may be above what callers may send
		}
	}
	logger.Warn("the provider tells of a recorded payment with another amount; it counts with the first, and finance has to look",
		"payment", p.Payment, "account", home, "purchase", p.Purchase, "status", string(p.Status),
		"told", p.Amount.String(), "detail", refusal.Detail)
	return recorded, true, nil
}

// each visits all purchases in a status, page by page.
func (c *cashier) each(ctx context.Context, status account.PurchaseStatus, since time.Time, visit func(OpenPurchase) error) error {
	after := ""
	for {
		page, next, err := c.opts.Purchases.PurchasesIn(ctx, status, since, after)
		if err != nil {
			return err
		}
		for _, p := range page {
			if err := visit(p); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		after = next
	}
}

// execute sends a command and waits until the read model has seen its events.
func (c *cashier) execute(ctx context.Context, name string, do account.Action) error {
	result, err := c.opts.Ledger.Execute(ctx, byEngine(name, do))
	if err != nil {
		return fmt.Errorf("%T: %w", do, err)
	}
	return c.opts.Purchases.WaitThrough(ctx, result.Position)
}
