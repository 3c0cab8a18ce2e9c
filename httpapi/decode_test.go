package httpapi

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/httpapi/api"
)

// Whatever comes in is a request or a refusal that can be written as JSON.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"account":"a","key":"k","amount":"1","service":"vm"}`, `{"amount":1e400}`, `{"amount":NaN}`, `{"amount":-Infinity}`, `{"amount":{"a":[1]}}`,
		`{"effective_at":"x"}`, `{"\ud800":1}`, "{\"\xff\":1}", `{"a/b~c":{}}`, `{"key":"a","key":"b"}`, `[`, ``, `null`, `{"amount":"\u0000"}`,
	} {
		f.Add([]byte(seed))
	}
	k := &call{}
	f.Fuzz(func(t *testing.T, body []byte) {
		var line api.BatchLine
		err := decodeObject(body, &line)
		if err == nil {
			line.Description = nil // sealing needs an engine
			_, _, err = (&batch{call: k}).orderOf(&line)
		}
		if err == nil {
			return
		}
		refusal, ok := domain.AsError(err)
		if !ok {
			t.Fatalf("%q: %v is no refusal", body, err)
		}
		if row, known := problems[refusal.Code]; !known || row.Status < 400 || row.Status >= 500 {
			t.Fatalf("%q: %v blames the engine", body, err)
		}
		for _, field := range refusal.Fields {
			if !utf8.ValidString(field.Value) || len(field.Value) > 256 {
				t.Fatalf("%q: field %s is %q", body, field.Name, field.Value)
			}
		}
		if !utf8.ValidString(refusal.Detail) || len(refusal.Detail) > 1024 {
			t.Fatalf("%q: detail is %q", body, refusal.Detail)
		}
	})
}

// A time that is written twice, and one after it, read as they would alone.
func TestTimesOfADocument(t *testing.T) {
	first := time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)
	berlin := first.In(time.FixedZone("CET", 3600))
	longest := time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)
	var d document
	d.open()
	for i, at := range []time.Time{first, first, berlin, longest, first, {}, longest.AddDate(-9000, 0, 0)} {
		d.time(string(rune('a'+i)), at)
	}
	d.close()
	require.JSONEq(t, `{"a":"2026-03-01T12:00:00.123456Z","b":"2026-03-01T12:00:00.123456Z","c":"2026-03-01T12:00:00.123456Z",
		"d":"9999-12-31T23:59:59.999999999Z","e":"2026-03-01T12:00:00.123456Z","f":null,"g":"0999-12-31T23:59:59.999999999Z"}`, string(d.b))
}

// TestAnIDIsFingerprintedInLowerCase: that is how the engine writes ids, and so how
// they stand in what keys are bound to already.
func TestAnIDIsFingerprintedInLowerCase(t *testing.T) {
	const lower = "00000000-0001-8e49-9abc-0000000000ff"
	for _, text := range []string{lower, strings.ToUpper(lower)} {
		if id, err := canonicalTransactionID("transaction_id", &text); err != nil || text != lower || id.String() != lower {
			t.Errorf("%s, %v: %v", text, id, err)
		}
	}
}
