package main

import (
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
)

func TestReadTrace(t *testing.T) {
	const header = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
	for _, c := range []struct{ name, text, err string }{
		{"as Azure writes it", header + "2023-11-16 18:15:46.6805900,374,44\r\n2023-11-16 18:15:50.9951690,396,109\r\n\r\n", ""},
		{"empty", "", "the trace has no requests"},
		{"only a header", header, "the trace has no requests"},
		{"no header", "2023-11-16 18:15:46.6805900,374,44\n", "line 1: the header is not"},
		{"words for tokens", header + "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:46.6805900,many,44\n", `line 3: ContextTokens "many" is not a whole number`},
		{"negative", header + "2023-11-16 18:15:46.6805900,374,-1\n", `line 2: GeneratedTokens "-1"`},
		{"absurd", header + "2023-11-16 18:15:46.6805900,374,100000001\n", `line 2: GeneratedTokens "100000001"`},
		{"a column short", header + "\n2023-11-16 18:15:46.6805900,374\n", "line 3: 2 columns, not 3"},
		{"no time", header + "yesterday,374,44\n", `line 2: TIMESTAMP "yesterday"`},
		{"broken quotes", header + "2023-11-16 18:15:46.68,\"374,44\n", "line 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readTrace(strings.NewReader(c.text))
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, []traceRow{{374, 44}, {396, 109}}, got.Rows)
			require.Len(t, got.ID, 16)
		})
	}
}

func TestExpectedCost(t *testing.T) {
	one := trace{Rows: []traceRow{{374, 44}}}
	got, err := one.expected(prices{"0.13", "0.38"})
	require.NoError(t, err)
	// 374 x 0.13 = 48.62 -> 49 micro-credits; 44 x 0.38 = 16.72 -> 17.
	require.Equal(t, domain.Amount(66), got)

	for value, want := range map[string]int64{"1/2": 0, "3/2": 2, "5/2": 2, "7/3": 2, "8/3": 3, "4": 4, "0": 0} {
		r, ok := new(big.Rat).SetString(value)
		require.True(t, ok)
		require.Equal(t, want, roundHalfEven(r).Int64(), value)
	}
}

func TestPrices(t *testing.T) {
	rate, err := prices{"0.13", "0.380001"}.perToken(output)
	require.NoError(t, err)
	require.Equal(t, "0.000000380001", rate.String())
	for _, bad := range []string{"", "-1", "1e3", "0.1234567", "a"} {
		_, err := prices{bad, "1"}.perToken(input)
		var usage *usageError
		require.ErrorAs(t, err, &usage, bad)
	}
}
