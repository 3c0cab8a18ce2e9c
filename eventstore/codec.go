package eventstore

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"

	"iocredits/domain"
)

// Codec turns events into stored JSON and back. It is strict: an unknown type
// or an unknown member is an error, because in a ledger what a reader doesn't
// know may be money.
type Codec struct{ types map[string]domain.EventType }

// NewCodec makes a codec of the given types. It panics on a name given twice:
// that is a mistake in the program.
func NewCodec(types ...domain.EventType) *Codec {
	c := &Codec{types: make(map[string]domain.EventType, len(types))}
	for _, t := range types {
		if _, twice := c.types[t.Name]; twice {
			panic("event type registered twice: " + t.Name)
		}
		c.types[t.Name] = t
	}
	return c
}

// canonical is an event that writes and reads its stored form itself, where it
// can, for speed: the same bytes as the general way.
type canonical interface {
	AppendJSON(b []byte) ([]byte, bool)
	ParseJSON(text []byte) bool
}

// Encode gives the stored form of an event.
func (c *Codec) Encode(event domain.Event) ([]byte, error) {
	return c.Append(make([]byte, 0, 256), event)
}

// Append appends the stored form of an event to b.
func (c *Codec) Append(b []byte, event domain.Event) ([]byte, error) {
	t, known := c.types[event.EventName()]
	if !known || t.Upcast != nil {
		return b, fmt.Errorf("event type %q is not one that is written", event.EventName())
	}
	if fast, ok := event.(canonical); ok {
		if longer, done := fast.AppendJSON(b); done {
			return longer, nil
		}
	}
	data, err := json.Marshal(event, json.Deterministic(true))
	if err != nil {
		return b, fmt.Errorf("encode %s: %w", event.EventName(), err)
	}
	return append(b, data...), nil
}

// Decode reads a stored event of any version ever written, as the current one.
func (c *Codec) Decode(name string, data []byte) (domain.Event, error) {
	t, known := c.types[name]
	if !known {
		return nil, fmt.Errorf("event type %q is unknown to this version", name)
	}
	event := t.New()
	if fast, ok := event.(canonical); ok && t.Upcast == nil {
		if fast.ParseJSON(data) {
			return event, nil
		}
		event = t.New()
	}
	if err := decodeObject(data, event); err != nil {
		return nil, fmt.Errorf("decode %s: %w", name, err)
	}
	if t.Upcast != nil {
		event = t.Upcast(event)
	}
	return event, nil
}

// decodeObject refuses null too, which would pass for an event of zeros.
func decodeObject(b []byte, into any) error {
	if len(b) == 0 || b[0] != '{' {
		return errors.New("not a JSON object")
	}
	return json.Unmarshal(b, into, json.RejectUnknownMembers(true))
}

// Fact is a recorded event, decoded.
type Fact struct {
	Recorded
	// Meta is never nil, and MUST NOT be changed: others may have it too.
	Meta *Metadata
	Body domain.Event
}

// Open decodes a recorded event. An event that can't be decoded is a *CorruptError.
func (c *Codec) Open(r Recorded) (Fact, error) { return c.OpenIn(nil, r) }

// OpenIn is Open with room for the metadata, if they have to be decoded; nil: they get
// memory of their own.
func (c *Codec) OpenIn(room *Metadata, r Recorded) (Fact, error) {
	if w := r.Written; w != nil {
		return Fact{Recorded: r, Meta: &w.Meta, Body: w.Body}, nil
	}
	body, err := c.Decode(r.Type, r.Data)
	if err != nil {
		return Fact{}, &CorruptError{Position: r.Position, Stream: r.Stream, Revision: r.Revision, Reason: err.Error()}
	}
	meta, err := DecodeMetadata(r.Metadata)
	if err != nil {
		return Fact{}, &CorruptError{Position: r.Position, Stream: r.Stream, Revision: r.Revision, Reason: err.Error()}
	}
	if room == nil {
		room = new(Metadata)
	}
	*room = meta
	return Fact{Recorded: r, Meta: room, Body: body}, nil
}
