package account_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"iocredits/domain"
	"iocredits/domain/account"
)

func TestCheckWallet(t *testing.T) {
	for _, row := range []struct {
		network account.Network
		address string
		fault   string
	}{
		// A wallet, the mint of USDC, the system program (32 zero bytes), the token program.
		{account.NetworkSolana, "83astBRguLMdt2h5U1Tpdq5tjFoJ6noeGwaY3mDLVcri", ""},
		{account.NetworkSolana, "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", ""},
		{account.NetworkSolana, "11111111111111111111111111111111", "nobody's"},
		{account.NetworkSolana, "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", ""},
		{account.NetworkSolana, "", "32 to 44"},
		{account.NetworkSolana, "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1vX", "32 to 44"},
		{account.NetworkSolana, "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTD", "32 bytes"},
		{account.NetworkSolana, "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "32 bytes"},
		{account.NetworkSolana, "111111111111111111111111111111111", "32 bytes"},
		{account.NetworkSolana, "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt10", "outside base58"},
		{account.NetworkSolana, "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1\n", "outside base58"},
		{account.NetworkSolana, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "outside base58"},

		// The examples of EIP-55: mixed, all upper, all lower.
		{account.NetworkEthereum, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", ""},
		{account.NetworkEthereum, "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359", ""},
		{account.NetworkEthereum, "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB", ""},
		{account.NetworkEthereum, "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb", ""},
		{account.NetworkEthereum, "0x52908400098527886E0F7030069857D2E4169EE7", ""},
		{account.NetworkEthereum, "0xde709f2102306220921060314715629080e2fb77", ""},
		{account.NetworkEthereum, "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", ""},
		{account.NetworkEthereum, "0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED", ""},
		{account.NetworkEthereum, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Beaed", "checksum"},
		{account.NetworkEthereum, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAee", "checksum"},
		{account.NetworkEthereum, "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x and 40"},
		{account.NetworkEthereum, "0X5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x and 40"},
		{account.NetworkEthereum, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe", "0x and 40"},
		{account.NetworkEthereum, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeg", "outside hex"},
		{account.NetworkEthereum, "0x0000000000000000000000000000000000000000", "nobody's"},

		{account.NetworkStripe, "acct_1032D82eZvKYlo2C", ""},
		{account.NetworkStripe, "acct1032D82eZvKYlo2C", "Stripe"},
		{account.NetworkStripe, "acct_", "Stripe"},
		{account.NetworkStripe, "acct_10 32", "Stripe"},
		{account.NetworkStripe, "ACCT_1032D82eZvKYlo2C", "Stripe"},
		{account.NetworkStripe, "ac_1AB", ""},
		{account.NetworkStripe, "a_1AB", "Stripe"},
		{account.NetworkStripe, "ac_1A", "Stripe"},
		{account.NetworkStripe, "acct_" + strings.Repeat("a", 250), ""},
		{account.NetworkStripe, "acct_" + strings.Repeat("a", 251), "Stripe"},

		{"dogecoin", "D7Y55r5f6cBqJhZNJmqxMnoJf7hQmYQk7P", "no known network"},
	} {
		err := account.CheckWallet(row.network, row.address)
		if row.fault == "" {
			require.NoError(t, err, row.address)
			continue
		}
		require.True(t, domain.IsCode(err, domain.CodeFieldInvalid), "%s: %v", row.address, err)
		require.ErrorContains(t, err, row.fault, row.address)
		require.ErrorContains(t, err, "wallet_address")
	}
}

// TestOneWrongDigit: a checksummed address with one letter's case turned never
// passes unless that leaves it in one case.
func TestOneWrongDigit(t *testing.T) {
	const good = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(2, len(good)-1).Draw(t, "at")
		turned := strings.ToUpper(good[at : at+1])
		if turned == good[at:at+1] {
			turned = strings.ToLower(turned)
		}
		bad := good[:at] + turned + good[at+1:]
		if err := account.CheckWallet(account.NetworkEthereum, bad); bad != good && err == nil {
			t.Fatalf("%s passes", bad)
		}
	})
}

func TestParseNetwork(t *testing.T) {
	n, err := account.ParseNetwork("solana")
	require.NoError(t, err)
	require.Equal(t, account.NetworkSolana, n)
	for _, text := range []string{"", "Solana", "bitcoin", strings.Repeat("x", 1000)} {
		_, err := account.ParseNetwork(text)
		require.True(t, domain.IsCode(err, domain.CodeFieldInvalid), "%v", err)
		require.Less(t, len(err.Error()), 250)
	}
}
