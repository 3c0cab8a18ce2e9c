package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"math/bits"

	"iocredits/domain"
)

// Sum is a running total in micro-credits, of 128 bits: what a company turns
// over in its life may pass an int64, what any single event moves may not.
type Sum struct {
	high int64
	low  uint64
}

// Add adds an amount.
func (s Sum) Add(a domain.Amount) Sum { return s.Plus(Sum{high: int64(a) >> 63, low: uint64(a)}) }

// Plus adds another sum.
func (s Sum) Plus(other Sum) Sum {
	low, carry := bits.Add64(s.low, other.low, 0)
	return Sum{high: s.high + other.high + int64(carry), low: low}
}

// Minus is the sum with its sign turned.
func (s Sum) Minus() Sum {
	low, borrow := bits.Sub64(0, s.low, 0)
	return Sum{high: -s.high - int64(borrow), low: low}
}

// Negative reports whether the sum is below zero: a credit.
func (s Sum) Negative() bool { return s.high < 0 }

// Amount gives the sum as an amount; false if it is too large for one.
func (s Sum) Amount() (domain.Amount, bool) {
	return domain.Amount(s.low), s.high == int64(s.low)>>63
}

// String is the canonical decimal, like an amount's.
func (s Sum) String() string {
	if a, fits := s.Amount(); fits {
		return a.String()
	}
	value := new(big.Int).Lsh(big.NewInt(s.high), 64)
	value.Add(value, new(big.Int).SetUint64(s.low))
	whole, micro := new(big.Int).QuoRem(value, big.NewInt(int64(domain.Credit)), new(big.Int))
	if micro.Sign() == 0 {
		return whole.String()
	}
	fraction := domain.Amount(micro.Int64()).String() // [-]0.xxx, the whole has the sign
	for fraction[0] != '.' {
		fraction = fraction[1:]
	}
	return whole.String() + fraction
}

// MarshalText gives the canonical decimal. It never fails.
func (s Sum) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Totals are the running totals of all accounts of the chart: a trial balance.
type Totals [ChartSize]Sum

// Post adds postings.
func (t *Totals) Post(postings []Posting) {
	for _, p := range postings {
		t[p.Account] = t[p.Account].Add(p.Amount)
	}
}

// Plus adds other totals.
func (t *Totals) Plus(other *Totals) {
	for a := range t {
		t[a] = t[a].Plus(other[a])
	}
}

// Open is the sum of everything: zero, or the books are wrong.
func (t *Totals) Open() (sum Sum) {
	for _, s := range t {
		sum = sum.Plus(s)
	}
	return sum
}

// Balance is what the customers have by these books: the sum of their balances.
func (t *Totals) Balance() (sum Sum) {
	for _, a := range customers {
		sum = sum.Plus(t[a])
	}
	return sum.Minus()
}

// String lists the lines that aren't zero.
func (t *Totals) String() string {
	var b []byte
	for a, s := range t {
		if s != (Sum{}) {
			b = fmt.Appendf(b, "%s %s; ", Account(a), s)
		}
	}
	return string(b)
}

// wide marks a line whose sum is too large for an amount.
const wide = 0x80

// AppendBinary encodes the lines that aren't zero, each as account:1 and the sum:
// a zigzag varint, or, where the account is marked wide, high:8 low:8. It never
// fails.
func (t *Totals) AppendBinary(b []byte) ([]byte, error) {
	for a := range t {
		s := &t[a]
		if *s == (Sum{}) {
			continue
		}
		if amount, fits := s.Amount(); fits {
			b = binary.AppendVarint(append(b, byte(a)), int64(amount))
			continue
		}
		b = binary.BigEndian.AppendUint64(append(b, byte(a)|wide), uint64(s.high))
		b = binary.BigEndian.AppendUint64(b, s.low)
	}
	return b, nil
}

var errTotals = errors.New("totals end within a line")

// UnmarshalBinary reads what AppendBinary wrote.
func (t *Totals) UnmarshalBinary(b []byte) error {
	*t = Totals{}
	for next := byte(0); len(b) > 0; {
		a := b[0] &^ wide
		if a >= byte(ChartSize) || a < next {
			return fmt.Errorf("totals have account %d where at least %d and less than %d was to come", a, next, ChartSize)
		}
		next = a + 1
		isWide := b[0] != a
		b = b[1:]
		var s Sum
		if isWide {
			const size = 16
			if len(b) < size {
				return errTotals
			}
			s = Sum{high: int64(binary.BigEndian.Uint64(b)), low: binary.BigEndian.Uint64(b[8:])}
			b = b[size:]
		} else {
			amount, n := binary.Varint(b)
			if n <= 0 {
				return errTotals
			}
			s = Sum{}.Add(domain.Amount(amount))
			b = b[n:]
		}
		if _, fits := s.Amount(); s == (Sum{}) || fits == isWide {
			return fmt.Errorf("totals have %s in another form than this is written in", s)
		}
		t[a] = s
	}
	return nil
}
