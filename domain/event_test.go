package domain_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"iocredits/domain"
)

func TestCheckID(t *testing.T) {
	const invalid = domain.CodeIDInvalid
	cases := []struct {
		text string
		code domain.Code
	}{
		{"a", valid},
		{"0", valid},
		{"AZaz09._:-@", valid},
		{"user@example.org", valid},
		{"...", valid},
		{"a..b", valid},
		{strings.Repeat("x", 128), valid},
		{"", invalid},
		{strings.Repeat("x", 129), invalid},
		{strings.Repeat("é", 1000), invalid},
		{".", invalid},
		{"..", invalid},
		{"a b", invalid},
		{"a/b", invalid},
		{"a\\b", invalid},
		{"a|b", invalid},
		{"a%2fb", invalid},
		{"a\x00", invalid},
		{"a\n", invalid},
		{"é", invalid},
		{strings.Repeat("x", 39) + "é", invalid},
		{"\xff", invalid},
		{"a+b", invalid},
		{"a#", invalid},
		{"a?", invalid},
	}
	for _, c := range cases {
		t.Run(strings.ToValidUTF8(c.text, "?"), func(t *testing.T) {
			checkRefusal(t, domain.CheckID("account", c.text), c.code)
		})
	}
	for c := range 256 {
		text := string([]byte{'a', byte(c)})
		want := strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-@", rune(c))
		if got := domain.CheckID("account", text) == nil; got != want {
			t.Errorf("byte %#x: accepted is %t", c, got)
		}
	}
}

func TestTransactionID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		revision := rapid.OneOf(rapid.Int64Range(0, 1<<48-1), rapid.SampledFrom([]int64{0, 1, 1<<48 - 1})).Draw(t, "revision")
		digest := [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "digest"))
		id := domain.NewTransactionID(revision, digest)
		if id.Version() != 8 || id.Variant() != uuid.RFC4122 {
			t.Fatalf("%s has version %d, variant %d", id, id.Version(), id.Variant())
		}
		back, ours := domain.RevisionOf(id)
		if !ours || back != revision {
			t.Fatalf("%s is of revision %d, not %d", id, back, revision)
		}
		if parsed, err := uuid.Parse(id.String()); err != nil || parsed != id {
			t.Fatalf("%s comes back as %s, %v", id, parsed, err)
		}
		other := digest
		other[rapid.IntRange(9, 15).Draw(t, "byte")] ^= 1
		if domain.NewTransactionID(revision, other) == id {
			t.Fatal("another digest, the same id")
		}
	})
	golden := domain.NewTransactionID(0x0102030405, [32]byte{6: 0xff, 7: 0xff, 8: 0xff, 9: 0xff, 15: 0xff, 16: 0xff})
	if got := golden.String(); got != "00010203-0405-8fff-bfff-0000000000ff" {
		t.Errorf("golden id is %s", got)
	}
	for _, foreign := range []uuid.UUID{uuid.Nil, uuid.Max, uuid.MustParse("9f1b6a52-63c3-4a0c-8f4c-0d5d3f3f3f3f")} {
		if _, ours := domain.RevisionOf(foreign); ours {
			t.Errorf("%s passes for one of ours", foreign)
		}
	}
}

func TestParseService(t *testing.T) {
	for _, text := range []string{"ray", "caas", "vm", "kubernetes", "baremetal", "inference"} {
		if s, err := domain.ParseService(text); err != nil || string(s) != text {
			t.Errorf("%s: %s, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "credits", "Ray", "ray ", strings.Repeat("é", 100), "\xff"} {
		_, err := domain.ParseService(text)
		checkRefusal(t, err, domain.CodeFieldInvalid)
	}
}
