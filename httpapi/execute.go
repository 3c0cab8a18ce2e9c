package httpapi

import (
	"context"
	"errors"

	"github.com/go-json-experiment/json"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/keyring"
	"iocredits/eventstore/ledger"
	"iocredits/httpapi/api"
)

// order is what a request asks to be done.
type order struct {
	do account.Action
	// body is the request in canonical form, with figures and times parsed and
	// written again: it binds the Idempotency-Key, so that only what the request
	// means counts and not how it is spelt.
	body any
	// inspect sees the account at the answer, for the object in it. It MUST copy
	// what it keeps.
	inspect func(*account.State, []eventstore.Fact)
}

// execute sends an order to the ledger as the key's actor.
func (k *call) execute(o order) (ledger.Result, error) {
	onlyAt, err := k.onlyAt()
	if err != nil {
		return ledger.Result{}, err
	}
	request := k.request(k.account, k.commandID, o)
	request.OnlyAt = onlyAt
	if k.commandID != "" {
		method, path := k.Request().Method, k.Request().URL.Path
		request.Fingerprint, err = k.fingerprint(k.ctx, k.account, method, path, o)
		if body := withDefault(o); err == nil && body != nil {
			request.Earlier, err = k.fingerprintOf(k.ctx, k.account, method, path, body)
		}
		if err != nil {
			return ledger.Result{}, err
		}
	}
	result, err := k.server.opts.Ledger.Execute(k.ctx, request)
	if err != nil {
		err = k.withStatus(err)
	}
	return result, err
}

func (k *call) request(account, commandID string, o order) ledger.Request {
	return ledger.Request{
		Account: account, Do: o.do, Actor: k.key.Actor, Role: string(k.key.Role), Key: k.key.ID,
		RequestID: k.requestID, CommandID: commandID, Inspect: o.inspect,
	}
}

// canonicalBody is a request, of those that come by the thousand, that writes its canonical
// form faster than reflection does.
type canonicalBody interface{ appendCanonical([]byte) []byte }

// fingerprint tells an order from every other that could come under its key.
func (k *call) fingerprint(ctx context.Context, account, method, path string, o order) (string, error) {
	sealer := k.server.opts.Sealer
	if fast, ok := o.body.(canonicalBody); ok {
		d := newDocument()
		defer d.free()
		d.b = fast.appendCanonical(d.b)
		return sealer.Fingerprint(ctx, account, method, path, k.key.Actor, d.b)
	}
	return k.fingerprintOf(ctx, account, method, path, withoutDefaults(o.body))
}

func (k *call) fingerprintOf(ctx context.Context, account, method, path string, body any) (string, error) {
	text, err := json.Marshal(body, json.Deterministic(true))
	if err != nil {
		return "", err
	}
	return k.server.opts.Sealer.Fingerprint(ctx, account, method, path, k.key.Actor, text)
}

// withoutDefaults leaves out a default that is written out: both mean the same, and
// most clients leave it out.
func withoutDefaults(body any) any {
	switch request := body.(type) {
	case *api.ApprovalRequest:
		plain := *request
		plain.Promotional = nonZero(request.Promotional)
		return plain
	case api.ResolveRequest:
		request.Returned = nonZero(request.Returned)
		return request
	}
	return body
}

// withDefault is a body with the default written out that withoutDefaults, or paidOn, leaves
// out; nil if it has none. Versions before 28 November 2026 took the fingerprint of that, if
// the client wrote it: what they recorded is still to be answered as before.
func withDefault(o order) any {
	switch request := o.body.(type) {
	case *api.ApprovalRequest:
		if !valueOf(request.Promotional) {
			written := *request
			written.Promotional = new(bool)
			return written
		}
	case api.ResolveRequest:
		if !valueOf(request.Returned) {
			request.Returned = new(bool)
			return request
		}
	case *api.PayoutRequest:
		if do, ok := o.do.(account.RecordPayout); ok && request.Network == nil {
			network, written := api.Network(do.Network), *request
			written.Network = &network
			return written
		}
	}
	return nil
}

// nonZero gives nil for a pointer to a zero value.
func nonZero[T comparable](p *T) *T {
	if p != nil && *p == *new(T) {
		return nil
	}
	return p
}

// seal encrypts a free text of the account before it enters a command.
func (k *call) seal(field, account string, text *string) (domain.Sealed, error) {
	if text == nil {
		return "", nil
	}
	if err := checkText(field, *text); err != nil {
		return "", err
	}
	return k.server.opts.Sealer.Seal(k.ctx, account, *text)
}

// unreadable stands for a text that this keyring can't open.
const unreadable = "[unreadable]"

// openText opens a free text for an answer. If it can't be opened, because the keyring is an
// older one, unreadable stands in its place: the figures beside it are right, and to hide
// them would help nobody.
func (s *Server) openText(ctx context.Context, account string, sealed domain.Sealed) (string, error) {
	text, err := s.opts.Sealer.Open(ctx, account, sealed)
	if errors.Is(err, keyring.ErrDamaged) || errors.Is(err, keyring.ErrKeyMissing) {
		s.opts.Logger.Error("a text can't be opened", "account", account, "error", err)
		return unreadable, nil
	}
	return text, err
}
