package domain_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ericlagergren/decimal"
	"pgregory.net/rapid"

	"iocredits/domain"
)

const valid = domain.Code("")

const (
	invalid = domain.CodeAmountInvalid
	large   = domain.CodeAmountTooLarge
)

var amountTexts = []struct {
	text string
	want domain.Amount
	code domain.Code
}{
	{"0", 0, valid},
	{"0.0", 0, valid},
	{"0.000000", 0, valid},
	{"1", domain.Credit, valid},
	{"12.5", 12_500_000, valid},
	{"12.500000", 12_500_000, valid},
	{"0.000001", domain.Micro, valid},
	{"0.100000", 100_000, valid},
	{"999999999.999999", domain.MaxAmount - 1, valid},
	{"1000000000", domain.MaxAmount, valid},
	{"1000000000.000000", domain.MaxAmount, valid},
	{"1000000000.000001", 0, large},
	{"1000000001", 0, large},
	{"1000000000000000", 0, large},
	{"9223372036854.775807", 0, large},
	{"9223372036854.775808", 0, large},
	{"18446744073709551617", 0, large},
	{"18446744073710", 0, large},
	{"18446744073710.551616", 0, large},
	{strings.Repeat("9", 64), 0, large},
	{strings.Repeat("9", 65), 0, large},
	{strings.Repeat("9", 1<<20), 0, large},
	{"", 0, invalid},
	{"-1", 0, invalid},
	{"-0", 0, invalid},
	{"+1", 0, invalid},
	{"1e400", 0, invalid},
	{"1E2", 0, invalid},
	{"1e-3", 0, invalid},
	{"NaN", 0, invalid},
	{"sNaN", 0, invalid},
	{"Inf", 0, invalid},
	{"Infinity", 0, invalid},
	{"١٢", 0, invalid},
	{"1٢", 0, invalid},
	{"１２", 0, invalid},
	{" 1", 0, invalid},
	{"1 ", 0, invalid},
	{"1 0", 0, invalid},
	{"\t1", 0, invalid},
	{"1\n", 0, invalid},
	{"1\x00", 0, invalid},
	{"01", 0, invalid},
	{"00", 0, invalid},
	{"00.5", 0, invalid},
	{".5", 0, invalid},
	{"5.", 0, invalid},
	{".", 0, invalid},
	{"1.2.3", 0, invalid},
	{"1..2", 0, invalid},
	{"1,5", 0, invalid},
	{"1_000", 0, invalid},
	{"0x10", 0, invalid},
	{"$1", 0, invalid},
	{"0.0000001", 0, invalid},
	{"1.0000000", 0, invalid},
	{"null", 0, invalid},
}

func TestParseAmount(t *testing.T) {
	for _, c := range amountTexts {
		t.Run(fmt.Sprintf("%.40q", c.text), func(t *testing.T) {
			got, err := domain.ParseAmount("amount", c.text)
			checkRefusal(t, err, c.code)
			if got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func checkRefusal(t *testing.T, err error, code domain.Code) {
	t.Helper()
	if code == valid {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	if !domain.IsCode(err, code) {
		t.Fatalf("got %v, want code %s", err, code)
	}
	refusal, _ := domain.AsError(err)
	for _, f := range refusal.Fields {
		if len(f.Value) > 128 || !utf8.ValidString(f.Value) {
			t.Errorf("field %s holds %q", f.Name, f.Value)
		}
	}
	if len(refusal.Detail) > 512 || !utf8.ValidString(refusal.Detail) {
		t.Errorf("detail is %q", refusal.Detail)
	}
}

func TestParseSignedAmount(t *testing.T) {
	const invalid, large = domain.CodeAmountInvalid, domain.CodeAmountTooLarge
	cases := []struct {
		text string
		want domain.Amount
		code domain.Code
	}{
		{"1.5", 1_500_000, valid},
		{"-1.5", -1_500_000, valid},
		{"-0", 0, valid},
		{"-1000000000", -domain.MaxAmount, valid},
		{"-1000000000.000001", 0, large},
		{"", 0, invalid},
		{"-", 0, invalid},
		{"--1", 0, invalid},
		{"-+1", 0, invalid},
		{"+1", 0, invalid},
		{"- 1", 0, invalid},
		{"−1", 0, invalid},
		{"-Inf", 0, invalid},
	}
	for _, c := range cases {
		t.Run(c.text, func(t *testing.T) {
			got, err := domain.ParseSignedAmount("amount", c.text)
			checkRefusal(t, err, c.code)
			if got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
	for text, detail := range map[string]string{
		"-1x":         `amount "-1x" is not an amount: digits, optionally a point and up to 6 decimals`,
		"1e-05":       `amount "1e-05" is not an amount: digits, optionally a point and up to 6 decimals, no exponent; send a string, in which nothing puts one`,
		"-1E5":        `amount "-1E5" is not an amount: digits, optionally a point and up to 6 decimals, no exponent; send a string, in which nothing puts one`,
		"1e":          `amount "1e" is not an amount: digits, optionally a point and up to 6 decimals`,
		"-1000000001": "amount -1000000001 is below the limit of -1000000000",
		"1000000001":  "amount 1000000001 is above the limit of 1000000000",
	} {
		_, err := domain.ParseSignedAmount("amount", text)
		refusal, _ := domain.AsError(err)
		if refusal.Fields[1].Value != text || refusal.Detail != detail {
			t.Errorf("the refusal of %s has value %q: %s", text, refusal.Fields[1].Value, refusal.Detail)
		}
		if limit := strings.Fields(detail)[len(strings.Fields(detail))-1]; refusal.Code == large && refusal.Fields[2].Value != limit {
			t.Errorf("the refusal of %s has the limit %s", text, refusal.Fields[2].Value)
		}
	}
}

func TestAmountText(t *testing.T) {
	cases := map[domain.Amount]string{
		0: "0", 1: "0.000001", -1: "-0.000001", 100_000: "0.1", 1_000_000: "1", 12_500_000: "12.5",
		-12_500_000: "-12.5", 10_000_000: "10", domain.MaxAmount: "1000000000", domain.MaxBalance: "1000000000000",
		math.MaxInt64: "9223372036854.775807", math.MinInt64: "-9223372036854.775808",
	}
	for amount, want := range cases {
		if got := amount.String(); got != want {
			t.Errorf("%d prints %s, want %s", int64(amount), got, want)
		}
		b, err := amount.AppendText([]byte("x"))
		if err != nil || string(b) != "x"+want {
			t.Errorf("AppendText: %s, %v", b, err)
		}
	}
	out, err := json.Marshal(domain.Amount(12_500_000))
	if err != nil || string(out) != `"12.5"` {
		t.Errorf("JSON: %s, %v", out, err)
	}
}

func TestUnmarshalAmount(t *testing.T) {
	refused := []string{
		"", "-", "--1", "+1", "01", "1.", ".1", "1.0000001", "1e3", "NaN", "١", " 1",
		"9223372036854.775808", "9223372036855", "18446744073710", "18446744073709551616", "18446744073709551617",
		"-18446744073709551617", "99999999999999999999", "100000000000000000000", "20000000000000000000",
		strings.Repeat("9", 100),
	}
	for _, text := range refused {
		got := domain.Amount(7)
		if err := got.UnmarshalText([]byte(text)); !domain.IsCode(err, domain.CodeAmountInvalid) || got != 7 {
			t.Errorf("%q reads as %d, %v", text, int64(got), err)
		}
	}
}

func TestAmountStringAgainstLibrary(t *testing.T) {
	check := func(t interface {
		Fatalf(string, ...any)
	}, n int64) {
		amount := domain.Amount(n)
		if got, want := amount.String(), libraryText(n); got != want {
			t.Fatalf("%d prints %s, the library says %s", n, got, want)
		}
		if n == math.MinInt64 { // far beyond MaxBalance; it prints, and nothing stores it
			return
		}
		var back domain.Amount
		if err := back.UnmarshalText([]byte(amount.String())); err != nil || back != amount {
			t.Fatalf("%s comes back as %s, %v", amount, back, err)
		}
	}
	for _, n := range []int64{math.MinInt64, math.MinInt64 + 1, math.MaxInt64, math.MaxInt64 / 10 * 10, 0, 1, -1} {
		check(t, n)
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, rapid.OneOf(rapid.Int64(), rapid.Int64Range(-10_000_000, 10_000_000)).Draw(t, "micro"))
	})
}

// libraryText renders through the decimal library alone.
func libraryText(micro int64) string {
	text := fmt.Sprintf("%f", decimal.New(micro, 6))
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

var (
	amountGrammar = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.[0-9]{1,6})?$`)
	million       = big.NewRat(1_000_000, 1)
	maxAmountRat  = big.NewRat(1_000_000_000, 1)
)

func FuzzParseAmount(f *testing.F) {
	for _, seed := range []string{
		"0", "12.5", "1000000000", "1000000000.000001", "1e400", "NaN", "-1", "١٢", "0.0000005", "01", "1.",
		"18446744073709551617", "99999999999999999999", "9223372036854.775808",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		amount, err := domain.ParseAmount("amount", text)
		inGrammar := amountGrammar.MatchString(text)
		switch {
		case !inGrammar:
			checkRefusal(t, err, domain.CodeAmountInvalid)
		case ratOf(t, text).Cmp(maxAmountRat) > 0:
			checkRefusal(t, err, domain.CodeAmountTooLarge)
		default:
			checkRefusal(t, err, valid)
			checkAccepted(t, text, amount)
		}
		checkStored(t, text, amount, err)
	})
}

func checkAccepted(t *testing.T, text string, amount domain.Amount) {
	t.Helper()
	exact := new(big.Rat).Mul(ratOf(t, text), million)
	if !exact.IsInt() || !exact.Num().IsInt64() || exact.Num().Int64() != int64(amount) {
		t.Fatalf("%q reads as %d, it is %s", text, int64(amount), exact)
	}
	library, ok := decimal.WithPrecision(100).SetString(text)
	if !ok || library.Cmp(decimal.New(int64(amount), 6)) != 0 {
		t.Fatalf("%q reads as %s, the library says %s", text, amount, library)
	}
	again, err := domain.ParseAmount("amount", amount.String())
	if err != nil || again != amount {
		t.Fatalf("%q prints as %s, which reads as %s, %v", text, amount, again, err)
	}
}

// checkStored holds the fast reader of stored amounts to ParseAmount.
func checkStored(t *testing.T, text string, amount domain.Amount, refused error) {
	t.Helper()
	var stored domain.Amount
	err := stored.UnmarshalText([]byte(text))
	if refused == nil && (err != nil || stored != amount) {
		t.Fatalf("%q: ParseAmount gives %s, UnmarshalText %s, %v", text, amount, stored, err)
	}
	if err != nil || refused == nil {
		return
	}
	body := strings.TrimPrefix(text, "-")
	if !amountGrammar.MatchString(body) {
		t.Fatalf("UnmarshalText reads %q", text)
	}
	exact := new(big.Rat).Mul(ratOf(t, text), million)
	if !exact.IsInt() || !exact.Num().IsInt64() || exact.Num().Int64() != int64(stored) {
		t.Fatalf("UnmarshalText reads %q as %s", text, stored)
	}
}

func ratOf(t *testing.T, text string) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%q is no rational", text)
	}
	return r
}

// TestReadAmount: how an outsider writes a figure doesn't matter; what is finer than
// money or too much is told from what is an amount.
func TestReadAmount(t *testing.T) {
	for text, want := range map[string]string{
		"12.5": "12.5 true", "0": "0 true", "10.2000000": "10.2 true", "1.02e1": "10.2 true", "1E+3": "1000 true", "0.00000100": "0.000001 true",
		"1020000000e-8": "10.2 true", "1000000000": "1000000000 true", "1e9": "1000000000 true", "007": "7 true",
		"1000000000.5": "1000000000.5 false", "1e12": "1000000000000 false", "0.1234567": "0.123456 false", "0.0000001": "0 false", "1e-300": "0 false",
		"1000000000000.000001": "0 false", "1e13": "0 false", "1e300": "0 false", "1e400": "0 false", "1e999999999": "0 false", "1e-999999999": "0 false",
		"-1": "0 false", "-0.0000001": "0 false", "": "0 false", "e": "0 false", "1e": "0 false", "--1": "0 false", "1.2.3": "0 false",
		"1e001": "10 true", "1e-001": "0.1 true", "1e0001": "0 false", "1e-0001": "0 false", "1.": "0 false", ".5": "0 false", "1.5x": "0 false", "1.x": "0 false",
		"NaN": "0 false", "Infinity": "0 false", "1,5": "0 false", " 1": "0 false", "12 USDC": "0 false", strings.Repeat("9", 100): "0 false",
	} {
		got, exact := domain.ReadAmount(text)
		if have := fmt.Sprint(got, " ", exact); have != want {
			t.Errorf("%q is %s, want %s", text, have, want)
		}
	}
}

// FuzzReadAmount: what ParseAmount takes is read as the same, and nothing is read
// as more than an account may hold.
func FuzzReadAmount(f *testing.F) {
	for _, text := range []string{"1", "10.2000000", "1.02e1", "1e999", "-0", "0.0000001"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, exact := domain.ReadAmount(text)
		if a < 0 || a > domain.MaxBalance || exact && a > domain.MaxAmount {
			t.Fatalf("%q is %s", text, a)
		}
		if want, err := domain.ParseAmount("amount", text); err == nil && len(text) <= 64 && (a != want || !exact) {
			t.Fatalf("%q is %s, %v and not %s", text, a, exact, want)
		}
	})
}
