package domain

import (
	"strings"

	"github.com/ericlagergren/decimal"
)

const (
	rateDecimals     = 12
	quantityDecimals = 6
)

// Rate is a unit price in credits, exact to 12 decimals: one token of a
// 0.13-per-million model costs 0.00000013. It is kept as its canonical text,
// because an event must say what was agreed, digit for digit.
type Rate struct{ text string }

// Quantity is how much was used, exact to 6 decimals.
type Quantity struct{ text string }

// ParseRate reads a unit price. Errors: CodeRateInvalid; CodeAmountTooLarge.
func ParseRate(field, text string) (Rate, error) {
	canonical, err := parseFigure(field, text, rateDecimals, CodeRateInvalid)
	return Rate{canonical}, err
}

// ParseQuantity reads a quantity. Errors: CodeQuantityInvalid; CodeAmountTooLarge.
func ParseQuantity(field, text string) (Quantity, error) {
	canonical, err := parseFigure(field, text, quantityDecimals, CodeQuantityInvalid)
	return Quantity{canonical}, err
}

func (r Rate) String() string     { return orZero(r.text) }
func (q Quantity) String() string { return orZero(q.text) }

// MarshalText gives the canonical text. It never fails.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// MarshalText gives the canonical text. It never fails.
func (q Quantity) MarshalText() ([]byte, error) { return []byte(q.String()), nil }

// UnmarshalText reads a stored rate.
func (r *Rate) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRate("unit_price", string(text))
	return err
}

// UnmarshalText reads a stored quantity.
func (q *Quantity) UnmarshalText(text []byte) (err error) {
	*q, err = ParseQuantity("quantity", string(text))
	return err
}

// Accrual is the position of one meter: what its readings cost exactly, and
// what of that was charged. Charged is always the accrued cost rounded
// half-even to a micro-credit, so charges never drift from the usage
// (design.md rule 4). The zero value is a new meter.
type Accrual struct {
	// Charged is the sum of all charges, in micro-credits.
	Charged Amount `json:"charged"`
	// Carry is accrued minus charged, in 10^-18 credits: at most half a
	// micro-credit either way. The two together are the exact accrued cost.
	Carry int64 `json:"carry,omitzero"`
}

// carryDecimals: a rate has 12 decimals and a quantity 6.
const carryDecimals = rateDecimals + quantityDecimals

// Add accrues quantity at rate and returns the new position and the charge,
// which may be zero. Error: CodeAmountTooLarge if the charge passes MaxAmount
// or the meter's total passes MaxBalance.
func (a Accrual) Add(rate Rate, quantity Quantity) (Accrual, Amount, error) {
	price, err := parseExact(rate.String())
	if err != nil {
		return a, 0, err
	}
	units, err := parseExact(quantity.String())
	if err != nil {
		return a, 0, err
	}
	accrued := decimal.WithContext(exact)
	exact.Mul(accrued, price, units)
	exact.Add(accrued, accrued, decimal.New(int64(a.Charged), amountDecimals))
	exact.Add(accrued, accrued, decimal.New(a.Carry, carryDecimals))

	rounded := decimal.WithContext(halfEven).Copy(accrued)
	halfEven.Quantize(rounded, amountDecimals)
	total, ok := toMicro(rounded)
	if !ok || total > MaxBalance || total-a.Charged > MaxAmount {
		return a, 0, Refuse(CodeAmountTooLarge, "quantity %s at unit_price %s costs more than the limit of %s", quantity, rate, MaxAmount).
			With("field", "quantity").With("value", quantity.String()).With("limit", MaxAmount.String())
	}
	rest := decimal.WithContext(exact)
	exact.Sub(rest, accrued, rounded)
	exact.Mul(rest, rest, decimal.New(1, -carryDecimals))
	carry, ok := rest.Int64()
	if !ok {
		return a, 0, Refuse(CodeInternal, "meter remainder %s is out of range", rest)
	}
	return Accrual{Charged: total, Carry: carry}, total - a.Charged, nil
}

// Cost is what units cost at this rate for every per units, rounded half-even
// to a micro-credit: an hourly price for 90 minutes is Cost(90, 60).
// MUST: units >= 0, per > 0. Error: CodeAmountTooLarge above MaxBalance.
func (r Rate) Cost(units, per int64) (Amount, error) {
	price, err := parseExact(r.String())
	if err != nil {
		return 0, err
	}
	cost := decimal.WithContext(exact)
	exact.Mul(cost, price, decimal.New(units, 0))
	return quotient(cost, per)
}

// Share is a x numerator / denominator, rounded half-even to a micro-credit.
// MUST: none of them is negative, denominator > 0. Error: CodeAmountTooLarge
// above MaxBalance.
func (a Amount) Share(numerator, denominator int64) (Amount, error) {
	product := decimal.WithContext(exact)
	exact.Mul(product, decimal.New(int64(a), amountDecimals), decimal.New(numerator, 0))
	return quotient(product, denominator)
}

// quotient divides and rounds once. Quo alone rounds at 80 digits, and a second
// rounding could then fall on the wrong side of a tie; so the whole
// micro-credits are split off first and the remainder decides.
func quotient(dividend *decimal.Big, divisor int64) (Amount, error) {
	micros, by := decimal.WithContext(exact), decimal.New(divisor, 0)
	exact.Mul(micros, dividend, decimal.New(int64(Credit), 0))
	whole, rest := decimal.WithContext(exact), decimal.WithContext(exact)
	exact.QuoInt(whole, micros, by)
	exact.Mul(rest, whole, by)
	exact.Sub(rest, micros, rest)
	total, ok := whole.Int64()
	exact.Mul(rest, rest, decimal.New(2, 0))
	up := Amount(0)
	if half := rest.Cmp(by); half > 0 || half == 0 && total%2 == 1 {
		up = 1
	}
	if !ok || Amount(total) > MaxBalance-up {
		return 0, Refuse(CodeAmountTooLarge, "the cost is above the limit of %s", MaxBalance).
			With("limit", MaxBalance.String())
	}
	return Amount(total) + up, nil
}

// parseFigure checks a figure's grammar and bound, and strips trailing zeros.
func parseFigure(field, text string, decimals int, code Code) (string, error) {
	if !plainDecimal(text, decimals) {
		return "", Refuse(code, "%s %q is not a figure: %s", field, clip(text), wantedFigure(text, decimals)).
			With("field", field).With("value", clip(text))
	}
	// Nine digits before the point are below MaxAmount whatever follows.
	if point := strings.IndexByte(text, '.'); len(text) > 9 && (point < 0 || point > 9) {
		big, err := parseExact(text)
		if err != nil || big.Cmp(decimal.New(int64(MaxAmount), amountDecimals)) > 0 {
			return "", tooLarge(field, text)
		}
	}
	return trimZeros(text), nil
}

// trimZeros makes a plain decimal canonical.
func trimZeros(text string) string {
	end, point := len(text), -1
	for i := range len(text) {
		if text[i] == '.' {
			point = i
		}
	}
	if point < 0 {
		return text
	}
	for end > point && (text[end-1] == '0' || text[end-1] == '.') {
		end--
	}
	return text[:end]
}

func orZero(text string) string {
	if text == "" {
		return "0"
	}
	return text
}
