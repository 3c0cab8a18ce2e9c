package domain

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ericlagergren/decimal"
)

// Amount is a sum of money in micro-credits: 1 credit = 1 USD = 1,000,000.
// The micro-credit is the resolution of USDC, in which credits are bought and
// paid out, so no conversion at the edge ever rounds. Never a float.
type Amount int64

// Units of Amount.
const (
	Micro  Amount = 1
	Credit Amount = 1_000_000
)

// MaxAmount bounds a single figure that comes in: 10^9 credits (money.md, Amounts in).
const MaxAmount = 1_000_000_000 * Credit

// MaxBalance bounds what one account may hold or owe: 10^12 credits. It keeps
// every sum of an account's figures far inside an int64.
const MaxBalance = 1_000_000_000_000 * Credit

const amountDecimals = 6

// exact is the arithmetic of money: wide enough for any product of two figures
// that we accept, and whatever it can't represent exactly is an error. The
// library's zero Context would round to 16 digits without a word.
var exact = decimal.Context{
	Precision:     80,
	RoundingMode:  decimal.ToNearestEven,
	OperatingMode: decimal.GDA,
	Traps:         ^(decimal.Clamped | decimal.Subnormal),
	MaxScale:      400,
	MinScale:      -400,
}

// halfEven is exact with the one rounding that the rules ask for allowed.
var halfEven = func() decimal.Context {
	c := exact
	c.Traps &^= decimal.Inexact | decimal.Rounded
	return c
}()

// towardsZero is halfEven for figures that outsiders write: it keeps what is certain of them.
var towardsZero = func() decimal.Context {
	c := halfEven
	c.RoundingMode = decimal.ToZero
	return c
}()

// ParseAmount reads a positive or zero amount as money.md allows it:
// (0|[1-9][0-9]*)(\.[0-9]{1,6})?. field names the input in the refusal.
//
// Errors: CodeAmountInvalid; CodeAmountTooLarge above MaxAmount.
func ParseAmount(field, text string) (Amount, error) {
	if !plainDecimal(text, amountDecimals) {
		return 0, invalidAmount(field, text)
	}
	// What doesn't fit has more whole digits than MaxAmount.
	micro, ok := parsePlain(text)
	if !ok || micro > MaxAmount {
		return 0, tooLarge(field, text)
	}
	return micro, nil
}

// ReadAmount reads whatever decimal figure an outsider writes, exponents and
// trailing zeros too. isExact: it is an amount as ParseAmount allows one. Otherwise a
// is what is certain of it: the figure without what is finer than a micro-credit, and
// 0 for what is no figure, is below zero or beyond MaxBalance.
func ReadAmount(text string) (a Amount, isExact bool) {
	if !isFigure(text) {
		return 0, false
	}
	big, err := parseExact(text)
	if err != nil || big.Cmp(decimal.New(int64(MaxBalance), amountDecimals)) > 0 {
		return 0, false
	}
	whole := decimal.WithContext(towardsZero)
	towardsZero.RoundToInt(towardsZero.Mul(whole, big, decimal.New(int64(Credit), 0)))
	micro, ok := whole.Int64()
	if !ok || whole.Context.Err() != nil {
		return 0, false
	}
	a = Amount(micro)
	return a, a <= MaxAmount && decimal.New(micro, amountDecimals).Cmp(big) == 0
}

// isFigure is the grammar of ReadAmount, [0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?: the
// decimal library would read "NaN" and "1e" too.
func isFigure(text string) bool {
	if at := strings.IndexAny(text, "eE"); at >= 0 {
		exponent := text[at+1:]
		if exponent != "" && (exponent[0] == '+' || exponent[0] == '-') {
			exponent = exponent[1:]
		}
		if !allDigits(exponent) || len(exponent) > 3 {
			return false
		}
		text = text[:at]
	}
	whole, fraction, pointed := strings.Cut(text, ".")
	return allDigits(whole) && (!pointed || allDigits(fraction))
}

func allDigits(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// ParseSignedAmount is ParseAmount with a leading minus allowed: adjustments.
func ParseSignedAmount(field, text string) (Amount, error) {
	if len(text) > 0 && text[0] == '-' {
		a, err := ParseAmount(field, text[1:])
		if err != nil {
			return 0, restate(err, field, text)
		}
		return -a, nil
	}
	return ParseAmount(field, text)
}

// String gives the canonical form: no exponent, no trailing zeros ("12.5").
func (a Amount) String() string { return string(a.append(nil)) }

// AppendText appends the canonical form. It never fails.
func (a Amount) AppendText(b []byte) ([]byte, error) { return a.append(b), nil }

// MarshalText gives the canonical form. It never fails.
func (a Amount) MarshalText() ([]byte, error) { return a.append(nil), nil }

// UnmarshalText reads the canonical form of a stored amount, of either sign.
// Outside input goes through ParseAmount, which knows the field's name.
func (a *Amount) UnmarshalText(text []byte) error {
	v, ok := parseStored(text)
	if !ok {
		return invalidAmount("amount", string(text))
	}
	*a = v
	return nil
}

// append formats by integer division: every answer and event has several
// amounts, and a test holds it equal to the decimal library.
func (a Amount) append(b []byte) []byte {
	u := uint64(a)
	if a < 0 {
		b = append(b, '-')
		u = -u
	}
	b = strconv.AppendUint(b, u/uint64(Credit), 10)
	frac := u % uint64(Credit)
	if frac == 0 {
		return b
	}
	b = append(b, '.')
	for unit := uint64(Credit) / 10; frac > 0; unit /= 10 {
		b = append(b, byte('0'+frac/unit))
		frac %= unit
	}
	return b
}

// parseStored is the fast twin of ParseAmount for figures that this engine
// wrote itself; a fuzz test holds the two together.
func parseStored(text []byte) (Amount, bool) {
	negative := len(text) > 0 && text[0] == '-'
	if negative {
		text = text[1:]
	}
	if !plainDecimal(text, amountDecimals) {
		return 0, false
	}
	v, ok := parsePlain(text)
	if negative {
		return -v, ok
	}
	return v, ok
}

// parsePlain reads a figure that has passed plainDecimal; false if it doesn't
// fit, or has more digits than an amount has.
func parsePlain[T ~string | ~[]byte](text T) (Amount, bool) {
	if len(text) > 20 {
		return 0, false
	}
	var v uint64
	decimals := -1
	for i := range len(text) {
		c := text[i]
		if c == '.' {
			decimals = 0
			continue
		}
		if v > math.MaxInt64/10 {
			return 0, false
		}
		v = v*10 + uint64(c-'0')
		if decimals >= 0 {
			decimals++
		}
	}
	for i := max(decimals, 0); i < amountDecimals; i++ {
		if v > math.MaxInt64/10 {
			return 0, false
		}
		v *= 10
	}
	if v > math.MaxInt64 {
		return 0, false
	}
	return Amount(v), true
}

// plainDecimal is the grammar of every figure from outside: ASCII digits, no
// sign, no exponent, no leading zero, at most the given decimals.
func plainDecimal[T ~string | ~[]byte](text T, decimals int) bool {
	digits := 0
	for digits < len(text) && text[digits] >= '0' && text[digits] <= '9' {
		digits++
	}
	if digits == 0 || (digits > 1 && text[0] == '0') {
		return false
	}
	if digits == len(text) {
		return true
	}
	fraction := len(text) - digits - 1
	if text[digits] != '.' || fraction < 1 || fraction > decimals {
		return false
	}
	for i := digits + 1; i < len(text); i++ {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return true
}

// parseExact reads a figure that has passed plainDecimal, or isFigure.
func parseExact(text string) (*decimal.Big, error) {
	if len(text) > 64 {
		return nil, decimal.ErrNaN{Msg: "more digits than any figure has"}
	}
	big := decimal.WithContext(exact)
	if _, ok := exact.SetString(big, text); !ok || big.Context.Err() != nil {
		return nil, decimal.ErrNaN{Msg: text}
	}
	return big, nil
}

// toMicro converts exactly; false if digits below a micro-credit or beyond an
// int64 would be lost.
func toMicro(big *decimal.Big) (Amount, bool) {
	scaled := decimal.WithContext(exact)
	exact.Mul(scaled, big, decimal.New(int64(Credit), 0))
	micro, ok := scaled.Int64()
	if !ok || scaled.Context.Err() != nil { // design.md rule 3: what the library traps is an error
		return 0, false
	}
	return Amount(micro), decimal.New(micro, amountDecimals).Cmp(big) == 0
}

func invalidAmount(field, text string) *Error {
	return Refuse(CodeAmountInvalid, "%s %q is not an amount: %s", field, clip(text), wantedFigure(text, amountDecimals)).
		With("field", field).With("value", clip(text))
}

// wantedFigure says how a figure that isn't one has to be written. Who sends a float
// may not know that it has an exponent: JSON libraries put it there.
func wantedFigure(text string, decimals int) string {
	wanted := fmt.Sprintf("digits, optionally a point and up to %d decimals", decimals)
	if strings.ContainsAny(text, "eE") && isFigure(strings.TrimPrefix(text, "-")) {
		wanted += ", no exponent; send a string, in which nothing puts one"
	}
	return wanted
}

func tooLarge(field, text string) *Error {
	return Refuse(CodeAmountTooLarge, "%s %s is above the limit of %s", field, clip(text), MaxAmount).
		With("field", field).With("value", clip(text)).With("limit", MaxAmount.String())
}

// restate gives a refusal about an amount behind a minus the whole input's text.
func restate(err error, field, text string) error {
	refusal, ok := AsError(err)
	switch {
	case ok && refusal.Code == CodeAmountInvalid:
		return invalidAmount(field, text)
	case ok && refusal.Code == CodeAmountTooLarge:
		return Refuse(CodeAmountTooLarge, "%s %s is below the limit of -%s", field, clip(text), MaxAmount).
			With("field", field).With("value", clip(text)).With("limit", (-MaxAmount).String())
	}
	return err
}

// clip keeps hostile input from filling answers and logs, and from breaking
// their JSON, which takes valid UTF-8 only.
func clip(text string) string {
	const limit = 40
	end := ""
	if len(text) > limit {
		cut := limit
		for cut > limit-utf8.UTFMax && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text, end = text[:cut], "…"
	}
	return strings.ToValidUTF8(text, string(utf8.RuneError)) + end
}
