package httpapi

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/keyring"
	"iocredits/eventstore/ledger"
	"iocredits/httpapi/api"
)

// ForgetAccount is POST …/forget. Asked for again it answers as it did, and adds
// nothing.
func (h handlers) ForgetAccount(c echo.Context, name api.Account, _ api.ForgetAccountParams) error {
	k := callOf(c)
	var request api.ForgetRequest
	if err := k.decode(&request); err != nil {
		return err
	}
	f := Forgetter{Store: h.opts.Store, Ledger: h.opts.Ledger, Sealer: h.opts.Sealer}
	by := k.request(name, "", order{})
	var err error
	if by.OnlyAt, err = k.onlyAt(); err != nil {
		return err
	}
	done, err := f.Forget(k.ctx, by, Wish{Reason: request.Reason, Force: valueOf(request.Force)})
	if err != nil {
		return err
	}
	if done.Before {
		if done.Result, err = k.forgottenBefore(done.Result); err != nil {
			return err
		}
	}
	return k.answer(statusOK, done.Result, nil)
}

// forgottenBefore gives the result that the first answer had, with the events of deadlines
// that came due with it.
func (k *call) forgottenBefore(result ledger.Result) (ledger.Result, error) {
	stream, first, count := eventstore.AccountStream(k.account), result.Revision, 1
	for range 2 { // the last event says how many there are
		result.Facts = result.Facts[:0]
		for r, err := range k.server.opts.Store.ReadStream(k.ctx, stream, first, eventstore.Forwards, count) {
			if err != nil {
				return result, err
			}
			fact, err := k.server.opts.Codec.Open(r)
			if err != nil {
				return result, err
			}
			result.Facts, result.Position = append(result.Facts, fact), fact.Position
		}
		if len(result.Facts) < count {
			return result, &eventstore.CorruptError{Stream: stream, Revision: first, Reason: "the log ends before what the ledger has"}
		}
		command := result.Facts[0].Meta.Command
		first, count = result.Facts[0].Revision-int64(command.Index), command.Count
	}
	return result, nil
}

// Forgetter destroys the key under which an account's free text is sealed.
type Forgetter struct {
	Store  eventstore.Store
	Ledger *ledger.Ledger
	Sealer *keyring.Sealer
}

// Wish is what somebody wants forgotten of an account.
type Wish struct {
	// Reason stays, in the clear.
	Reason string
	// Force: even if somebody still has to read the text in order to decide.
	Force bool
	// Look: find out whether it would be refused, and do nothing.
	Look bool
}

// Forgotten is what became of a wish to forget.
type Forgotten struct {
	// Result has no facts if Before is true: only the revision of the earlier event, and
	// the account as it is now.
	ledger.Result
	// Before: it was done before, and there was nothing new to erase.
	Before bool
	// Earlier is the revision of the event that said so of the key before this
	// one; 0: there is none.
	Earlier int64
}

// Forget destroys the key, then leaves the event that says so, once for each key
// that the account had: the event is never ahead of the truth. If it is cut short
// between the two, doing it again is right. by says whose account and who asks.
// OnlyAt is checked before the key is destroyed. From then on neither a caller who leaves
// nor the stop of the engine ends it: what can't be undone isn't left without its event.
// Refusals: field-invalid (reason), unknown-account, precondition-failed, wrong-status
// (what is open and somebody has to read).
func (f Forgetter) Forget(ctx context.Context, by ledger.Request, wish Wish) (done Forgotten, err error) {
	if err := domain.CheckID("account", by.Account); err != nil {
		return done, err
	}
	if err := account.CheckForgetReason(wish.Reason); err != nil {
		return done, err
	}
	if err := checkText("reason", wish.Reason); err != nil {
		return done, err
	}
	earlier := int64(0)
	var needed error
	view, err := f.Ledger.Look(ctx, by.Account, func(s *account.State, _ []eventstore.Fact) { earlier, needed = s.Forgotten, neededBy(s) })
	if err != nil { // it may still be looking
		return done, err
	}
	done.Earlier = earlier
	if view.Revision == eventstore.NoStream {
		return done, domain.Refuse(domain.CodeUnknownAccount, "nothing has happened to account %s yet", by.Account).With("account", by.Account)
	}
	if done.Before, err = f.nothingSince(ctx, by.Account, done.Earlier); err != nil {
		return done, err
	}
	if done.Before {
		done.Result = ledger.Result{Revision: done.Earlier, Balance: view.Balance, Head: view.Mark, Replayed: true}
		return done, nil
	}
	if only := by.OnlyAt; only != nil && *only != view.Revision {
		return done, domain.Refuse(domain.CodePreconditionFailed, "the account is at revision %d, not at %d", view.Revision, *only).
			With("revision", strconv.FormatInt(view.Revision, 10))
	}
	if needed != nil && !wish.Force {
		return done, needed
	}
	if wish.Look {
		return done, nil
	}
	by.OnlyAt = nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), forgetWithin)
	defer cancel()
	if err := f.Sealer.Destroy(ctx, by.Account); err != nil {
		return done, err
	}
	by.Do = account.RecordForgotten{Reason: wish.Reason}
	done.Result, err = f.Ledger.Execute(ctx, by)
	return done, err
}

// neededBy refuses while finance still has to pay to an address that would be erased, or
// somebody to decide by a text that would be; nil: nobody needs any of it.
func neededBy(s *account.State) error {
	var open []string
	var fields []domain.Field
	add := func(kind string, ids []string) {
		if len(ids) > 0 {
			open, fields = append(open, kind+" "+someOf(ids)), append(fields, domain.Field{Name: kind, Value: someOf(ids)})
		}
	}
	add("withdrawals", slices.Sorted(maps.Keys(s.Withdrawals)))
	add("disputes", slices.Sorted(maps.Keys(s.Disputes)))
	add("adjustments", slices.Sorted(maps.Keys(s.Adjustments)))
	add("credit_requests", slices.Sorted(maps.Keys(s.CreditRequests)))
	if len(open) == 0 {
		return nil
	}
	refusal := domain.Refuse(domain.CodeWrongStatus,
		"open: %s. Who decides them has to read what would be erased, such as the address to pay to: close them first, or erase with force", strings.Join(open, ", "))
	refusal.Fields = fields
	return refusal
}

// someOf names ten of the ids at most: an account may have a thousand.
func someOf(ids []string) string {
	const named = 10
	if more := len(ids) - named; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(ids[:named], ", "), more)
	}
	return strings.Join(ids, ", ")
}

// forgetWithin bounds what goes on without its caller.
const forgetWithin = 30 * time.Second

// nothingSince tells that an account was forgotten at a revision, that it has no live key,
// and that nothing newer rests on one. Without that last check, a crash between a key's end
// and its event would leave the event out for ever.
func (f Forgetter) nothingSince(ctx context.Context, name string, revision int64) (bool, error) {
	if revision == 0 {
		return false, nil
	}
	status, err := f.Sealer.Status(ctx, name)
	if err != nil || status == keyring.Live {
		return false, err
	}
	for r, err := range f.Store.ReadStream(ctx, eventstore.AccountStream(name), revision+1, eventstore.Forwards, math.MaxInt) {
		if err != nil {
			return false, err
		}
		if rests, err := keyring.RestsOnKey(&r); rests || err != nil {
			return false, err
		}
	}
	return true, nil
}
