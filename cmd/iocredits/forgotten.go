package main

import (
	"bytes"
	"context"
	"fmt"
	"math"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/keyring"
	"iocredits/eventstore/ledger"
	"iocredits/httpapi"
)

// forgotten is what became of a wish to forget.
type forgotten struct {
	// Revision is of the event that says that the key is destroyed.
	Revision int64 `json:"revision"`
	// Before: it was there before, and nothing was left to be done.
	Before bool `json:"before,omitempty"`
	// Earlier is of the event that said so of the account's key before this one.
	Earlier *int64 `json:"earlier,omitempty"`
}

func (f forgotten) String() string {
	switch {
	case f.Before:
		return fmt.Sprintf("the key was destroyed before; event %d says so, and nothing was added", f.Revision)
	case f.Earlier != nil:
		return fmt.Sprintf("key destroyed; event %d says so (event %d did of the key before: the account was used since, and got another)", f.Revision, *f.Earlier)
	}
	return fmt.Sprintf("key destroyed; event %d says so", f.Revision)
}

// forgetter destroys keys, of a running engine or of none.
type forgetter struct {
	log    *eventLog
	ledger *ledger.Ledger
	sealer *keyring.Sealer
}

// forget destroys the account's key and leaves the event, once for each key that
// the account had: whoever asks again is told which event says so.
func (f forgetter) forget(ctx context.Context, name, reason string) (done forgotten, err error) {
	if err := account.CheckForgetReason(reason); err != nil {
		return done, err
	}
	said, closed, err := f.said(ctx, name)
	if err != nil {
		return done, err
	}
	if said >= 0 && closed {
		return forgotten{Revision: said, Before: true}, nil
	}
	result, err := httpapi.Forget(ctx, f.ledger, f.sealer, operator(name), reason)
	done.Revision = result.Revision
	if said >= 0 {
		done.Earlier = &said
	}
	return done, err
}

// said finds the newest event that says that a key was destroyed; -1: there is
// none. closed: no key is live, and nothing newer rests on one. Without that second
// look, a crash between a key's end and its event would leave the event out for ever.
func (f forgetter) said(ctx context.Context, name string) (revision int64, closed bool, err error) {
	_, status, err := f.log.keys.Find(ctx, name)
	if err != nil {
		return -1, false, err
	}
	closed = status != keyring.Live
	for r, err := range f.log.store.ReadStream(ctx, eventstore.AccountStream(name), eventstore.End, eventstore.Backwards, math.MaxInt) {
		if err != nil {
			return -1, false, err
		}
		if r.Type == (&account.Forgotten{}).EventName() {
			return r.Revision, closed, nil
		}
		rests, err := restsOnKey(&r)
		if err != nil {
			return -1, false, err
		}
		closed = closed && !rests
	}
	return -1, false, nil
}

// restsOnKey says that an event has sealed text or the fingerprint of a request.
func restsOnKey(r *eventstore.Recorded) (bool, error) {
	meta, err := eventstore.DecodeMetadata(r.Metadata)
	return err == nil && (meta.Command.Fingerprint != "" || bytes.Contains(r.Data, []byte(sealedText))), err
}

// sealedText begins a sealed text in an event's JSON.
const sealedText = `"s1.`
