package domain_test

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
)

// halfEven is the oracle: n/d rounded half-even with integers.
func halfEven(n, d *big.Int) *big.Int {
	whole, rest := new(big.Int).QuoRem(n, d, new(big.Int))
	if c := new(big.Int).Lsh(rest, 1).Cmp(d); c > 0 || c == 0 && whole.Bit(0) == 1 {
		whole.Add(whole, big.NewInt(1))
	}
	return whole
}

func TestShareAndCostRoundHalfEvenOnce(t *testing.T) {
	const seed = 20261124
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 20_000 {
		amount := domain.Amount(random.Int64N(int64(domain.MaxAmount) >> random.IntN(50)))
		n, d := random.Int64N(525_600), 1+random.Int64N(10_000)
		got, err := amount.Share(n, d)
		want := halfEven(new(big.Int).Mul(big.NewInt(int64(amount)), big.NewInt(n)), big.NewInt(d))
		if want.Cmp(big.NewInt(int64(domain.MaxBalance))) > 0 {
			require.True(t, domain.IsCode(err, domain.CodeAmountTooLarge), "%s x %d / %d: %v", amount, n, d, err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, want.Int64(), int64(got), "%s x %d / %d", amount, n, d)
		rate, err := domain.ParseRate("hourly_price", amount.String())
		require.NoError(t, err)
		cost, err := rate.Cost(n, d)
		require.NoError(t, err)
		require.Equal(t, got, cost)
	}
}

func TestCostOfTwelveDecimals(t *testing.T) {
	for _, c := range []struct {
		price      string
		units, per int64
		want       string
	}{
		{"0.000000500000", 1, 1, "0"},
		{"0.000001500000", 1, 1, "0.000002"},
		{"0.000000500001", 1, 1, "0.000001"},
		{"1", 1, 3, "0.333333"},
		{"1", 2, 3, "0.666667"},
		{"2.5", 72, 60, "3"},
		{"1000000000", 1000, 1, "1000000000000"},
		{"1000000000", 1001, 1, ""},
		{"1000000000", 18_447, 1, ""}, // 2^64 micro-credits, and a few
		{"1000000000", 3_000_000_000_000_000_001, 3_000_000_000_000_000, "1000000000000"}, // a third of a micro-credit more
		{"1000000000", 1_500_000_000_000_000_001, 1_500_000_000_000_000, ""},              // two thirds
	} {
		rate, err := domain.ParseRate("hourly_price", c.price)
		require.NoError(t, err)
		got, err := rate.Cost(c.units, c.per)
		if c.want == "" {
			require.True(t, domain.IsCode(err, domain.CodeAmountTooLarge), "%s x %d / %d: %v", c.price, c.units, c.per, err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.want, got.String(), "%s x %d / %d", c.price, c.units, c.per)
	}
}
