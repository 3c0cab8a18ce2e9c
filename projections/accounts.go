package projections

import (
	"context"
	"errors"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// AccountsQuery selects among all accounts.
type AccountsQuery struct {
	// Prefix of the name; empty: all.
	Prefix string
	// Keep, if set, selects among them, and Filter names what it keeps, so that a cursor
	// goes on with the same.
	Keep   func(*Balance) bool
	Filter string
	// Limit of a page; MUST be positive.
	Limit int
	// After is the cursor of the page before; empty: the beginning.
	After string
}

// NamedBalance is what an account has.
type NamedBalance struct {
	Account string
	Balance
}

// AccountsPage is part of a list of accounts.
type AccountsPage struct {
	Items []NamedBalance
	// Next is the cursor of the page after it; empty: this is the end.
	Next string
}

// Accounts lists all that ever had an event, by name, each as it is now. A page may be
// short and have a next one, as one of Waiting's may.
// Error: CodeFieldInvalid for a cursor that isn't of this list and filter.
func (v *Views) Accounts(ctx context.Context, q AccountsQuery) (page AccountsPage, err error) {
	hash := hashOf("accounts", q.Prefix, q.Filter)
	start := balanceKey(q.Prefix)
	lower := start
	if q.After != "" {
		after, err := afterKey(hash[:], nil, q.After)
		if err != nil {
			return page, err
		}
		name := string(after[len(hash):])
		if !strings.HasPrefix(name, q.Prefix) {
			return page, refuseCursor(q.After, "is none that this list gave out")
		}
		lower = balanceKey(name)
	}
	m, leave, err := v.read()
	if err != nil {
		return page, err
	}
	defer leave()
	it, err := m.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: lower, UpperBound: keyAfter(start)})
	if err != nil {
		return page, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	last := ""
	scanned := 0
	for ok := it.First(); ok; ok = it.Next() {
		if len(page.Items) == q.Limit || scanned == maxScan {
			page.Next = keyCursor(append(hash[:], last...))
			break
		}
		scanned++
		last = string(it.Key()[1:])
		record, err := m.g.balance(last) // the row under it may be older than what is shown
		if err != nil {
			return page, err
		}
		if b := record.balance(); q.Keep == nil || q.Keep(&b) {
			page.Items = append(page.Items, NamedBalance{last, b})
		}
	}
	return page, it.Error()
}
