package httpapi

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"

	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/domain/journal"
	"iocredits/eventstore"
	"iocredits/httpapi/api"
	"iocredits/projections"
	"iocredits/projections/audit"
)

// GetTrialBalance is GET /v1/audit/trial-balance.
func (h handlers) GetTrialBalance(c echo.Context) error {
	k := callOf(c)
	if err := h.waitFor(k.ctx, h.opts.Ledger.AckedAny()); err != nil {
		return err
	}
	books, err := h.opts.Views.TrialBalance(k.ctx)
	if err != nil {
		return err
	}
	d := newDocument()
	d.open()
	d.number("position", int64(books.Position))
	d.array("accounts")
	var debits, credits journal.Sum
	for line, sum := range books.Totals {
		debit, credit := sum, journal.Sum{}
		if sum.Negative() {
			debit, credit = journal.Sum{}, sum.Minus()
		}
		debits, credits = debits.Plus(debit), credits.Plus(credit)
		d.open()
		d.text("account", journal.Account(line).String())
		d.text("debit", debit.String())
		d.text("credit", credit.String())
		d.close()
	}
	d.end()
	d.text("debit", debits.String())
	d.text("credit", credits.String())
	d.text("customers", books.Totals.Balance().String())
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}

// ListJournal is GET /v1/audit/journal: derived from the log as it is read.
func (h handlers) ListJournal(c echo.Context, params api.ListJournalParams) error {
	k := callOf(c)
	from, err := journalStart(params)
	if err != nil {
		return err
	}
	head, err := h.opts.Store.Head(k.ctx)
	if err != nil {
		return err
	}
	begin, err := h.readableFrom(k.ctx, from)
	if err != nil {
		return err
	}
	limit, d := limitOf(params.Limit), newDocument()
	d.open()
	d.array("items")
	count := 0
	err = audit.EachLine(k.ctx, h.source(), begin, head, func(l audit.Line) error {
		if l.Position < from {
			return nil
		}
		if count == limit {
			return errFull
		}
		count++
		from = l.Position + 1
		d.journalEntry(l)
		return nil
	})
	more := errors.Is(err, errFull)
	if err != nil && !more {
		return err
	}
	d.end()
	if more {
		d.text("next_cursor", journalCursor(from))
	} else {
		d.null("next_cursor")
	}
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}

// readableFrom is the position of an account's event, at or before the one that a client
// names, or BeforeFirst: a cluster's log can be read from no other.
func (s *Server) readableFrom(ctx context.Context, at eventstore.Position) (eventstore.Position, error) {
	var before uint64
	found := false
	err := s.opts.Views.InTree(ctx, func(t projections.Tree) (err error) {
		before, found, err = t.LeafIndex(at)
		return err
	})
	switch {
	case err != nil || before == 0 && !found:
		return eventstore.BeforeFirst, err
	case found:
		return at, nil
	}
	last, err := s.opts.Views.Leaves(ctx, before-1, before)
	if err != nil || len(last) == 0 {
		return eventstore.BeforeFirst, err
	}
	return last[0].Position, nil
}

// errFull ends a page.
var errFull = errors.New("the page is full")

func (d *document) journalEntry(l audit.Line) {
	d.open()
	d.number("position", int64(l.Position))
	d.text("account", l.Account)
	d.number("revision", l.Revision)
	d.text("transaction_id", l.ID.String())
	d.text("type", l.Type)
	d.time("recorded_at", l.Meta.RecordedAt)
	d.time("effective_at", l.Entry.EffectiveAt)
	d.array("postings")
	for _, p := range l.Postings {
		d.open()
		d.text("account", p.Account.String())
		d.money("amount", p.Amount)
		d.close()
	}
	d.end()
	d.text("hash", l.Hash.String())
	d.close()
}

// A cursor of the journal is a position of the log.
func journalCursor(next eventstore.Position) string {
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64([]byte("j"), uint64(next)))
}

func journalStart(params api.ListJournalParams) (eventstore.Position, error) {
	if params.Cursor != nil {
		b, err := base64.RawURLEncoding.Strict().DecodeString(*params.Cursor)
		if err != nil || len(b) != 9 || b[0] != 'j' {
			return 0, notACursor(*params.Cursor)
		}
		return eventstore.Position(binary.BigEndian.Uint64(b[1:])), nil
	}
	return eventstore.Position(valueOf(params.From)), nil
}

func (s *Server) source() audit.Source { return audit.Source{Store: s.opts.Store, Codec: s.opts.Codec} }

// VerifyAccount is GET /v1/audit/verify/{account}.
func (h handlers) VerifyAccount(c echo.Context, name api.Account) error {
	k := callOf(c)
	// As for the trial balance: rows that aren't there yet would pass for good ones.
	if err := h.waitFor(k.ctx, h.opts.Ledger.Acked(name)); err != nil {
		return err
	}
	summary, findings, err := h.verify(k.ctx, name)
	if err != nil {
		return err
	}
	d := newDocument()
	d.open()
	d.text("account", name)
	d.number("events", int64(summary.Events))
	d.number("position", int64(summary.Position))
	d.number("rows", int64(summary.Rows))
	d.array("findings")
	for _, f := range findings {
		d.open()
		d.text("check", string(f.Check))
		d.text("what", f.What)
		d.number("revision", f.Revision)
		d.text("expected", f.Expected)
		d.text("found", f.Found)
		d.close()
	}
	d.end()
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}

// maxFindings bounds an answer; who finds that many runs `iocredits verify`.
const maxFindings = 1000

// verify takes one account at a time: it builds the account's read models in memory, and
// several at once could take all of it.
func (s *Server) verify(ctx context.Context, name string) (summary audit.Summary, found []audit.Finding, err error) {
	if !s.verifying.TryLock() {
		return summary, nil, domain.Refuse(domain.CodeOverloaded, "an account is being verified, and one is at a time; try again, or run `iocredits diff %s`", name)
	}
	defer s.verifying.Unlock()
	source := s.source()
	if source.Views, err = s.opts.Views.Image(); err != nil {
		return summary, nil, err
	}
	defer func() { err = errors.Join(err, source.Views.Close()) }()
	summary, err = audit.Diff(ctx, source, name, audit.Options{
		Logger: s.opts.Logger, MaxEvents: s.opts.MaxVerifiedEvents,
		Report: func(f audit.Finding) {
			if len(found) < maxFindings {
				found = append(found, f)
			}
		},
	})
	return summary, found, err
}

// GetCheckpoint is GET /v1/audit/checkpoint.
func (h handlers) GetCheckpoint(c echo.Context) error {
	k := callOf(c)
	if err := h.mustSign(); err != nil {
		return err
	}
	signed, err := h.opts.Audit.sign(k.ctx, h.opts.Store)
	if err != nil {
		return err
	}
	if k.wants("text/plain") {
		k.sendText(statusOK, textType, []byte(signed.Checkpoint))
		return nil
	}
	d := newDocument()
	d.open()
	d.text("checkpoint", signed.Checkpoint)
	d.number("size", int64(signed.Size))
	d.text("root", signed.Root.String())
	d.number("position", int64(signed.Position))
	d.time("signed_at", signed.At)
	d.text("public_key", h.opts.Audit.PublicKey)
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}

// mustSign refuses where nothing is signed.
func (s *Server) mustSign() error {
	if s.opts.Audit == nil {
		return notSetUp("signer", "this engine has no signer: serve --signer FILE")
	}
	return nil
}
