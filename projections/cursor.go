package projections

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"iocredits/domain"
)

// cursor says where the next page of a list begins: below an entry. It stays
// right while new entries are written above it.
//
//	base64url( revision:8 index:2 filter:8 )
//
// index is the entry's place in its event, always 0 today. filter keeps a cursor
// from going on with another question than the one it came from.
type cursor struct {
	revision int64
	filter   [8]byte
}

const cursorBytes = 18

func (c cursor) String() string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, cursorBytes), uint64(c.revision))
	b = binary.BigEndian.AppendUint16(b, 0)
	return base64.RawURLEncoding.EncodeToString(append(b, c.filter[:]...))
}

// parseCursor refuses what this filter never gave out.
func parseCursor(text string, filter [8]byte) (cursor, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != cursorBytes || binary.BigEndian.Uint16(b[8:]) != 0 {
		return cursor{}, refuseCursor(text, "is none that a list gave out")
	}
	c := cursor{revision: int64(binary.BigEndian.Uint64(b)), filter: [8]byte(b[10:])}
	if c.filter != filter || c.revision < 0 {
		return cursor{}, refuseCursor(text, "belongs to a list with other filters")
	}
	return c, nil
}

// refuseCursor says what is wrong with a cursor. What the caller sent is cut short.
func refuseCursor(text, why string) error {
	return domain.Refuse(domain.CodeFieldInvalid, "cursor %s", why).With("field", "cursor").With("value", strings.ToValidUTF8(text[:min(len(text), 64)], ""))
}

// hash covers what selects entries, not how many are shown.
func (q Query) hash() [8]byte {
	return hashOf(
		q.Account, string(q.Type), string(q.Service), q.Reference,
		q.From.UTC().Format(time.RFC3339Nano), q.To.UTC().Format(time.RFC3339Nano),
		q.AsOf.UTC().Format(time.RFC3339Nano), q.KnownAt.UTC().Format(time.RFC3339Nano),
	)
}

func hashOf(parts ...string) [8]byte {
	h := sha256.New()
	for _, part := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return [8]byte(h.Sum(nil))
}
