package eventstore_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"iocredits/domain"
	"iocredits/eventstore"
)

// paidV1 was written before amounts had a service; paid is what is written now.
type paidV1 struct {
	Amount domain.Amount `json:"amount"`
}

type paid struct {
	Amount  domain.Amount     `json:"amount"`
	Service domain.Service    `json:"service"`
	Tags    map[string]string `json:"tags,omitempty"`
	Reason  domain.Sealed     `json:"reason,omitempty"`
}

type stranger struct{}

func (*paidV1) EventName() string   { return "paid" }
func (*paid) EventName() string     { return "paid-2" }
func (*stranger) EventName() string { return "stranger" }

func types() []domain.EventType {
	return []domain.EventType{
		{Name: "paid", New: func() domain.Event { return new(paidV1) }, Upcast: func(old domain.Event) domain.Event {
			return &paid{Amount: old.(*paidV1).Amount, Service: domain.ServiceVM}
		}},
		{Name: "paid-2", New: func() domain.Event { return new(paid) }},
	}
}

func TestCodecRoundTrip(t *testing.T) {
	codec := eventstore.NewCodec(types()...)
	event := &paid{Amount: 12_500_000, Service: domain.ServiceRay, Tags: map[string]string{"b": "2", "a": "1"}}
	data, err := codec.Encode(event)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"amount":"12.5","service":"ray","tags":{"a":"1","b":"2"}}`; string(data) != want {
		t.Errorf("encoded as %s", data)
	}
	back, err := codec.Decode("paid-2", data)
	if err != nil || !reflect.DeepEqual(back, event) {
		t.Errorf("decoded as %+v, %v", back, err)
	}
}

func TestCodecUpcasts(t *testing.T) {
	codec := eventstore.NewCodec(types()...)
	got, err := codec.Decode("paid", []byte(`{"amount":"3"}`))
	if want := (&paid{Amount: 3_000_000, Service: domain.ServiceVM}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("decoded as %+v, %v", got, err)
	}
	if _, err := codec.Encode(&paidV1{}); err == nil {
		t.Error("an old version was written")
	}
	if _, err := codec.Encode(&stranger{}); err == nil {
		t.Error("an unregistered type was written")
	}
}

func TestCodecIsStrict(t *testing.T) {
	codec := eventstore.NewCodec(types()...)
	for name, c := range map[string]struct{ typ, data string }{
		"unknown type":            {"paid-3", `{"amount":"1","service":"ray"}`},
		"Go type's name":          {"*eventstore_test.paid", `{"amount":"1"}`},
		"unknown member":          {"paid-2", `{"amount":"1","service":"ray","tip":"1"}`},
		"member in capitals":      {"paid-2", `{"Amount":"1","service":"ray"}`},
		"member twice":            {"paid-2", `{"amount":"1","amount":"2","service":"ray"}`},
		"number for an amount":    {"paid-2", `{"amount":1,"service":"ray"}`},
		"amount out of range":     {"paid-2", `{"amount":"18446744073709551617","service":"ray"}`},
		"member of a new version": {"paid", `{"amount":"1","service":"ray"}`},
		"trailing bytes":          {"paid-2", `{"amount":"1","service":"ray"}{}`},
		"cut":                     {"paid-2", `{"amount":"1","service":"ray"`},
		"invalid UTF-8":           {"paid-2", "{\"amount\":\"1\",\"service\":\"\xff\"}"},
		"null":                    {"paid-2", `null`},
		"array":                   {"paid-2", `[]`},
		"nothing":                 {"paid-2", ``},
	} {
		if got, err := codec.Decode(c.typ, []byte(c.data)); err == nil {
			t.Errorf("%s: decoded as %+v", name, got)
		}
	}
}

func TestTypeRegisteredTwicePanics(t *testing.T) {
	defer func() {
		if text, _ := recover().(string); !strings.Contains(text, "paid-2") {
			t.Errorf("panicked with %q", text)
		}
	}()
	eventstore.NewCodec(append(types(), types()[1])...)
	t.Error("accepted")
}

func TestMetadataRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := eventstore.Metadata{
			RecordedAt: time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC(),
			Actor:      rapid.String().Draw(t, "actor"),
			Role:       rapid.String().Draw(t, "role"),
			Key:        rapid.String().Draw(t, "key"),
			RequestID:  rapid.String().Draw(t, "request"),
			Command: eventstore.Command{
				ID:          rapid.String().Draw(t, "id"),
				Fingerprint: rapid.String().Draw(t, "fingerprint"),
				Index:       rapid.IntRange(0, 100).Draw(t, "index"),
				Count:       rapid.IntRange(0, 100).Draw(t, "count"),
			},
			Previous: eventstore.Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "previous")),
		}
		stored, err := eventstore.EncodeMetadata(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := eventstore.DecodeMetadata(stored)
		if err != nil || got != want {
			t.Fatalf("%s decodes as %+v, %v", stored, got, err)
		}
		again, err := eventstore.EncodeMetadata(got)
		if err != nil || string(again) != string(stored) {
			t.Fatalf("%s encodes again as %s, %v", stored, again, err)
		}
	})
}

func TestMetadataGolden(t *testing.T) {
	zeros := strings.Repeat("0", 64)
	at := time.Date(2026, 11, 23, 9, 0, 0, 120_000_000, time.UTC)
	for want, m := range map[string]eventstore.Metadata{
		`{"recorded_at":"2026-11-23T09:00:00.12Z","actor":"ann","role":"finance","previous":"` + zeros + `"}`: {RecordedAt: at, Actor: "ann", Role: "finance"},
		`{"recorded_at":"2026-11-23T09:00:00.12Z","actor":"ann","role":"finance","key":"k1","request_id":"r1","command":{"id":"c1","fingerprint":"f1","index":1,"count":2},"previous":"` + zeros + `"}`: {
			RecordedAt: at, Actor: "ann", Role: "finance", Key: "k1", RequestID: "r1",
			Command: eventstore.Command{ID: "c1", Fingerprint: "f1", Index: 1, Count: 2},
		},
	} {
		if got, err := eventstore.EncodeMetadata(m); err != nil || string(got) != want {
			t.Errorf("encoded as %s, %v", got, err)
		}
	}
	for _, bad := range []string{``, `null`, `[]`, `{"actor":"a","tip":1}`, `{"actor":"a","actor":"b"}`, `{"previous":"00"}`, `{"recorded_at":"yesterday"}`} {
		if got, err := eventstore.DecodeMetadata([]byte(bad)); err == nil {
			t.Errorf("%s decodes as %+v", bad, got)
		}
	}
}

func TestOpenNamesTheDamagedRecord(t *testing.T) {
	codec := eventstore.NewCodec(types()...)
	meta, err := eventstore.EncodeMetadata(eventstore.Metadata{Actor: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	record := eventstore.Recorded{
		Event:    eventstore.Event{ID: uuid.Max, Type: "paid", Data: []byte(`{"amount":"3"}`), Metadata: meta},
		Stream:   eventstore.AccountStream("acct-1"),
		Revision: 7, Position: 99,
	}
	fact, err := codec.Open(record)
	if err != nil || fact.Meta.Actor != "ann" || fact.Body.(*paid).Amount != 3_000_000 || fact.Position != 99 {
		t.Fatalf("opened as %+v, %v", fact, err)
	}
	for name, spoil := range map[string]func(*eventstore.Recorded){
		"data":     func(r *eventstore.Recorded) { r.Data = r.Data[1:] },
		"metadata": func(r *eventstore.Recorded) { r.Metadata = r.Metadata[1:] },
		"type":     func(r *eventstore.Recorded) { r.Type = "other" },
	} {
		bad := record
		spoil(&bad)
		_, err := codec.Open(bad)
		var corrupt *eventstore.CorruptError
		if !errors.As(err, &corrupt) || corrupt.Position != 99 || corrupt.Stream != record.Stream || corrupt.Revision != 7 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAccountStream(t *testing.T) {
	stream := eventstore.AccountStream("account-x")
	if account, ours := eventstore.AccountOf(stream); !ours || account != "account-x" {
		t.Errorf("%s is of %s, %t", stream, account, ours)
	}
	for _, other := range []string{"$ce-account", "lease-reactor", "Account-x", ""} {
		if _, ours := eventstore.AccountOf(other); ours {
			t.Errorf("%s passes for an account's", other)
		}
	}
}
