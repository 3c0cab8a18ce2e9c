package httpapi

import (
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
	"iocredits/httpapi/api"
)

// GetBalance is GET …/balance: now, at a time in the past, or as the write side has it.
func (h handlers) GetBalance(c echo.Context, name api.Account, params api.GetBalanceParams) error {
	k := callOf(c)
	if params.Consistency != nil {
		return k.strongBalance(name, params)
	}
	if params.AsOf != nil || params.KnownAt != nil {
		return k.pastBalance(name, params)
	}
	if err := k.await(name, params.MinPosition); err != nil {
		return err
	}
	b, err := h.opts.Views.Balance(k.ctx, name)
	if err != nil {
		return err
	}
	at := ledger.Mark{Revision: b.Revision, Position: b.Position, RecordedAt: b.RecordedAt}
	return k.sendBalance(name, params.IfNoneMatch, &b.Balance, at, k.lag)
}

// pastBalance answers about the past (money.md, Times in queries): known_at alone
// gives every figure as it was recorded by then; as_of gives the balance of what
// is effective by then, and was recorded by known_at.
func (k *call) pastBalance(name string, params api.GetBalanceParams) error {
	knownAt, err := timeOf("known_at", params.KnownAt)
	if err != nil {
		return err
	}
	asOf, err := timeOf("as_of", params.AsOf)
	if err != nil {
		return err
	}
	if err := k.await(name, params.MinPosition); err != nil {
		return err
	}
	views := k.server.opts.Views
	if params.AsOf == nil {
		b, err := views.BalanceKnownAt(k.ctx, name, knownAt)
		if err != nil {
			return err
		}
		at := ledger.Mark{Revision: b.Revision, Position: b.Position, RecordedAt: b.RecordedAt}
		return k.sendBalance(name, params.IfNoneMatch, &b.Balance, at, k.lag)
	}
	at, err := views.Balance(k.ctx, name)
	if err != nil {
		return err
	}
	balance, err := views.BalanceAsOf(k.ctx, name, asOf, knownAt)
	if err != nil {
		return err
	}
	d := newDocument()
	d.open()
	d.text("account", name)
	d.money("balance", balance)
	d.time("as_of", asOf)
	d.time("known_at", knownAt)
	d.freshness(at.Revision, at.Position, k.lag)
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}

// strongBalance asks the write side: everything acknowledged, by any engine, is
// in it.
func (k *call) strongBalance(name string, params api.GetBalanceParams) error {
	if params.AsOf != nil || params.KnownAt != nil {
		return domain.Refuse(domain.CodeFieldInvalid, "the write side knows no past: leave consistency out, or as_of and known_at").
			With("field", "consistency").With("value", string(valueOf(params.Consistency)))
	}
	if err := k.mustBeLogged(params.MinPosition); err != nil {
		return err
	}
	view, err := k.server.opts.Ledger.Read(k.ctx, name)
	if err != nil {
		return err
	}
	return k.sendBalance(name, params.IfNoneMatch, &view.Balance, view.Mark, 0)
}

// mustBeLogged refuses a position that the log hasn't reached: what the write side reads
// afterwards can't have it either.
func (k *call) mustBeLogged(minPosition *int64) error {
	least := eventstore.Position(valueOf(minPosition))
	if least <= k.server.opts.Views.Through() {
		return nil
	}
	head, err := k.server.opts.Store.Head(k.ctx)
	if err == nil && head < least {
		err = domain.Refuse(domain.CodeReadBehind, "the log is at position %d and not yet at %d", head, least).
			With("through", strconv.FormatUint(uint64(head), 10))
	}
	return err
}

func (k *call) sendBalance(name string, known *string, b *account.Balance, at ledger.Mark, lag int64) error {
	etag := etagOf(at.Revision)
	k.Response().Header()["Etag"] = k.values.of(etagPlace, etag)
	if known != nil && matches(*known, etag) {
		k.Response().WriteHeader(statusNotModified)
		return nil
	}
	d := newDocument()
	d.open()
	d.balance(name, b, at)
	d.number("lag", lag)
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}

// matches reads If-None-Match: a list of tags, weak or not, or *.
func matches(known, etag string) bool {
	for tag := range strings.SplitSeq(known, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}
