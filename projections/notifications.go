package projections

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/go-json-experiment/json"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
)

// Notice is something that a customer was told.
type Notice struct {
	// ID is the same in every rebuild: "a" or "n" for the account's stream or the
	// one of notices, the event's revision, and the notice's place in the event.
	ID       string           `json:"-"`
	Topic    account.Topic    `json:"topic"`
	Priority account.Priority `json:"priority"`
	Message  string           `json:"message"`
	// Transaction is the event that it is about, Kind and Object what that is of; empty
	// where it is of none.
	Transaction domain.TransactionID `json:"transaction_id"`
	Kind        account.ObjectKind   `json:"kind,omitempty"`
	Object      string               `json:"object,omitempty"`
	CreatedAt   time.Time            `json:"created_at"`
	// SeenAt is zero until the customer has seen it.
	SeenAt time.Time `json:"seen_at,omitzero"`
}

// applyNotices writes what an event of an account tells its customer.
func applyNotices(w *writer, s *step) error {
	if s.Account == account.UnmatchedAccount {
		return nil // it has no customer
	}
	around := account.Around{LowBalanceAt: s.LowBalanceAt, BalanceBefore: s.BalanceBefore, BalanceAfter: s.BalanceAfter}
	var err error
	switch e := s.Body.(type) {
	case *account.CreditGranted:
		around.Asked, err = w.asked(s.Account, e.Request)
	case *account.PaymentResolved:
		around.Why, err = w.whyUnmatched(s.Account, e.Payment)
	case *account.PaymentReceived:
		around.Purchase, err = w.purchaseStatus(s.Account, e.Purchase)
	case *account.PaymentDropped:
		around.Purchase, err = w.purchaseStatus(s.Account, e.Purchase)
	case *account.DeploymentEnded:
		around.Usage, err = w.usage(s.Account, e.Deployment)
	case *account.WithdrawalApproved:
		around.Network, err = w.network(s.Account, e.Withdrawal)
	default:
		around.Before, err = w.partsBefore(s)
	}
	if err != nil {
		return err
	}
	for i, n := range account.NoticesOf(s.Body, around) {
		if err := w.addNotice(s.Account, fmt.Sprintf("a%d.%d", s.Revision, i), i, s.Fact, n); err != nil {
			return err
		}
	}
	return nil
}

// partsBefore is what the parts of the event's movement before it came to, and keeps the
// sum for the next: a batch may end between them. After the last nothing is kept. A later
// part without its first, which no decision makes, stands for itself.
func (w *writer) partsBefore(s *step) (before domain.Amount, err error) {
	amount, told := account.ToldInSum(s.Body)
	if !told {
		return 0, nil
	}
	k := key(partsPrefix, s.Account)
	place, count := account.PlaceOf(s.Body)
	if place > 1 {
		stored, err := w.get(k)
		if err != nil {
			return 0, err
		}
		if in := (reader{left: stored}); stored != nil {
			if before, err = in.amount(), in.end(); err != nil {
				return 0, fmt.Errorf("sum of the parts before it: %w", err)
			}
		}
	}
	if place == count {
		w.delete(k)
	} else {
		w.set(k, appendAmount(nil, before+amount))
	}
	return before, nil
}

// asked is what a credit request was for. applyObject has run before.
func (w *writer) asked(name, request string) (domain.Amount, error) {
	object, err := w.object(name, account.ObjectCreditRequest, request)
	r, ok := object.(*account.CreditRequest)
	if err != nil || !ok {
		return 0, err
	}
	return r.Amount, nil
}

// whyUnmatched is why a payment had waited.
func (w *writer) whyUnmatched(name, payment string) (account.UnmatchedWhy, error) {
	object, err := w.object(name, account.ObjectPayment, payment)
	p, ok := object.(*account.Payment)
	if err != nil || !ok {
		return "", err
	}
	return p.Why, nil
}

// purchaseStatus is where a purchase stands after the event.
func (w *writer) purchaseStatus(name, purchase string) (account.PurchaseStatus, error) {
	object, err := w.object(name, account.ObjectPurchase, purchase)
	p, ok := object.(*account.Purchase)
	if err != nil || !ok {
		return "", err
	}
	return p.State, nil
}

// usage is what a deployment was charged on top of what was booked.
func (w *writer) usage(name, deployment string) (domain.Amount, error) {
	object, err := w.object(name, account.ObjectDeployment, deployment)
	d, ok := object.(*account.Deployment)
	if err != nil || !ok {
		return 0, err
	}
	return d.Usage, nil
}

// network is where a withdrawal's money was asked for.
func (w *writer) network(name, withdrawal string) (account.Network, error) {
	object, err := w.object(name, account.ObjectWithdrawal, withdrawal)
	asked, ok := object.(*account.Withdrawal)
	if err != nil || !ok {
		return "", err
	}
	return asked.Network, nil
}

// object is nil if the account has none of this id.
func (w *writer) object(name string, kind account.ObjectKind, id string) (account.Object, error) {
	stored, err := w.get(objectKey(name, kind, id))
	if err != nil || stored == nil {
		return nil, err
	}
	record, err := decodeObject(name, kind, id, stored)
	if err != nil {
		return nil, err
	}
	return record.Object, nil
}

// applyNoticeEvent applies an event of an account's stream of notices.
func (w *writer) applyNoticeEvent(name string, f *eventstore.Fact) error {
	switch e := f.Body.(type) {
	case *account.ExpiryAnnounced:
		k := announcedKey(name, e.Lot)
		known, err := w.get(k)
		if err != nil || known != nil {
			return err
		}
		w.set(k, []byte{1})
		for _, n := range account.NoticesOf(e, account.Around{}) {
			if err := w.addNotice(name, fmt.Sprintf("n%d.0", f.Revision), 0, f, n); err != nil {
				return err
			}
		}
	case *account.NoticeSeen:
		return w.seeNotice(name, e.Notice, f.Meta.RecordedAt)
	}
	return nil
}

func (w *writer) addNotice(name, id string, index int, f *eventstore.Fact, n account.Notice) error {
	kind, object, _ := account.ObjectOf(f.Body)
	value, err := json.Marshal(Notice{
		Topic: n.Topic, Priority: n.Priority, Message: n.Message, Transaction: f.ID, Kind: kind, Object: object, CreatedAt: f.Meta.RecordedAt,
	})
	if err != nil {
		return err
	}
	place := noticePlace(f.Position, index)
	w.set(noticeKey(name, place), append([]byte(id+"\x00"), value...))
	w.set(noticeIDKey(name, id), place)
	w.noticed = append(w.noticed, name)
	return nil
}

// seeNotice keeps the first time. A mark of a notice that isn't there changes nothing.
func (w *writer) seeNotice(name, id string, at time.Time) error {
	place, err := w.get(noticeIDKey(name, id))
	if err != nil || place == nil {
		return err
	}
	k := noticeKey(name, place)
	stored, err := w.get(k)
	if err != nil {
		return err
	}
	n, err := decodeNotice(stored)
	if err != nil || !n.SeenAt.IsZero() {
		return err
	}
	n.SeenAt = at
	value, err := json.Marshal(n)
	if err != nil {
		return err
	}
	w.set(k, append([]byte(id+"\x00"), value...))
	w.noticed = append(w.noticed, name)
	return nil
}

func decodeNotice(stored []byte) (Notice, error) {
	for i, c := range stored {
		if c == 0 {
			n := Notice{ID: string(stored[:i])}
			return n, json.Unmarshal(stored[i+1:], &n)
		}
	}
	return Notice{}, errors.New("notice without an id")
}

// noticePlace orders the notices of an account as the log does.
func noticePlace(position eventstore.Position, index int) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(position)), byte(index))
}

func noticeKey(name string, place []byte) []byte { return key(noticePrefix, name, place...) }

func noticeIDKey(name, id string) []byte { return key(noticeIDPrefix, name, []byte(id)...) }

func announcedKey(name string, lot int64) []byte {
	return key(announcedPrefix, name, binary.BigEndian.AppendUint64(nil, uint64(lot))...)
}

// NoticePage is part of an account's notices.
type NoticePage struct {
	Items []Notice
	// Next is the id that the next page goes on from; empty: this is the end.
	Next string
}

// Notices lists an account's notices, newest first, before the one with the id
// (empty: from the newest). Error: CodeUnknownNotice for an id that isn't there.
func (v *Views) Notices(ctx context.Context, name, before string, limit int) (NoticePage, error) {
	return v.notices(ctx, name, before, limit, func(*Notice) bool { return true })
}

// UnseenNotices is Notices of those that the customer has yet to see. A page may be short
// and have a next one: one looks at a bounded part of the list.
func (v *Views) UnseenNotices(ctx context.Context, name, before string, limit int) (NoticePage, error) {
	return v.notices(ctx, name, before, limit, func(n *Notice) bool { return n.SeenAt.IsZero() })
}

func (v *Views) notices(ctx context.Context, name, before string, limit int, keep func(*Notice) bool) (NoticePage, error) {
	var page NoticePage
	scanned, last := 0, ""
	err := v.scanNotices(ctx, name, before, func(it *pebble.Iterator, at []byte) bool {
		if at == nil {
			return it.Last()
		}
		return it.SeekLT(at)
	}, (*pebble.Iterator).Prev, func(n Notice) bool {
		if len(page.Items) == limit || scanned == maxScan {
			page.Next = last
			return false
		}
		if scanned, last = scanned+1, n.ID; keep(&n) {
			page.Items = append(page.Items, n)
		}
		return true
	})
	return page, err
}

// NewestNotice gives the id of the newest notice that an event up to a position made; empty:
// there is none.
func (v *Views) NewestNotice(ctx context.Context, name string, through eventstore.Position) (id string, err error) {
	err = v.scanNotices(ctx, name, "", func(it *pebble.Iterator, _ []byte) bool {
		return it.SeekLT(noticeKey(name, append(noticePlace(through, math.MaxUint8), 0)))
	}, (*pebble.Iterator).Prev, func(n Notice) bool {
		id = n.ID
		return false
	})
	return id, err
}

// NoticesAfter lists at most limit notices behind the one with the id, oldest
// first; empty: from the beginning. It is how a stream of them goes on.
func (v *Views) NoticesAfter(ctx context.Context, name, after string, limit int) ([]Notice, error) {
	var items []Notice
	err := v.scanNotices(ctx, name, after, func(it *pebble.Iterator, at []byte) bool {
		if at == nil {
			return it.First()
		}
		return it.SeekGE(append(at, 0))
	}, (*pebble.Iterator).Next, func(n Notice) bool {
		items = append(items, n)
		return len(items) < limit
	})
	return items, err
}

// Notice gives one notice. Error: CodeUnknownNotice; CodeIDInvalid for an id that none can have.
func (v *Views) Notice(ctx context.Context, name, id string) (found Notice, err error) {
	err = v.scanNotices(ctx, name, id, func(it *pebble.Iterator, at []byte) bool { return it.SeekGE(at) },
		(*pebble.Iterator).Next, func(n Notice) bool {
			found = n
			return false
		})
	return found, err
}

// noticeIDField is what the routes call a notice's id, for refusals of it.
const noticeIDField = "notification_id"

// scanNotices visits notices in one direction, from where seek puts the iterator.
func (v *Views) scanNotices(ctx context.Context, name, id string, seek func(*pebble.Iterator, []byte) bool,
	step func(*pebble.Iterator) bool, visit func(Notice) bool,
) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	m, leave, err := v.read()
	if err != nil {
		return err
	}
	defer leave()
	var at []byte
	if id != "" {
		if err := domain.CheckID(noticeIDField, id); err != nil {
			return err // the refusal below would repeat it as it came
		}
		place, err := lookup(m, noticeIDKey(name, id), func(b []byte) ([]byte, error) { return append([]byte{}, b...), nil })
		if err != nil {
			return err
		}
		if place == nil {
			return domain.Refuse(domain.CodeUnknownNotice, "the account has no notice %q", id).With("field", noticeIDField).With("value", id)
		}
		at = noticeKey(name, place)
	}
	lower := noticeKey(name, nil)
	it, err := m.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: lower, UpperBound: keyAfter(lower)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := seek(it, at); ok; ok = step(it) {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		n, err := decodeNotice(value)
		if err != nil {
			return fmt.Errorf("%w at %q: %w", errDamaged, it.Key(), err)
		}
		if !visit(n) {
			return nil
		}
	}
	return it.Error()
}
