package domain

import (
	"strconv"
	"time"
)

// What follows writes and reads canonical JSON without reflection: exactly the
// text that the codec writes, and nothing else. Events that make up nearly all
// of a log use it; whatever it doesn't take goes the general way, and tests hold
// the two ways equal. So it never has to be complete, only right.

// AppendJSONString appends s in quotes; false if s needs an escape.
func AppendJSONString[T ~string](b []byte, s T) ([]byte, bool) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return b, false
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"'), true
}

// AppendJSONAmount appends an amount as the string that it is in JSON.
func AppendJSONAmount(b []byte, a Amount) []byte {
	return append(a.append(append(b, '"')), '"')
}

// AppendJSONTime appends an instant as RFC 3339 with as many digits as it needs.
func AppendJSONTime(b []byte, t time.Time) []byte {
	return append(t.UTC().AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
}

// JSONScanner reads canonical JSON member by member. After a failure it reads
// nothing more; MUST: Done is asked before anything read is used.
type JSONScanner struct {
	rest   []byte
	failed bool
}

// NewJSONScanner begins at the start of text.
func NewJSONScanner(text []byte) JSONScanner { return JSONScanner{rest: text} }

// Done tells that everything was read and understood.
func (s *JSONScanner) Done() bool { return !s.failed && len(s.rest) == 0 }

// Literal reads exactly text.
func (s *JSONScanner) Literal(text string) {
	if !s.Optional(text) {
		s.failed = true
	}
}

// Optional reads text if it comes next.
func (s *JSONScanner) Optional(text string) bool {
	if s.failed || len(s.rest) < len(text) || string(s.rest[:len(text)]) != text {
		return false
	}
	s.rest = s.rest[len(text):]
	return true
}

// token reads up to the end byte and skips it. Strings with an escape fail.
func (s *JSONScanner) token(end byte) []byte {
	if s.failed {
		return nil
	}
	for i, c := range s.rest {
		if c == end {
			token := s.rest[:i]
			s.rest = s.rest[i+1:]
			return token
		}
		if c < ' ' || c > '~' || c == '\\' {
			break
		}
	}
	s.failed = true
	return nil
}

// Text reads a string whose opening quote was read, as bytes of the input.
func (s *JSONScanner) Text() []byte { return s.token('"') }

// String reads a string whose opening quote was read.
func (s *JSONScanner) String() string { return string(s.token('"')) }

// Amount reads an amount whose opening quote was read.
func (s *JSONScanner) Amount() Amount {
	a, ok := parseStored(s.token('"'))
	s.failed = s.failed || !ok
	return a
}

// Time reads an instant whose opening quote was read: two digits an hour, at most
// nine of a second, and a Z. time's own parser is more forgiving, and slower.
func (s *JSONScanner) Time() time.Time {
	const shape = "0000-00-00T00:00:00"
	text := s.token('"')
	if s.failed || len(text) <= len(shape) || text[len(text)-1] != 'Z' {
		s.failed = true
		return time.Time{}
	}
	for i, want := range []byte(shape) {
		if want != '0' && text[i] != want || want == '0' && (text[i] < '0' || text[i] > '9') {
			s.failed = true
			return time.Time{}
		}
	}
	number := func(from, to int) (n int) {
		for _, c := range text[from:to] {
			n = 10*n + int(c-'0')
		}
		return n
	}
	nanos, ok := fraction(text[len(shape) : len(text)-1])
	year, month, day := number(0, 4), time.Month(number(5, 7)), number(8, 10)
	hour, minute, second := number(11, 13), number(14, 16), number(17, 19)
	t := time.Date(year, month, day, hour, minute, second, nanos, time.UTC)
	// A date that isn't one becomes one of another month.
	if !ok || t.Month() != month || hour > 23 || minute > 59 || second > 59 {
		s.failed = true
		return time.Time{}
	}
	return t
}

// fraction reads what follows the seconds, as nanoseconds.
func fraction(text []byte) (nanos int, ok bool) {
	const digits = 9
	if len(text) == 0 {
		return 0, true
	}
	if text[0] != '.' || len(text) == 1 || len(text) > 1+digits {
		return 0, false
	}
	for i := 1; i <= digits; i++ {
		nanos *= 10
		if i < len(text) {
			if text[i] < '0' || text[i] > '9' {
				return 0, false
			}
			nanos += int(text[i] - '0')
		}
	}
	return nanos, true
}

// Int reads a whole number up to the first byte that isn't of it.
func (s *JSONScanner) Int() int64 {
	n := 0
	for n < len(s.rest) && (s.rest[n] >= '0' && s.rest[n] <= '9' || n == 0 && s.rest[n] == '-') {
		n++
	}
	v, err := strconv.ParseInt(string(s.rest[:n]), 10, 64)
	if s.failed || err != nil || n > 1 && (s.rest[0] == '0' || s.rest[0] == '-' && s.rest[1] == '0') {
		s.failed = true
		return 0
	}
	s.rest = s.rest[n:]
	return v
}
