package eventstore

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"iocredits/domain"
)

// Metadata is who, when and why of an event. All of it is under the hash chain.
type Metadata struct {
	// RecordedAt is when we learnt the fact; it never goes back in a stream.
	RecordedAt time.Time `json:"recorded_at"`
	Actor      string    `json:"actor"`
	Role       string    `json:"role"`
	// Key is the id of the API key that was used, never the key.
	Key       string `json:"key,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	// Command ties the event to the request that caused it.
	Command Command `json:"command,omitzero"`
	// Previous is the chain hash of the event before it in the stream.
	Previous Hash `json:"previous"`
}

// Command identifies the accepted command that an event came from.
type Command struct {
	// ID is the Idempotency-Key; empty for the engine's own commands.
	ID string `json:"id,omitempty"`
	// Fingerprint is an HMAC over method, path, actor and body (design.md rule 14).
	Fingerprint string `json:"fingerprint,omitempty"`
	// Index and Count place the event among the command's events, from 0.
	Index int `json:"index,omitzero"`
	Count int `json:"count"`
}

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

// Encode gives the stored form of an event.
func (c *Codec) Encode(event domain.Event) ([]byte, error) {
	t, known := c.types[event.EventName()]
	if !known || t.Upcast != nil {
		return nil, fmt.Errorf("event type %q is not one that is written", event.EventName())
	}
	data, err := json.Marshal(event, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", event.EventName(), err)
	}
	return data, nil
}

// Decode reads a stored event of any version ever written, as the current one.
func (c *Codec) Decode(name string, data []byte) (domain.Event, error) {
	t, known := c.types[name]
	if !known {
		return nil, fmt.Errorf("event type %q is unknown to this version", name)
	}
	event := t.New()
	if err := decodeObject(data, event); err != nil {
		return nil, fmt.Errorf("decode %s: %w", name, err)
	}
	if t.Upcast != nil {
		event = t.Upcast(event)
	}
	return event, nil
}

// EncodeMetadata gives the stored form of metadata.
func EncodeMetadata(m Metadata) ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	return b, nil
}

// DecodeMetadata reads it back.
func DecodeMetadata(b []byte) (Metadata, error) {
	var m Metadata
	if err := decodeObject(b, &m); err != nil {
		return Metadata{}, fmt.Errorf("decode metadata: %w", err)
	}
	return m, nil
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
	Meta Metadata
	Body domain.Event
}

// Open decodes a recorded event. An event that can't be decoded is a *CorruptError.
func (c *Codec) Open(r Recorded) (Fact, error) {
	body, err := c.Decode(r.Type, r.Data)
	if err != nil {
		return Fact{}, &CorruptError{Position: r.Position, Stream: r.Stream, Revision: r.Revision, Reason: err.Error()}
	}
	meta, err := DecodeMetadata(r.Metadata)
	if err != nil {
		return Fact{}, &CorruptError{Position: r.Position, Stream: r.Stream, Revision: r.Revision, Reason: err.Error()}
	}
	return Fact{Recorded: r, Meta: meta, Body: body}, nil
}
