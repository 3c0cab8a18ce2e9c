package domain_test

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"iocredits/domain"
)

func TestParseRateAndQuantity(t *testing.T) {
	const large = domain.CodeAmountTooLarge
	const badRate, badQuantity = domain.CodeRateInvalid, domain.CodeQuantityInvalid
	cases := []struct {
		text      string
		canonical string
		rate      domain.Code
		quantity  domain.Code
	}{
		{"0", "0", valid, valid},
		{"0.000000", "0", valid, valid},
		{"10", "10", valid, valid},
		{"100.0", "100", valid, valid},
		{"0.130", "0.13", valid, valid},
		{"1.010", "1.01", valid, valid},
		{"0.000001", "0.000001", valid, valid},
		{"0.00000013", "0.00000013", valid, badQuantity},
		{"0.000000000001", "0.000000000001", valid, badQuantity},
		{"0.000000000000", "0", valid, badQuantity},
		{"0.0000000000001", "", badRate, badQuantity},
		{"1000000000", "1000000000", valid, valid},
		{"1000000000.000000", "1000000000", valid, valid},
		{"1000000000.000001", "", large, large},
		{"1000000001", "", large, large},
		{"1000000000000000", "", large, large},
		{strings.Repeat("9", 100), "", large, large},
		{"", "", badRate, badQuantity},
		{"-1", "", badRate, badQuantity},
		{"1e-3", "", badRate, badQuantity},
		{"NaN", "", badRate, badQuantity},
		{"Inf", "", badRate, badQuantity},
		{"01", "", badRate, badQuantity},
		{"1.", "", badRate, badQuantity},
		{".1", "", badRate, badQuantity},
		{"١٢", "", badRate, badQuantity},
		{" 1", "", badRate, badQuantity},
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%.30q", c.text), func(t *testing.T) {
			rate, err := domain.ParseRate("unit_price", c.text)
			checkRefusal(t, err, c.rate)
			if c.rate == valid && rate.String() != c.canonical {
				t.Errorf("rate is %s", rate)
			}
			quantity, err := domain.ParseQuantity("quantity", c.text)
			checkRefusal(t, err, c.quantity)
			if c.quantity == valid && quantity.String() != c.canonical {
				t.Errorf("quantity is %s", quantity)
			}
		})
	}
	if got := (domain.Rate{}).String() + (domain.Quantity{}).String(); got != "00" {
		t.Errorf("zero values print %s", got)
	}
}

// figure generates decimals of up to the given places, small ones and ties often.
func figure(decimals int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		whole := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, 100), rapid.Int64Range(0, 999_999_999)).Draw(t, "whole")
		places := rapid.IntRange(0, decimals).Draw(t, "places")
		if places == 0 {
			return fmt.Sprint(whole)
		}
		limit := int64(1)
		for range places {
			limit *= 10
		}
		part := rapid.OneOf(rapid.Just(int64(5)), rapid.Int64Range(0, limit-1), rapid.Just(limit/2)).Draw(t, "part")
		return fmt.Sprintf("%d.%0*d", whole, places, min(part, limit-1))
	})
}

func TestFigureTextKeepsTheValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := figure(12).Draw(t, "rate")
		rate, err := domain.ParseRate("unit_price", text)
		if err != nil {
			t.Fatal(err)
		}
		if rat(rate.String()).Cmp(rat(text)) != 0 {
			t.Fatalf("%s became %s", text, rate)
		}
		stored, err := rate.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back domain.Rate
		if err := back.UnmarshalText(stored); err != nil || back != rate {
			t.Fatalf("%s came back as %s, %v", rate, back, err)
		}
	})
}

// TestStoredFigures: an event gives back what was agreed, and what is no figure is none.
func TestStoredFigures(t *testing.T) {
	quantity, err := domain.ParseQuantity("quantity", "3.000001")
	require.NoError(t, err)
	stored, err := quantity.MarshalText()
	require.NoError(t, err)
	require.Equal(t, "3.000001", string(stored))
	var back domain.Quantity
	require.NoError(t, back.UnmarshalText(stored))
	require.Equal(t, quantity, back)
	var rate domain.Rate
	require.True(t, domain.IsCode(back.UnmarshalText([]byte("1e3")), domain.CodeQuantityInvalid))
	require.True(t, domain.IsCode(rate.UnmarshalText([]byte("1e3")), domain.CodeRateInvalid))
}

func rat(text string) *big.Rat {
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		panic(text)
	}
	return r
}

// halfEvenMicro rounds an exact cost in credits to micro-credits.
func halfEvenMicro(cost *big.Rat) *big.Int {
	scaled := new(big.Rat).Mul(cost, million)
	return halfEven(scaled.Num(), scaled.Denom())
}

// meter checks an Accrual against exact arithmetic, reading by reading.
type meter struct {
	accrual domain.Accrual
	exact   *big.Rat
	charges int64
}

func (m *meter) add(t interface{ Fatalf(string, ...any) }, price, units string) {
	rate, err := domain.ParseRate("unit_price", price)
	if err != nil {
		t.Fatalf("%v", err)
	}
	quantity, err := domain.ParseQuantity("quantity", units)
	if err != nil {
		t.Fatalf("%v", err)
	}
	exact := new(big.Rat).Add(m.exact, new(big.Rat).Mul(rat(price), rat(units)))
	want := halfEvenMicro(exact)
	step := new(big.Int).Sub(want, big.NewInt(int64(m.accrual.Charged)))
	fits := step.Cmp(big.NewInt(int64(domain.MaxAmount))) <= 0 && want.Cmp(big.NewInt(int64(domain.MaxBalance))) <= 0

	next, charge, err := m.accrual.Add(rate, quantity)
	if !fits {
		if !domain.IsCode(err, domain.CodeAmountTooLarge) || next != m.accrual || charge != 0 {
			t.Fatalf("%s x %s on %+v passes a limit: %+v, %s, %v", units, price, m.accrual, next, charge, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("%s x %s on %+v: %v", units, price, m.accrual, err)
	}
	m.accrual, m.exact = next, exact
	m.charges += int64(charge)
	position := new(big.Rat).Add(
		new(big.Rat).Quo(new(big.Rat).SetInt64(int64(next.Charged)), million),
		new(big.Rat).Mul(new(big.Rat).SetInt64(next.Carry), rat("1e-18")))
	switch {
	case charge < 0:
		t.Fatalf("negative charge %s", charge)
	case big.NewInt(m.charges).Cmp(want) != 0 || m.charges != int64(next.Charged):
		t.Fatalf("charges sum to %d and %+v, the exact cost %s rounds to %s", m.charges, next, exact.FloatString(18), want)
	case position.Cmp(exact) != 0:
		t.Fatalf("%+v stands for %s, the exact cost is %s", next, position.FloatString(18), exact.FloatString(18))
	}
}

func TestAccrualNeverDrifts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := meter{exact: new(big.Rat)}
		price := figure(12).Draw(t, "price")
		for range rapid.IntRange(1, 40).Draw(t, "readings") {
			if rapid.IntRange(0, 4).Draw(t, "reprice") == 0 {
				price = figure(12).Draw(t, "price")
			}
			m.add(t, price, figure(6).Draw(t, "units"))
		}
	})
}

func TestAccrualTies(t *testing.T) {
	cases := []struct {
		price   string
		charges []domain.Amount
	}{
		{"0.0000005", []domain.Amount{0, 1, 1, 0, 0, 1, 1, 0}},
		{"0.0000015", []domain.Amount{2, 1, 1, 2}},
		{"0.0000025", []domain.Amount{2, 3, 3, 2}},
		{"0.00000025", []domain.Amount{0, 0, 1, 0, 0, 1, 0, 0}},
	}
	for _, c := range cases {
		t.Run(c.price, func(t *testing.T) {
			m := meter{exact: new(big.Rat)}
			for i, want := range c.charges {
				before := m.accrual.Charged
				m.add(t, c.price, "1")
				if got := m.accrual.Charged - before; got != want {
					t.Errorf("charge %d is %d, want %d", i, got, want)
				}
			}
		})
	}
}

func TestAccrualOfManyTinyReadings(t *testing.T) {
	m := meter{exact: new(big.Rat)}
	for range 100_000 {
		m.add(t, "0.00000013", "3.000001")
	}
	m.add(t, "0", "1000000000")
	if got := m.accrual.Charged.String(); got != "0.039" {
		t.Errorf("charged %s", got)
	}
	m = meter{exact: new(big.Rat)}
	for range 1000 {
		m.add(t, "0.000000000001", "0.000001")
	}
	if m.accrual != (domain.Accrual{Carry: 1000}) {
		t.Errorf("position %+v", m.accrual)
	}
}

func TestAccrualLimits(t *testing.T) {
	m := meter{exact: new(big.Rat)}
	m.add(t, "1", "1000000000")
	m.add(t, "1.000000000001", "1000000000")
	if got := m.accrual.Charged; got != domain.MaxAmount {
		t.Errorf("a charge above MaxAmount was made: %s", got)
	}
	m.accrual = domain.Accrual{Charged: domain.MaxBalance - domain.Credit}
	m.exact = rat((domain.MaxBalance - domain.Credit).String())
	m.charges = int64(m.accrual.Charged)
	m.add(t, "1", "1.000001")
	m.add(t, "1", "1")
	m.add(t, "0.0000005", "1")
	m.add(t, "0.000001", "1")
	if m.accrual != (domain.Accrual{Charged: domain.MaxBalance, Carry: 500_000_000_000}) {
		t.Errorf("position %+v", m.accrual)
	}
	m.add(t, "1000000000", "1000000000")
}

func BenchmarkAccrual(b *testing.B) {
	rate, _ := domain.ParseRate("unit_price", "0.00000013")
	quantity, _ := domain.ParseQuantity("quantity", "1234")
	var a domain.Accrual
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if a, _, err = a.Add(rate, quantity); err != nil {
			b.Fatal(err)
		}
	}
}
