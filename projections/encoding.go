package projections

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
)

// Values of balances and of transactions are binary: there is one of the latter
// for each deduction ever made. Their layout belongs to format.
//
//	number   zigzag varint; amounts are numbers of micro-credits
//	text     uvarint length, bytes
//	time     number of seconds since 1970; uvarint of what is left in a second:
//	         microseconds<<1, or nanoseconds<<1 | 1 where microseconds don't do
//
// What is in the key (account, revision) isn't in the value.

func appendTextTo(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func appendAmount(b []byte, a domain.Amount) []byte { return binary.AppendVarint(b, int64(a)) }

func appendMoment(b []byte, at time.Time) []byte {
	b = binary.AppendVarint(b, at.Unix())
	rest := uint64(at.Nanosecond())
	if rest%1000 == 0 {
		return binary.AppendUvarint(b, rest/1000<<1)
	}
	return binary.AppendUvarint(b, rest<<1|1)
}

// Flags of a transaction's value.
const (
	hasHeld = 1 << iota
	hasEffective
	hasRelated
	hasDescription
	transactionFlags = 1<<iota - 1
)

// appendTransaction writes
//
//	flags:1 id:16 type:text service:text amount balance_after [held] recorded
//	[effective] reference:text [description:text] actor:text [related:16]
//	position:uvarint lots:uvarint { lot, amount, class:text, has_expiry:1 [time] }
//
// where [ ] is there if its flag is; without effective it is recorded.
func appendTransaction(b []byte, t *Transaction) []byte {
	flags := byte(0)
	set := func(flag byte, on bool) {
		if on {
			flags |= flag
		}
	}
	set(hasHeld, t.Held != 0)
	set(hasEffective, !t.EffectiveAt.Equal(t.RecordedAt))
	set(hasRelated, t.Related != uuid.Nil)
	set(hasDescription, t.Description != "")

	b = append(append(b, flags), t.ID[:]...)
	b = appendTextTo(appendTextTo(b, string(t.Type)), string(t.Service))
	b = appendAmount(appendAmount(b, t.Amount), t.BalanceAfter)
	if t.Held != 0 {
		b = appendAmount(b, t.Held)
	}
	b = appendMoment(b, t.RecordedAt)
	if flags&hasEffective != 0 {
		b = appendMoment(b, t.EffectiveAt)
	}
	b = appendTextTo(b, t.Reference)
	if t.Description != "" {
		b = appendTextTo(b, string(t.Description))
	}
	b = appendTextTo(b, t.Actor)
	if t.Related != uuid.Nil {
		b = append(b, t.Related[:]...)
	}
	b = binary.AppendUvarint(b, uint64(t.Position))
	b = binary.AppendUvarint(b, uint64(len(t.Lots)))
	for i := range t.Lots {
		b = appendLot(b, &t.Lots[i])
	}
	return b
}

func appendLot(b []byte, u *account.LotUse) []byte {
	b = appendAmount(binary.AppendVarint(b, u.Lot), u.Amount)
	b = appendTextTo(b, string(u.Class))
	if u.ExpiresAt.IsZero() {
		return append(b, 0)
	}
	return appendMoment(append(b, 1), u.ExpiresAt)
}

// decodeTransaction reads what appendTransaction wrote. Account and Revision are
// the caller's to fill in: they are in the key.
func decodeTransaction(value []byte) (Transaction, error) {
	r := reader{left: value}
	flags := r.byte()
	if flags > transactionFlags {
		return Transaction{}, fmt.Errorf("flags %#x", flags)
	}
	t := Transaction{ID: r.id(), Type: account.EntryType(r.text()), Service: domain.Service(r.text())}
	t.Amount, t.BalanceAfter = r.amount(), r.amount()
	if flags&hasHeld != 0 {
		t.Held = r.amount()
	}
	t.RecordedAt = r.moment()
	t.EffectiveAt = t.RecordedAt
	if flags&hasEffective != 0 {
		t.EffectiveAt = r.moment()
	}
	t.Reference = r.text()
	if flags&hasDescription != 0 {
		t.Description = domain.Sealed(r.text())
	}
	t.Actor = r.text()
	if flags&hasRelated != 0 {
		t.Related = r.id()
	}
	t.Position = eventstore.Position(r.uvarint())
	t.Lots = r.lots()
	return t, r.end()
}

// appendBalance writes
//
//	frozen:1 the figures' amounts and whole numbers, in the orders below;
//	revision position:uvarint recorded
func appendBalance(b []byte, r *balanceRecord) []byte {
	f := &r.Figures
	if f.Frozen {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	for _, a := range amountsOf(f) {
		b = appendAmount(b, *a)
	}
	for _, n := range numbersOf(f) {
		b = binary.AppendVarint(b, int64(*n))
	}
	b = binary.AppendVarint(b, r.Revision)
	b = binary.AppendUvarint(b, uint64(r.Position))
	return appendMoment(b, r.RecordedAt.time())
}

// amountsOf is every amount in the figures. A test fails if one is missing.
func amountsOf(f *account.Figures) [13]*domain.Amount {
	return [...]*domain.Amount{
		&f.FreePromotional, &f.FreePurchased, &f.HeldPromotional, &f.HeldPurchased, &f.Withdrawing,
		&f.SpendingDebt, &f.ChargebackDebt, &f.Cash, &f.Unbacked, &f.Paid,
		&f.Policy.Allowance, &f.Policy.LowBalanceAt, &f.Policy.TwoApproversFrom,
	}
}

// numbersOf is every whole number in the figures. A test fails if one is missing.
func numbersOf(f *account.Figures) [9]*int {
	p, least := &f.Policy, &f.Policy.MinimumMinutes
	return [...]*int{
		&p.GraceMinutes, &p.PurchaseFeeBasisPoints, &p.PurchasedLifeMonths,
		&least.Ray, &least.CaaS, &least.VM, &least.Kubernetes, &least.Baremetal, &least.Inference,
	}
}

// decodeBalanceOf is decodeBalance for look-ups: nil is that there is none.
func decodeBalanceOf(value []byte) (*balanceRecord, error) {
	record, err := decodeBalance(value)
	return &record, err
}

func decodeBalance(value []byte) (balanceRecord, error) {
	in := reader{left: value}
	return in.balance(), in.end()
}

func (r *reader) balance() (record balanceRecord) {
	f := &record.Figures
	switch r.byte() {
	case 0:
	case 1:
		f.Frozen = true
	default:
		r.fail()
	}
	for _, a := range amountsOf(f) {
		*a = r.amount()
	}
	for _, n := range numbersOf(f) {
		*n = int(r.varint())
	}
	record.Revision = r.varint()
	record.Position = eventstore.Position(r.uvarint())
	record.RecordedAt = instantOf(r.moment())
	return record
}

// reader takes values apart. The first thing that doesn't fit is its error, and
// everything after that is zero.
type reader struct {
	left []byte
	err  error
}

var errCut = errors.New("value ends too soon, or a number in it never does")

func (r *reader) take(n uint64) []byte {
	if r.err != nil || n > uint64(len(r.left)) {
		r.fail()
		return nil
	}
	taken := r.left[:n]
	r.left = r.left[n:]
	return taken
}

func (r *reader) fail() {
	r.left = nil
	if r.err == nil {
		r.err = errCut
	}
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.left)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.left = r.left[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.left)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.left = r.left[n:]
	return v
}

func (r *reader) amount() domain.Amount { return domain.Amount(r.varint()) }

func (r *reader) text() string { return string(r.take(r.uvarint())) }

func (r *reader) id() (id uuid.UUID) {
	copy(id[:], r.take(uint64(len(id))))
	return id
}

func (r *reader) moment() time.Time {
	seconds, rest := r.varint(), r.uvarint()
	nanos := rest >> 1
	if rest&1 == 0 {
		nanos *= 1000
	}
	if nanos >= 1e9 {
		r.fail()
	}
	if r.err != nil {
		return time.Time{}
	}
	return time.Unix(seconds, int64(nanos)).UTC()
}

func (r *reader) lots() []account.LotUse {
	const smallest = 4 // bytes of a lot: what bounds the count before it is trusted
	n := r.uvarint()
	if n == 0 {
		return nil
	}
	if n > uint64(len(r.left))/smallest {
		r.fail()
		return nil
	}
	lots := make([]account.LotUse, n)
	for i := range lots {
		u := &lots[i]
		u.Lot, u.Amount, u.Class = r.varint(), r.amount(), account.Class(r.text())
		switch r.byte() {
		case 0:
		case 1:
			u.ExpiresAt = r.moment()
		default:
			r.fail()
		}
	}
	return lots
}

func (r *reader) end() error {
	if r.err == nil && len(r.left) > 0 {
		r.err = fmt.Errorf("%d bytes too many", len(r.left))
	}
	return r.err
}
