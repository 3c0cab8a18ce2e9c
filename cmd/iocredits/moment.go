package main

import (
	"fmt"
	"time"
)

// moment is a time as the API's as_of and known_at take it, RFC 3339, or a date
// alone, which is the day's first instant in UTC: what a person types is shorter.
type moment struct{ at time.Time }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *moment) UnmarshalText(text []byte) (err error) {
	if m.at, err = time.Parse(time.RFC3339, string(text)); err != nil {
		m.at, err = time.Parse(time.DateOnly, string(text))
	}
	if err != nil {
		return fmt.Errorf("%q is neither a date like 2026-01-31 nor a time like 2026-01-31T12:00:00Z", text)
	}
	if m.at = m.at.UTC(); m.at.Year() < 1970 || m.at.Year() > 9999 {
		return fmt.Errorf("%q is outside of the years 1970 to 9999", text)
	}
	return nil
}
