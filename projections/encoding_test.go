package projections

import (
	"bytes"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
)

var moments = rapid.Custom(func(t *rapid.T) time.Time {
	unit := rapid.SampledFrom([]int64{1, 1000, 1e9}).Draw(t, "unit")
	nanos := rapid.Int64Range(0, 1e9-1).Draw(t, "nanos") / unit * unit
	return time.Unix(rapid.Int64Range(-62135596800, 253402300799).Draw(t, "seconds"), nanos).UTC()
})

var ids = rapid.Custom(func(t *rapid.T) uuid.UUID {
	return uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
})

var amounts = rapid.Map(rapid.Int64(), func(n int64) domain.Amount { return domain.Amount(n) })

var lotUses = rapid.Custom(func(t *rapid.T) account.LotUse {
	u := account.LotUse{
		Lot: rapid.Int64Min(0).Draw(t, "lot"), Amount: amounts.Draw(t, "amount"),
		Class: account.Class(rapid.SampledFrom([]string{"promotional", "purchased", ""}).Draw(t, "class")),
	}
	if rapid.Bool().Draw(t, "expires") {
		u.ExpiresAt = moments.Draw(t, "expires_at")
	}
	return u
})

func TestTransactionsComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Transaction{
			ID: ids.Draw(t, "id"), Type: account.EntryType(rapid.String().Draw(t, "type")), Service: domain.Service(rapid.String().Draw(t, "service")),
			Amount: amounts.Draw(t, "amount"), Held: amounts.Draw(t, "held"), BalanceAfter: amounts.Draw(t, "balance_after"),
			RecordedAt: moments.Draw(t, "recorded_at"), Reference: rapid.String().Draw(t, "reference"),
			Description: domain.Sealed(rapid.String().Draw(t, "description")), Actor: rapid.String().Draw(t, "actor"),
			Position: eventstore.Position(rapid.Uint64().Draw(t, "position")),
		}
		want.EffectiveAt = want.RecordedAt
		if rapid.Bool().Draw(t, "late") {
			want.EffectiveAt = moments.Draw(t, "effective_at")
		}
		if rapid.Bool().Draw(t, "related") {
			want.Related = ids.Draw(t, "related")
		}
		if n := rapid.IntRange(0, 5).Draw(t, "lots"); n > 0 {
			want.Lots = rapid.SliceOfN(lotUses, n, n).Draw(t, "lots")
		}
		value := appendTransaction([]byte("before"), &want)
		got, err := decodeTransaction(value[len("before"):])
		require.NoError(t, err)
		require.Equal(t, want, got)
		cut := rapid.IntRange(0, len(value)-len("before")-1).Draw(t, "cut")
		_, err = decodeTransaction(value[len("before"):][:cut])
		require.Error(t, err, "a value that was cut passes")
		_, err = decodeTransaction(append(value[len("before"):], 0))
		require.Error(t, err, "a value with more behind it passes")
	})
}

// A field that someone adds and nobody stores would be lost in silence.
func TestNoFieldIsForgotten(t *testing.T) {
	var entry Transaction
	fill(t, reflect.ValueOf(&entry).Elem())
	got, err := decodeTransaction(appendTransaction(nil, &entry))
	require.NoError(t, err)
	entry.Account, entry.Revision = "", 0
	require.Equal(t, entry, got)

	var balance balanceRecord
	fill(t, reflect.ValueOf(&balance).Elem())
	back, err := decodeBalance(appendBalance(nil, &balance))
	require.NoError(t, err)
	require.Equal(t, balance, back)

	value := appendBalance(nil, &balance)
	for cut := range value {
		_, err := decodeBalance(value[:cut])
		require.Error(t, err, "cut at %d", cut)
	}
}

// fill gives each field, all the way down, a value of its own that isn't zero.
func fill(t *testing.T, v reflect.Value) {
	n := int64(1)
	var into func(reflect.Value)
	into = func(v reflect.Value) {
		n++
		switch {
		case v.Type() == reflect.TypeFor[time.Time]():
			v.Set(reflect.ValueOf(time.Unix(n, n).UTC()))
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				into(v.Field(i))
			}
		case v.Kind() == reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			into(v.Index(0))
			into(v.Index(1))
		case v.Kind() == reflect.Array:
			into(v.Index(0))
		case v.CanInt():
			v.SetInt(n)
		case v.CanUint():
			v.SetUint(uint64(n))
		case v.Kind() == reflect.String:
			v.SetString(string(rune('a' + n)))
		case v.Kind() == reflect.Bool:
			v.SetBool(true)
		default:
			t.Fatalf("a field of type %s: teach the encoding and this test", v.Type())
		}
	}
	into(v)
}

func TestBalancesKeepTheExtremes(t *testing.T) {
	for _, a := range []domain.Amount{math.MinInt64, -1, 0, 1, math.MaxInt64} {
		want := newBalance()
		want.Figures.Paid, want.Position, want.RecordedAt = a, math.MaxUint64, instantOf(time.Unix(0, 0))
		got, err := decodeBalance(appendBalance(nil, &want))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// Whatever bytes a damaged table gives, decoding ends with a value that means
// the same when it is written again, or with an error.
func FuzzDecodeValues(f *testing.F) {
	entry := Transaction{Type: "deduction", Lots: []account.LotUse{{Lot: 1, Class: account.Purchased, Amount: 5}}, RecordedAt: time.Unix(5, 5000)}
	f.Add(appendTransaction(nil, &entry))
	balance := newBalance()
	f.Add(appendBalance(nil, &balance))
	f.Add(bytes.Repeat([]byte{0xff}, 64))
	f.Fuzz(func(t *testing.T, value []byte) {
		if entry, err := decodeTransaction(value); err == nil {
			again, err := decodeTransaction(appendTransaction(nil, &entry))
			require.NoError(t, err)
			require.Equal(t, entry, again)
		}
		if balance, err := decodeBalance(value); err == nil {
			again, err := decodeBalance(appendBalance(nil, &balance))
			require.NoError(t, err)
			require.Equal(t, balance, again)
		}
	})
}

func TestInstantsAreTimes(t *testing.T) {
	require.Equal(t, time.Time{}, instant{}.time())
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanos"))
		require.Equal(t, at.UTC(), instantOf(at).time())
	})
}
