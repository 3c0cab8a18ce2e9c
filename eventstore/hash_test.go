package eventstore_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"iocredits/domain"
	"iocredits/eventstore"
)

// link is everything that goes into an event's hash.
type link struct {
	stream   string
	revision int64
	event    eventstore.Event
	previous eventstore.Hash
}

func (l link) hash() eventstore.Hash {
	return eventstore.ChainHash(l.stream, l.revision, l.event, l.previous)
}

func (l link) id() uuid.UUID {
	return eventstore.EventID(l.stream, l.revision, l.event.Type, l.event.Data, l.event.Metadata, l.previous)
}

func golden() link {
	return link{
		stream:   "account-acct-1",
		revision: 7,
		event: eventstore.Event{
			ID:       uuid.MustParse("00000000-0007-8abc-8def-0123456789ab"),
			Type:     "credits-deducted",
			Data:     []byte(`{"amount":"12.5"}`),
			Metadata: []byte(`{"actor":"deployer"}`),
		},
		previous: eventstore.Hash{0: 1, 31: 0xff},
	}
}

// The chain of every ledger hangs on these two values.
func TestGoldenHash(t *testing.T) {
	if got, want := golden().hash().String(), "08bc3dc5f2384442ef40f0f15737757519b96aefed6344cddbfd1ce05df9b0db"; got != want {
		t.Errorf("hash is %s", got)
	}
	if got, want := golden().id().String(), "00000000-0007-8b5d-ab17-99ec50fe7f66"; got != want {
		t.Errorf("id is %s", got)
	}
}

func TestHashCoversEveryPart(t *testing.T) {
	changes := map[string]struct {
		change func(*link)
		inID   bool
	}{
		"stream":      {func(l *link) { l.stream += "x" }, true},
		"revision":    {func(l *link) { l.revision++ }, true},
		"id":          {func(l *link) { l.event.ID[15] ^= 1 }, false},
		"type":        {func(l *link) { l.event.Type = "credits-refunded" }, true},
		"data":        {func(l *link) { l.event.Data = []byte(`{"amount":"12.6"}`) }, true},
		"no data":     {func(l *link) { l.event.Data = nil }, true},
		"metadata":    {func(l *link) { l.event.Metadata = []byte(`{"actor":"deployes"}`) }, true},
		"no metadata": {func(l *link) { l.event.Metadata = nil }, true},
		"previous":    {func(l *link) { l.previous[31] ^= 1 }, true},
		"no previous": {func(l *link) { l.previous = eventstore.Hash{} }, true},
		"stream/type": {func(l *link) { l.stream, l.event.Type = l.stream+"c", l.event.Type[1:] }, true},
		"type/data": {func(l *link) {
			l.event.Type, l.event.Data = l.event.Type+"{", l.event.Data[1:]
		}, true},
		"data/metadata": {func(l *link) {
			l.event.Data, l.event.Metadata = append(bytes.Clone(l.event.Data), '{'), l.event.Metadata[1:]
		}, true},
		"metadata/data": {func(l *link) {
			end := len(l.event.Data) - 1
			l.event.Metadata = append([]byte{'}'}, l.event.Metadata...)
			l.event.Data = l.event.Data[:end]
		}, true},
		"data and metadata swapped": {func(l *link) {
			l.event.Data, l.event.Metadata = l.event.Metadata, l.event.Data
		}, true},
	}
	hashes := map[eventstore.Hash]string{golden().hash(): "unchanged"}
	ids := map[uuid.UUID]string{golden().id(): "unchanged"}
	for name, c := range changes {
		l := golden()
		c.change(&l)
		if other, twice := hashes[l.hash()]; twice {
			t.Errorf("%s and %s have one hash", name, other)
		}
		hashes[l.hash()] = name
		if !c.inID {
			continue
		}
		if other, twice := ids[l.id()]; twice {
			t.Errorf("%s and %s have one id", name, other)
		}
		ids[l.id()] = name
	}
}

// Two ways to cut the same bytes into parts never hash alike.
func TestHashKeepsPartsApart(t *testing.T) {
	cut := func(t *rapid.T, name, all string) link {
		a := rapid.IntRange(0, len(all)).Draw(t, name+" a")
		b := rapid.IntRange(a, len(all)).Draw(t, name+" b")
		c := rapid.IntRange(b, len(all)).Draw(t, name+" c")
		l := golden()
		l.stream, l.event.Type, l.event.Data, l.event.Metadata = all[:a], all[a:b], []byte(all[b:c]), []byte(all[c:])
		return l
	}
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.StringOfN(rapid.RuneFrom([]rune{0, 1, 4, 'a'}), 0, 12, -1).Draw(t, "bytes")
		x, y := cut(t, "x", all), cut(t, "y", all)
		same := x.stream == y.stream && x.event.Type == y.event.Type &&
			bytes.Equal(x.event.Data, y.event.Data) && bytes.Equal(x.event.Metadata, y.event.Metadata)
		if same != (x.hash() == y.hash()) || same != (x.id() == y.id()) {
			t.Fatalf("%+v and %+v: same is %t", x, y, same)
		}
	})
}

func TestEventIDHoldsTheRevision(t *testing.T) {
	for _, revision := range []int64{0, 1, 1 << 40, 1<<48 - 1} {
		l := golden()
		l.revision = revision
		if got, ours := domain.RevisionOf(l.id()); !ours || got != revision {
			t.Errorf("id %s is of revision %d", l.id(), got)
		}
	}
}

func TestHashText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := eventstore.Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
		text, err := h.MarshalText()
		if err != nil || string(text) != h.String() || string(text) != hex.EncodeToString(h[:]) {
			t.Fatalf("text %s, %v", text, err)
		}
		var back eventstore.Hash
		if err := back.UnmarshalText(text); err != nil || back != h {
			t.Fatalf("%s comes back as %s, %v", h, back, err)
		}
	})
	good := golden().hash().String()
	for _, text := range []string{"", good[:62], good + "00", "0x" + good[2:], strings.Repeat("g", 64), strings.Repeat("AB", 32), good[:63] + " "} {
		h := golden().previous
		if err := h.UnmarshalText([]byte(text)); err == nil || h != golden().previous {
			t.Errorf("%q reads as %s, %v", text, h, err)
		}
	}
}
