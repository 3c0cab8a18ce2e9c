package httpapi

import (
	"testing"
	"unicode/utf8"

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
