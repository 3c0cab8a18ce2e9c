package eventstore

import (
	"encoding/hex"
	"fmt"
	"strconv"
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

// EncodeMetadata gives the stored form of metadata.
func EncodeMetadata(m Metadata) ([]byte, error) {
	return AppendMetadata(make([]byte, 0, 384), &m)
}

// AppendMetadata appends the stored form of metadata to b.
func AppendMetadata(b []byte, m *Metadata) ([]byte, error) {
	if longer, ok := m.appendJSON(b); ok {
		return longer, nil
	}
	text, err := json.Marshal(m)
	if err != nil {
		return b, fmt.Errorf("encode metadata: %w", err)
	}
	return append(b, text...), nil
}

// DecodeMetadata reads it back.
func DecodeMetadata(b []byte) (Metadata, error) {
	var m Metadata
	if m.parseJSON(b) {
		return m, nil
	}
	m = Metadata{}
	if err := decodeObject(b, &m); err != nil {
		return Metadata{}, fmt.Errorf("decode metadata: %w", err)
	}
	return m, nil
}

// appendJSON is the fast way of EncodeMetadata (domain/canonical.go).
func (m *Metadata) appendJSON(b []byte) ([]byte, bool) {
	ok := true
	text := func(name, value string, always bool) {
		if ok && (always || value != "") {
			b, ok = domain.AppendJSONString(append(b, name...), value)
		}
	}
	b = domain.AppendJSONTime(append(b, `{"recorded_at":`...), m.RecordedAt)
	text(`,"actor":`, m.Actor, true)
	text(`,"role":`, m.Role, true)
	text(`,"key":`, m.Key, false)
	text(`,"request_id":`, m.RequestID, false)
	if m.Command != (Command{}) {
		b = append(b, `,"command":{`...)
		if m.Command.ID != "" {
			text(`"id":`, m.Command.ID, true)
			b = append(b, ',')
		}
		if m.Command.Fingerprint != "" {
			text(`"fingerprint":`, m.Command.Fingerprint, true)
			b = append(b, ',')
		}
		if m.Command.Index != 0 {
			b = append(strconv.AppendInt(append(b, `"index":`...), int64(m.Command.Index), 10), ',')
		}
		b = append(strconv.AppendInt(append(b, `"count":`...), int64(m.Command.Count), 10), '}')
	}
	b = hex.AppendEncode(append(b, `,"previous":"`...), m.Previous[:])
	return append(b, `"}`...), ok
}

// parseJSON is the fast way of DecodeMetadata.
func (m *Metadata) parseJSON(text []byte) bool {
	s := domain.NewJSONScanner(text)
	s.Literal(`{"recorded_at":"`)
	m.RecordedAt = s.Time()
	s.Literal(`,"actor":"`)
	m.Actor = Intern(s.Text())
	s.Literal(`,"role":"`)
	m.Role = Intern(s.Text())
	if s.Optional(`,"key":"`) {
		m.Key = Intern(s.Text())
	}
	if s.Optional(`,"request_id":"`) {
		m.RequestID = s.String()
	}
	if s.Optional(`,"command":{`) {
		if s.Optional(`"id":"`) {
			m.Command.ID = s.String()
			s.Literal(`,`)
		}
		if s.Optional(`"fingerprint":"`) {
			m.Command.Fingerprint = s.String()
			s.Literal(`,`)
		}
		if s.Optional(`"index":`) {
			m.Command.Index = int(s.Int())
			s.Literal(`,`)
		}
		s.Literal(`"count":`)
		m.Command.Count = int(s.Int())
		s.Literal(`}`)
	}
	s.Literal(`,"previous":"`)
	hash := s.Text()
	s.Literal(`}`)
	return s.Done() && m.Previous.UnmarshalText(hash) == nil
}
