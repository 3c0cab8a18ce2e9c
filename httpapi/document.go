package httpapi

import (
	"encoding/hex"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"iocredits/domain"
)

// document is a JSON text that is written member by member. Answers have one
// form, known here, so nothing has to find it out by reflection every time; the
// tests hold each answer against openapi.yaml.
type document struct {
	b []byte
	// last is the time that was written last, and how: an entry mostly counts from
	// when it was recorded, and formatting a time is what costs most of it.
	last    time.Time
	written [48]byte // more than any time.Time needs
	length  int
}

var documents = sync.Pool{New: func() any { return &document{b: make([]byte, 0, 2<<10)} }}

// maxPooled keeps the pool from holding on to the largest answer ever given.
const maxPooled = 64 << 10

func newDocument() *document {
	d, _ := documents.Get().(*document)
	d.b = d.b[:0]
	return d
}

func (d *document) free() {
	if cap(d.b) <= maxPooled {
		documents.Put(d)
	}
}

// comma separates from what stands before, if anything does.
func (d *document) comma() {
	if n := len(d.b); n > 0 {
		switch d.b[n-1] {
		case '{', '[', ':', '\n':
		default:
			d.b = append(d.b, ',')
		}
	}
}

// key begins a member. Names are ours and need no escapes.
func (d *document) key(name string) {
	d.comma()
	d.b = append(d.b, '"')
	d.b = append(d.b, name...)
	d.b = append(d.b, '"', ':')
}

func (d *document) open() {
	d.comma()
	d.b = append(d.b, '{')
}

func (d *document) close() { d.b = append(d.b, '}') }

func (d *document) object(name string) {
	d.key(name)
	d.b = append(d.b, '{')
}

func (d *document) array(name string) {
	d.key(name)
	d.b = append(d.b, '[')
}

func (d *document) end() { d.b = append(d.b, ']') }

// item writes a text of an array.
func (d *document) item(value string) {
	d.comma()
	d.b, _ = jsontext.AppendQuote(d.b, value)
}

func (d *document) line() { d.b = append(d.b, '\n') }

// text writes any string: what isn't UTF-8 gets replacement characters.
func (d *document) text(name, value string) {
	d.key(name)
	if b, plain := domain.AppendJSONString(d.b, value); plain {
		d.b = b
		return
	}
	d.b, _ = jsontext.AppendQuote(d.b, value)
}

// id writes a transaction's id.
func (d *document) id(name string, id uuid.UUID) {
	d.key(name)
	before := byte('"')
	for _, part := range [][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		d.b = hex.AppendEncode(append(d.b, before), part)
		before = '-'
	}
	d.b = append(d.b, '"')
}

// optional leaves the member out if there is no text.
func (d *document) optional(name, value string) {
	if value != "" {
		d.text(name, value)
	}
}

// nullable writes null if there is no text.
func (d *document) nullable(name, value string) {
	if value == "" {
		d.null(name)
		return
	}
	d.text(name, value)
}

func (d *document) null(name string) {
	d.key(name)
	d.b = append(d.b, "null"...)
}

func (d *document) money(name string, a domain.Amount) {
	d.key(name)
	d.b = append(d.b, '"')
	d.b, _ = a.AppendText(d.b)
	d.b = append(d.b, '"')
}

func (d *document) number(name string, n int64) {
	d.key(name)
	d.b = strconv.AppendInt(d.b, n, 10)
}

func (d *document) flag(name string, value bool) {
	d.key(name)
	d.b = strconv.AppendBool(d.b, value)
}

// time writes RFC 3339 in UTC; null for none.
func (d *document) time(name string, t time.Time) {
	if t.IsZero() {
		d.null(name)
		return
	}
	d.key(name)
	if !t.Equal(d.last) {
		text := append(t.UTC().AppendFormat(append(d.written[:0], '"'), time.RFC3339Nano), '"')
		d.last, d.length = t, copy(d.written[:], text)
	}
	d.b = append(d.b, d.written[:d.length]...)
}

// moment writes a time; it leaves the member out if there is none.
func (d *document) moment(name string, t time.Time) {
	if !t.IsZero() {
		d.time(name, t)
	}
}

// raw writes a value that is JSON already, byte for byte.
func (d *document) raw(name string, value []byte) {
	d.key(name)
	d.b = append(d.b, value...)
}

func timeText(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
