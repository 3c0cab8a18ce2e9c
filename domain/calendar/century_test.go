package calendar_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain/calendar"
)

// closed says whether the Federal Reserve Banks are closed on a day: their own words
// counted out, without a list of holidays.
func closed(day time.Time) bool {
	year, month, of := day.Date()
	weekday, nth := day.Weekday(), (of+6)/7
	if weekday == time.Saturday || weekday == time.Sunday {
		return true
	}
	fixed := func(m time.Month, d int) bool { // a Sunday's is on the Monday after
		at := time.Date(year, m, d, 0, 0, 0, 0, time.UTC)
		if at.Weekday() == time.Sunday {
			at = at.AddDate(0, 0, 1)
		}
		return month == at.Month() && of == at.Day()
	}
	monday := func(m time.Month, n int) bool { return month == m && weekday == time.Monday && nth == n }
	return fixed(time.January, 1) || fixed(time.June, 19) || fixed(time.July, 4) || fixed(time.November, 11) || fixed(time.December, 25) ||
		monday(time.January, 3) || monday(time.February, 3) || monday(time.September, 1) || monday(time.October, 2) ||
		month == time.May && weekday == time.Monday && of > 24 || month == time.November && weekday == time.Thursday && nth == 4
}

// TestACentury counts every day of a hundred years, leap days and ends of years included.
func TestACentury(t *testing.T) {
	for day := time.Date(2026, 1, 1, 23, 59, 59, 999_999e3, time.UTC); day.Year() < 2126; day = day.AddDate(0, 0, 1) {
		want := day
		for n := 1; n <= 7; n++ {
			for want = want.AddDate(0, 0, 1); closed(want); {
				want = want.AddDate(0, 0, 1)
			}
			if n == 1 || n == 3 || n == 7 {
				require.Equal(t, want, calendar.AfterBusinessDays(day, n), "%d business days after %s", n, day)
			}
		}
	}
}
