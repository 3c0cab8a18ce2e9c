package eventstore_test

import (
	"math"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
)

// The fast way of the codec must be the general way: for every event that it
// takes, and for every text.

func drawText() *rapid.Generator[string] {
	return rapid.OneOf(rapid.StringMatching(`[a-zA-Z0-9._:@-]{0,20}`), rapid.String())
}

func drawAmount(t *rapid.T, label string) domain.Amount {
	return domain.Amount(rapid.OneOf(rapid.Int64Min(math.MinInt64+1), rapid.Int64Range(-2_000_000, 2_000_000)).Draw(t, label))
}

func drawTime(t *rapid.T, label string) time.Time {
	if rapid.Bool().Draw(t, label+" set") {
		return time.Unix(rapid.Int64Range(0, 4_000_000_000).Draw(t, label), rapid.Int64Range(0, 999_999_999).Draw(t, label+" ns")).UTC()
	}
	return time.Time{}
}

func drawLots(t *rapid.T) []account.LotUse {
	var lots []account.LotUse
	for range rapid.IntRange(0, 3).Draw(t, "lots") {
		lots = append(lots, account.LotUse{
			Lot:    rapid.Int64().Draw(t, "lot"),
			Class:  account.Class(rapid.OneOf(rapid.SampledFrom([]string{"promotional", "purchased"}), drawText()).Draw(t, "class")),
			Amount: drawAmount(t, "lot amount"), ExpiresAt: drawTime(t, "expires"),
		})
	}
	return lots
}

func drawPart(t *rapid.T) account.Part {
	if rapid.IntRange(0, 9).Draw(t, "split") > 0 {
		return account.Part{}
	}
	return account.Part{Index: rapid.Int().Draw(t, "part"), Count: rapid.Int().Draw(t, "parts")}
}

func drawRate(t *rapid.T) (r domain.Rate) {
	r, err := domain.ParseRate("r", rapid.StringMatching(`(0|[1-9][0-9]{0,8})(\.[0-9]{1,12})?`).Draw(t, "rate"))
	require.NoError(t, err)
	return r
}

func drawQuantity(t *rapid.T) domain.Quantity {
	q, err := domain.ParseQuantity("q", rapid.StringMatching(`(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?`).Draw(t, "quantity"))
	require.NoError(t, err)
	return q
}

func drawEvent(t *rapid.T) domain.Event {
	if rapid.Bool().Draw(t, "deducted") {
		return &account.Deducted{
			Amount: drawAmount(t, "amount"), Service: domain.Service(drawText().Draw(t, "service")),
			Reference: drawText().Draw(t, "reference"), Description: domain.Sealed(drawText().Draw(t, "description")),
			EffectiveAt: drawTime(t, "effective"), Lots: drawLots(t), Debt: drawAmount(t, "debt"), Part: drawPart(t),
		}
	}
	return &account.UsageMetered{
		Meter: drawText().Draw(t, "meter"), Service: domain.Service(drawText().Draw(t, "service")),
		Quantity: drawQuantity(t), UnitPrice: drawRate(t), Amount: drawAmount(t, "amount"),
		Accrued:   domain.Accrual{Charged: drawAmount(t, "charged"), Carry: rapid.Int64().Draw(t, "carry")},
		Reference: drawText().Draw(t, "reference"), EffectiveAt: drawTime(t, "effective"),
		Final: rapid.Bool().Draw(t, "final"), Lots: drawLots(t), Debt: drawAmount(t, "debt"), Part: drawPart(t),
	}
}

func TestFastEncodingIsTheGeneralOne(t *testing.T) {
	codec := eventstore.NewCodec(account.EventTypes()...)
	rapid.Check(t, func(t *rapid.T) {
		event := drawEvent(t)
		general, err := json.Marshal(event, json.Deterministic(true))
		got, gotErr := codec.Encode(event)
		require.Equal(t, err == nil, gotErr == nil)
		if err != nil {
			return
		}
		require.Equal(t, string(general), string(got))
		back, err := codec.Decode(event.EventName(), got)
		require.NoError(t, err)
		want := codec2(t, event.EventName(), general)
		require.Equal(t, want, back)
	})
}

// codec2 decodes the general way only.
func codec2(t require.TestingT, name string, data []byte) domain.Event {
	for _, et := range account.EventTypes() {
		if et.Name == name {
			event := et.New()
			require.NoError(t, json.Unmarshal(data, event, json.RejectUnknownMembers(true)))
			return event
		}
	}
	return nil
}

func TestFastMetadataIsTheGeneralOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := eventstore.Metadata{
			RecordedAt: drawTime(t, "recorded"), Actor: drawText().Draw(t, "actor"), Role: drawText().Draw(t, "role"),
			Key: drawText().Draw(t, "key"), RequestID: drawText().Draw(t, "request"),
		}
		if rapid.Bool().Draw(t, "command") {
			m.Command = eventstore.Command{
				ID: drawText().Draw(t, "id"), Fingerprint: drawText().Draw(t, "fingerprint"),
				Index: rapid.Int().Draw(t, "index"), Count: rapid.Int().Draw(t, "count"),
			}
		}
		for i := range m.Previous {
			m.Previous[i] = rapid.Byte().Draw(t, "previous")
		}
		general, err := json.Marshal(m)
		got, gotErr := eventstore.EncodeMetadata(m)
		require.Equal(t, err == nil, gotErr == nil)
		if err != nil {
			return
		}
		require.Equal(t, string(general), string(got))
		back, err := eventstore.DecodeMetadata(got)
		require.NoError(t, err)
		require.Equal(t, m, back)
	})
}

// FuzzFastDecoding: what the fast way accepts, the general way reads the same.
func FuzzFastDecoding(f *testing.F) {
	f.Add(true, []byte(`{"amount":"0.000001","service":"inference","reference":"r","lots":[{"lot":0,"class":"purchased","amount":"0.000001"}]}`))
	f.Add(true, []byte(`{"amount":"12.50","service":"vm","effective_at":"2026-01-02T03:04:05.1Z","debt":"1"}`))
	f.Add(false, []byte(`{"meter":"m","service":"inference","quantity":"374","unit_price":"0.00000013","amount":"0.000049","accrued":{"charged":"0.000049","carry":-380000000000},"final":true}`))
	codec := eventstore.NewCodec(account.EventTypes()...)
	f.Fuzz(func(t *testing.T, deducted bool, data []byte) {
		var fast interface {
			domain.Event
			ParseJSON([]byte) bool
		} = new(account.UsageMetered)
		if deducted {
			fast = new(account.Deducted)
		}
		if !fast.ParseJSON(data) {
			return
		}
		want := codec2(t, fast.EventName(), data)
		require.Equal(t, want, fast)
		_, err := codec.Decode(fast.EventName(), data)
		require.NoError(t, err)
	})
}
