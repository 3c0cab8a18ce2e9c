package httpapi

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/httpapi/api"
)

// ListEvents is GET …/events: the log itself, not a read model. With balances it
// is an independent replay: they are added up from the events alone.
func (h handlers) ListEvents(c echo.Context, name api.Account, params api.ListEventsParams) error {
	k := callOf(c)
	w := streamWalk{server: h.Server, account: name, stream: eventstore.AccountStream(name), balances: params.With != nil}
	if err := w.begin(k.ctx, params); err != nil {
		return err
	}
	d := newDocument()
	d.open()
	d.array("items")
	more, err := w.page(k.ctx, d, limitOf(params.Limit))
	if err != nil {
		return err
	}
	d.end()
	if more {
		d.text("next_cursor", w.cursor())
	} else {
		d.null("next_cursor")
	}
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}

// streamWalk goes through an account's stream forwards, and adds up its balance if
// that is asked for.
type streamWalk struct {
	server   *Server
	account  string
	stream   string
	balances bool
	// next is the revision that comes next, balance the sum of all before it.
	next    int64
	balance domain.Amount
}

// begin finds the place of the page. Refusal: unknown-account.
func (w *streamWalk) begin(ctx context.Context, params api.ListEventsParams) error {
	exists := false
	for _, err := range w.server.opts.Store.ReadStream(ctx, w.stream, 0, eventstore.Forwards, 1) {
		if err != nil {
			return err
		}
		exists = true
	}
	if !exists {
		return domain.Refuse(domain.CodeUnknownAccount, "nothing has happened to account %s yet", w.account).With("account", w.account)
	}
	if params.Cursor != nil {
		return w.resume(ctx, *params.Cursor)
	}
	w.next = valueOf(params.From)
	if !w.balances {
		return nil
	}
	return w.foldTo(ctx, w.next)
}

// foldTo adds up all events before a revision.
func (w *streamWalk) foldTo(ctx context.Context, revision int64) error {
	for e, err := range w.server.opts.Store.ReadStream(ctx, w.stream, 0, eventstore.Forwards, int(revision)) {
		if err != nil {
			return err
		}
		if err := w.fold(e); err != nil {
			return err
		}
	}
	return nil
}

// fold adds one event's effect.
func (w *streamWalk) fold(e eventstore.Recorded) error {
	f, err := w.server.opts.Codec.Open(e)
	if err != nil {
		return err
	}
	var change account.Figures
	change.Apply(f.Body, f.Revision)
	w.balance += change.Available() + change.Held()
	return nil
}

// page writes up to limit events; true if there are more.
func (w *streamWalk) page(ctx context.Context, d *document, limit int) (more bool, err error) {
	count := 0
	for e, err := range w.server.opts.Store.ReadStream(ctx, w.stream, w.next, eventstore.Forwards, limit+1) {
		if err != nil {
			return false, err
		}
		if count == limit {
			return true, nil
		}
		count++
		meta, err := eventstore.DecodeMetadata(e.Metadata)
		if err != nil {
			return false, err
		}
		if w.balances {
			if err := w.fold(e); err != nil {
				return false, err
			}
		}
		w.write(d, e, meta)
		w.next = e.Revision + 1
	}
	return false, nil
}

func (w *streamWalk) write(d *document, e eventstore.Recorded, meta eventstore.Metadata) {
	d.open()
	d.number("revision", e.Revision)
	d.number("position", int64(e.Position))
	d.text("id", e.ID.String())
	d.text("type", e.Type)
	d.time("recorded_at", meta.RecordedAt)
	d.text("actor", meta.Actor)
	d.raw("data", e.Data)
	d.raw("metadata", e.Metadata)
	d.text("hash", eventstore.ChainHash(e.Stream, e.Revision, e.Event, meta.Previous).String())
	d.text("previous_hash", meta.Previous.String())
	if w.balances {
		d.money("balance_after", w.balance)
	}
	d.close()
}

// A cursor carries the balance along, so that a page costs what is on it:
//
//	base64url( revision:8 balance:8 filter:8 seal:16 )
//
// Whoever holds one could put another balance in, and have the engine show it as
// its own. So the seal is an HMAC under a key that this process made. A cursor of
// another engine's, or of before a restart, has a seal that tells nothing here: its
// balance is added up afresh, once, and has to be the same.
const (
	eventCursorBytes = eventCursorSealed + eventCursorSeal
	// eventCursorSealed is what the seal is over.
	eventCursorSealed = 24
	eventCursorSeal   = 16
)

func (w *streamWalk) filter() [8]byte {
	text := "events|" + w.stream
	if w.balances {
		text += "|balance"
	}
	digest := sha256.Sum256([]byte(text))
	return [8]byte(digest[:])
}

func (w *streamWalk) cursor() string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, eventCursorBytes), uint64(w.next))
	b = binary.BigEndian.AppendUint64(b, uint64(w.balance))
	filter := w.filter()
	b = append(b, filter[:]...)
	return base64.RawURLEncoding.EncodeToString(append(b, w.server.sealCursor(b)...))
}

func (s *Server) sealCursor(b []byte) []byte {
	mac := hmac.New(sha256.New, s.cursorKey[:])
	_, _ = mac.Write(b)
	return mac.Sum(nil)[:eventCursorSeal]
}

// newCursorKey makes a process's key.
func newCursorKey() (key [sha256.Size]byte) {
	_, _ = rand.Read(key[:]) // never fails: it ends the process instead
	return key
}

// resume goes on where a cursor says. Refusal: field-invalid.
func (w *streamWalk) resume(ctx context.Context, text string) error {
	refusal := notACursor(text)
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != eventCursorBytes || [8]byte(b[16:]) != w.filter() {
		return refusal
	}
	w.next = int64(binary.BigEndian.Uint64(b))
	balance := domain.Amount(binary.BigEndian.Uint64(b[8:]))
	if w.next < 0 {
		return refusal
	}
	sealed := hmac.Equal(b[eventCursorSealed:], w.server.sealCursor(b[:eventCursorSealed]))
	if !sealed && w.balances {
		if err := w.foldTo(ctx, w.next); err != nil {
			return err
		}
		sealed = w.balance == balance
	}
	if !sealed && (w.balances || balance != 0) {
		return refusal
	}
	w.balance = balance
	return nil
}
