package account

import (
	"strconv"

	"iocredits/domain"
)

// PurchaseLinkRequested is written before the provider is asked for a payment
// link. The provider refuses a key that it has seen, so after a crash nobody can
// learn whether the attempt made a link: the next attempt has a number, and so a
// key, of its own.
type PurchaseLinkRequested struct {
	plain
	Purchase string `json:"purchase"`
	Attempt  int    `json:"attempt"`
}

// EventName is the stored type.
func (*PurchaseLinkRequested) EventName() string { return "purchase-link-requested" }

func (e *PurchaseLinkRequested) object() (ObjectKind, string) { return ObjectPurchase, e.Purchase }

func (e *PurchaseLinkRequested) evolve(s *State) { fold(&s.OpenPurchases, e.Purchase, e) }

// PurchaseLinkMade is where the customer can pay. A payment on any link of a
// purchase counts for it.
type PurchaseLinkMade struct {
	plain
	Purchase string `json:"purchase"`
	Attempt  int    `json:"attempt"`
	Link     string `json:"link"`
	URL      string `json:"url"`
}

// EventName is the stored type.
func (*PurchaseLinkMade) EventName() string { return "purchase-link-made" }

func (e *PurchaseLinkMade) object() (ObjectKind, string) { return ObjectPurchase, e.Purchase }

func (e *PurchaseLinkMade) evolve(s *State) { fold(&s.OpenPurchases, e.Purchase, e) }

// PurchaseLinkFailed is an answer of the provider: this attempt made no link.
type PurchaseLinkFailed struct {
	plain
	Purchase string `json:"purchase"`
	Attempt  int    `json:"attempt"`
	// Why is the provider's code.
	Why string `json:"why"`
}

// EventName is the stored type.
func (*PurchaseLinkFailed) EventName() string { return "purchase-link-failed" }

func (e *PurchaseLinkFailed) object() (ObjectKind, string) { return ObjectPurchase, e.Purchase }

func (e *PurchaseLinkFailed) evolve(s *State) { fold(&s.OpenPurchases, e.Purchase, e) }

// PurchaseLink is a payment link at the provider.
type PurchaseLink struct {
	Attempt int    `json:"attempt"`
	Link    string `json:"link"`
	URL     string `json:"url"`
}

// RequestLink announces an attempt to make a payment link. Its number is one
// more than the last: of two engines that try at once, one is refused.
//
// Checks, in order: unknown-purchase, or wrong-status if it is no longer to be
// paid; limit-exceeded (attempts); conflict (another number is next).
type RequestLink struct {
	Purchase string
	Attempt  int
}

// NameFor asks about the id unless the purchase is open.
func (c RequestLink) NameFor(s *State) string {
	return nameIfNotIn(s.OpenPurchases, c.Purchase, purchaseName)
}

func (c RequestLink) decide(d *decision) error {
	p, err := d.openPurchase(c.Purchase)
	if err != nil {
		return err
	}
	if p.Attempts >= maxLinkAttempts {
		return domain.Refuse(domain.CodeLimitExceeded, "purchase %q has had %d attempts to make a link", c.Purchase, p.Attempts).
			With("limit", strconv.Itoa(maxLinkAttempts))
	}
	if c.Attempt != p.Attempts+1 {
		return domain.Refuse(domain.CodeConflict, "the next attempt for purchase %q is %d, not %d", c.Purchase, p.Attempts+1, c.Attempt).
			With("attempt", strconv.Itoa(p.Attempts+1))
	}
	// Accepted: nothing below refuses.
	d.emit(&PurchaseLinkRequested{Purchase: c.Purchase, Attempt: c.Attempt})
	return nil
}

// RecordLink records the link that an attempt made. It is a fact; for a purchase
// that has ended, or a second time, it changes nothing and has no event.
type RecordLink struct {
	Purchase  string
	Attempt   int
	Link, URL string
}

func (c RecordLink) decide(d *decision) error {
	p, open := d.now().OpenPurchases[c.Purchase]
	if !open {
		return nil
	}
	for _, link := range p.Links {
		if link.Link == c.Link {
			return nil
		}
	}
	d.emit(&PurchaseLinkMade{Purchase: c.Purchase, Attempt: c.Attempt, Link: c.Link, URL: c.URL})
	return nil
}

// RecordLinkFailure records that an attempt made no link. It is a fact, and has
// no event for a purchase that has ended, or a second time.
type RecordLinkFailure struct {
	Purchase string
	Attempt  int
	Why      string
}

func (c RecordLinkFailure) decide(d *decision) error {
	p, open := d.now().OpenPurchases[c.Purchase]
	if open && c.Attempt > p.FailedAttempt {
		d.emit(&PurchaseLinkFailed{Purchase: c.Purchase, Attempt: c.Attempt, Why: c.Why})
	}
	return nil
}
