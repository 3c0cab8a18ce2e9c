package domain_test

import (
	"math"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"iocredits/domain"
)

// scan reads text with one method and tells whether all of it was understood.
func scan[T any](text string, read func(*domain.JSONScanner) T) (T, bool) {
	s := domain.NewJSONScanner([]byte(text))
	v := read(&s)
	return v, s.Done()
}

func TestScannerReadsWhatIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64().Draw(t, "int")
		if got, ok := scan(strconv.FormatInt(n, 10), (*domain.JSONScanner).Int); !ok || got != n {
			t.Fatalf("%d reads as %d, %t", n, got, ok)
		}
		amount := domain.Amount(rapid.Int64Min(math.MinInt64+1).Draw(t, "amount"))
		if got, ok := scan(string(domain.AppendJSONAmount(nil, amount))[1:], (*domain.JSONScanner).Amount); !ok || got != amount {
			t.Fatalf("%s reads as %s, %t", amount, got, ok)
		}
		at := time.Unix(rapid.Int64Range(0, 1<<36).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
		if got, ok := scan(string(domain.AppendJSONTime(nil, at))[1:], (*domain.JSONScanner).Time); !ok || got != at {
			t.Fatalf("%s reads as %s, %t", at, got, ok)
		}
		text := rapid.String().Draw(t, "text")
		if quoted, plain := domain.AppendJSONString(nil, text); plain {
			if got, ok := scan(string(quoted[1:]), (*domain.JSONScanner).String); !ok || got != text {
				t.Fatalf("%q reads as %q, %t", text, got, ok)
			}
		}
	})
}

func TestScannerRefuses(t *testing.T) {
	for _, text := range []string{``, `-`, `00`, `01`, `-0`, `-01`, `1.5`, `1e3`, `+1`, ` 1`, `9223372036854775808`} {
		if got, ok := scan(text, (*domain.JSONScanner).Int); ok {
			t.Errorf("int %s reads as %d", text, got)
		}
	}
	for _, text := range []string{`1`, `"`, `01"`, `1.0000001"`, `1e3"`, `1""`, `\u0031"`, `9223372036854.775808"`} {
		if got, ok := scan(text, (*domain.JSONScanner).Amount); ok {
			t.Errorf("amount %s reads as %s", text, got)
		}
	}
	for _, text := range []string{
		`"`, `2026-03-01"`, `2026-03-01T10:00:00"`, `2026-03-01T10:00:00+01:00"`, `2026-03-01T1:00:00Z"`, `2026-03-01 10:00:00Z"`,
		`2026-03-01T10:00:00X"`, `20a6-03-01T10:00:00Z"`, `20/6-03-01T10:00:00Z"`, `2026-03-01T10:00:00.Z"`, `2026-03-01T10:00:00.5:Z"`, `2026-03-01T10:00:00.5/Z"`,
		`2026-03-01T10:00:00.1234567890Z"`, `2026-02-30T10:00:00Z"`, `2026-00-01T10:00:00Z"`, `2026-03-00T10:00:00Z"`, `2026-03-01T10:60:00Z"`, `2026-03-01T10:00:60Z"`,
		`2026-13-01T10:00:00Z"`, `2026-03-01T24:00:00Z"`, `2026-03-01T10:00:00,5Z"`, `2026-03-01T10:00:00Z`,
	} {
		if got, ok := scan(text, (*domain.JSONScanner).Time); ok {
			t.Errorf("time %s reads as %s", text, got)
		}
	}
	for _, text := range []string{`open`, `a\n"`, "é\"", "\x01\""} {
		if got, ok := scan(text, (*domain.JSONScanner).String); ok {
			t.Errorf("string %s reads as %q", text, got)
		}
	}
	for _, odd := range []string{`"`, `\`, "é", "\x7f", "\n"} {
		if got, plain := domain.AppendJSONString(nil, odd); plain {
			t.Errorf("%q is written as %s", odd, got)
		}
	}
}

// TestScannerReadsUpToTheBounds: the last of each, and no more than is there.
func TestScannerReadsUpToTheBounds(t *testing.T) {
	s := domain.NewJSONScanner([]byte(`{"n":9223372036854775807,"at":"2026-12-31T23:59:59.5Z"}}`)[:55]) // the second brace is beyond
	s.Literal(`{"n":`)
	n := s.Int()
	s.Literal(`,"at":"`)
	at := s.Time()
	if s.Optional(`}}`) {
		t.Error("it reads more than there is")
	}
	s.Literal(`}`)
	if want := time.Date(2026, 12, 31, 23, 59, 59, 5e8, time.UTC); n != math.MaxInt64 || at != want || !s.Done() {
		t.Errorf("%d at %s, %t", n, at, s.Done())
	}
}

// TestScannerStaysFailed: after what it can't read, nothing more is read.
func TestScannerStaysFailed(t *testing.T) {
	s := domain.NewJSONScanner([]byte(`{"a":1,"b":"2"}`))
	s.Literal(`{"b":`)
	if s.Optional(`{`) || s.Int() != 0 || s.Text() != nil || s.Done() {
		t.Error("it goes on")
	}
	s.Literal(`{"a":1,"b":"2"}`)
	if s.Done() {
		t.Error("it is done")
	}
}
