package audit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
)

// ReplayOptions select what is replayed. The zero value of a time is: all.
type ReplayOptions struct {
	// At leaves out what is effective after it, KnownAt what was recorded after it.
	At, KnownAt time.Time
	// Revision is the last one to replay; nil: all.
	Revision *int64
}

// Step is an event and the account after it.
type Step struct {
	eventstore.Fact
	Hash        eventstore.Hash
	EffectiveAt time.Time
	// Amount is the change of the balance, Held that of what is held.
	Amount, Held domain.Amount
	After        account.Balance
}

// Replay folds an account's stream afresh and yields each event that counts, in
// order. Errors: CodeUnknownAccount; a *eventstore.CorruptError where the chain
// breaks; the visitor's.
func Replay(ctx context.Context, source Source, name string, opts ReplayOptions, visit func(Step) error) error {
	last := int64(math.MaxInt64)
	if opts.Revision != nil {
		last = *opts.Revision
	}
	figures, hash, next := account.New().Figures, eventstore.Hash{}, int64(0)
	for r, err := range source.Store.ReadStream(ctx, eventstore.AccountStream(name), 0, eventstore.Forwards, math.MaxInt) {
		if err != nil {
			return err
		}
		f, err := source.Codec.Open(r)
		if err != nil {
			return err
		}
		if f.Revision != next || f.Meta.Previous != hash {
			return &eventstore.CorruptError{Position: r.Position, Stream: r.Stream, Revision: r.Revision, Reason: "doesn't follow the event before it"}
		}
		next++
		hash = eventstore.ChainHash(r.Stream, r.Revision, r.Event, hash)
		if f.Revision > last || !opts.KnownAt.IsZero() && f.Meta.RecordedAt.After(opts.KnownAt) {
			return nil
		}
		step := Step{Fact: f, Hash: hash, EffectiveAt: f.Meta.RecordedAt}
		if entry, shows := account.EntryOf(f.Body); shows {
			step.Amount, step.Held = entry.Amount, entry.Held
			if !entry.EffectiveAt.IsZero() {
				step.EffectiveAt = entry.EffectiveAt
			}
		}
		if !opts.At.IsZero() && step.EffectiveAt.After(opts.At) {
			continue
		}
		figures.Apply(f.Body, f.Revision)
		step.After = figures.Balance()
		if err := visit(step); err != nil {
			return err
		}
	}
	if next == 0 {
		return domain.Refuse(domain.CodeUnknownAccount, "the log has no account %q", name).With("account", name)
	}
	return nil
}

// Reveal opens the sealed text in an event's data, for a person to read. What
// can't be opened stays as it is.
func Reveal(data []byte, open func(domain.Sealed) (string, error)) []byte {
	var out bytes.Buffer
	in, to := jsontext.NewDecoder(bytes.NewReader(data)), jsontext.NewEncoder(&out)
	for {
		token, err := in.ReadToken()
		if errors.Is(err, io.EOF) {
			return bytes.TrimSpace(out.Bytes())
		}
		if err != nil {
			return data
		}
		if token.Kind() == '"' && strings.HasPrefix(token.String(), "s1.") {
			if text, err := open(domain.Sealed(token.String())); err == nil {
				token = jsontext.String(text)
			}
		}
		if err := to.WriteToken(token); err != nil {
			return data
		}
	}
}
