package account

import (
	"encoding/hex"
	"strings"

	"golang.org/x/crypto/sha3"

	"iocredits/domain"
)

// Network is where a withdrawal is paid out.
type Network string

// The networks of api.md.
const (
	NetworkSolana   Network = "solana"
	NetworkEthereum Network = "ethereum"
	NetworkStripe   Network = "stripe"
)

// ParseNetwork accepts a network that we pay on. Error: CodeFieldInvalid.
func ParseNetwork(text string) (Network, error) {
	switch n := Network(text); n {
	case NetworkSolana, NetworkEthereum, NetworkStripe:
		return n, nil
	}
	return "", badField("network", text, "is none of solana, ethereum, stripe")
}

// CheckWallet accepts an address of its network's form, because what is sent to
// a mistyped one never comes back. Addresses are sealed before they enter a
// command, so whoever seals MUST call it first. Error: CodeFieldInvalid.
func CheckWallet(network Network, address string) error {
	why := "is on no known network"
	switch network {
	case NetworkSolana:
		why = solanaFault(address)
	case NetworkEthereum:
		why = ethereumFault(address)
	case NetworkStripe:
		why = stripeFault(address)
	}
	if why == "" {
		return nil
	}
	return badField("wallet_address", address, why)
}

func badField(field, text, why string) error {
	const most = 100 // more of a mistaken text helps nobody
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return domain.Refuse(domain.CodeFieldInvalid, "%s %q %s", field, text, why).With("field", field).With("value", text)
}

// nobodys is an address of zeros: it is of the right form, and nobody has its key.
const nobodys = "is nobody's address: what is sent there is lost"

// noWallets are addresses of the right form that people copy from where a token or a
// program is described, in lower case where case says nothing.
var noWallets = map[string]string{
	"EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v": "is USDC itself and no wallet: what is sent there is lost",
	"TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA":  "is Solana's token program and no wallet: what is sent there is lost",
	"0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48":   "is USDC itself and no wallet: what is sent there is lost",
}

// solanaFault says what is wrong with the base58 form of a 32-byte public key.
func solanaFault(address string) string {
	const size = 32
	// 44 digits hold 32 bytes; a longer text isn't worth decoding.
	if len(address) < size || len(address) > 44 {
		return "is no Solana address: those have 32 to 44 base58 digits"
	}
	switch n, ok := base58Size(address); {
	case !ok:
		return "is no Solana address: it has a character outside base58 (which has no 0, O, I, l)"
	case n != size:
		return "is no Solana address: it doesn't decode to 32 bytes"
	case strings.Trim(address, "1") == "":
		return nobodys
	}
	return noWallets[address]
}

// base58Size is the number of bytes that a base58 text decodes to: a byte for
// each leading "1", then those of the number that the other digits make.
func base58Size(text string) (size int, ok bool) {
	const digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	zeros := len(text) - len(strings.TrimLeft(text, "1"))
	var number []byte // little endian
	for _, c := range []byte(text[zeros:]) {
		carry := strings.IndexByte(digits, c)
		if carry < 0 {
			return 0, false
		}
		for i := range number {
			carry += int(number[i]) * 58
			number[i] = byte(carry)
			carry >>= 8
		}
		if carry > 0 {
			number = append(number, byte(carry))
		}
	}
	return zeros + len(number), true
}

// ethereumFault says what is wrong with an address of 20 bytes in hex. In mixed
// case the cases are a checksum (EIP-55); one case throughout has none.
func ethereumFault(address string) string {
	digits, prefixed := strings.CutPrefix(address, "0x")
	if !prefixed || len(digits) != 40 {
		return "is no Ethereum address: those are 0x and 40 hex digits"
	}
	if _, err := hex.DecodeString(digits); err != nil {
		return "is no Ethereum address: it has a character outside hex"
	}
	if strings.Trim(digits, "0") == "" {
		return nobodys
	}
	oneCase := digits == strings.ToLower(digits) || digits == strings.ToUpper(digits)
	if !oneCase && digits != eip55(digits) {
		return "has a wrong checksum (EIP-55): a digit or a case is mistyped"
	}
	return noWallets[strings.ToLower(address)]
}

// eip55 writes hex digits in the case of their checksum: upper where the digit
// of the lower-case text's Keccak-256 at the same place is 8 or more.
func eip55(digits string) string {
	text := []byte(strings.ToLower(digits))
	keccak := sha3.NewLegacyKeccak256()
	keccak.Write(text)
	sum := hex.EncodeToString(keccak.Sum(nil))
	for i, c := range text {
		if c >= 'a' && sum[i] >= '8' {
			text[i] = c - 'a' + 'A'
		}
	}
	return string(text)
}

// stripeFault says what is wrong with an id of Stripe: a type in lower case, an
// underscore, letters and digits (acct_1032D82eZvKYlo2C); 255 bytes at most.
func stripeFault(id string) string {
	const (
		fault     = "is no id of Stripe, such as acct_1032D82eZvKYlo2C"
		lowerCase = "abcdefghijklmnopqrstuvwxyz"
	)
	kind, rest, _ := strings.Cut(id, "_")
	if len(id) > 255 || len(kind) < 2 || len(rest) < 3 {
		return fault
	}
	const rests = lowerCase + "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
	if strings.Trim(kind, lowerCase) != "" || strings.Trim(rest, rests) != "" {
		return fault
	}
	return ""
}
