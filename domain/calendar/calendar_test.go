package calendar_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain/calendar"
)

func day(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.DateOnly, text)
	require.NoError(t, err)
	return at.Add(15*time.Hour + 4*time.Minute)
}

// TestBusinessDays: a day counts if it is the next business day of the day before.
func TestBusinessDays(t *testing.T) {
	for text, open := range map[string]bool{
		"2026-07-03": true,  // Friday; Independence Day is a Saturday and doesn't move
		"2026-07-04": false, // the Saturday itself
		"2027-06-18": true,  // Friday; Juneteenth is a Saturday
		"2027-12-24": true,  // Friday; Christmas is a Saturday
		"2027-12-31": true,  // Friday; New Year's Day 2028 is a Saturday
		"2022-12-26": false, // Monday; Christmas was a Sunday
		"2023-01-02": false, // Monday; New Year's Day was a Sunday
		"2027-07-05": false, // Monday; Independence Day is a Sunday
		"2026-01-19": false, // Martin Luther King Jr. Day
		"2026-02-16": false, // Presidents' Day
		"2026-05-25": false, // Memorial Day
		"2026-06-19": false, // Juneteenth, a Friday
		"2026-09-07": false, // Labor Day
		"2026-10-12": false, // Columbus Day
		"2026-11-11": false, // Veterans Day
		"2026-11-26": false, // Thanksgiving
		"2026-11-27": true,  // the day after it is no bank holiday
		"2026-12-25": false,
		"2026-11-28": false, // a Saturday
		"2026-11-29": false, // a Sunday
		"2026-11-30": true,
	} {
		at := day(t, text)
		require.Equal(t, open, at.Equal(calendar.AfterBusinessDays(at.AddDate(0, 0, -1), 1)), text)
	}
}

func TestAfterBusinessDays(t *testing.T) {
	for _, row := range []struct {
		from        string
		three, five string
		seven       string
	}{
		// Over the weekend whose Saturday is Independence Day: Friday counts.
		{"2026-07-01", "2026-07-06", "2026-07-08", "2026-07-10"},
		{"2027-06-16", "2027-06-21", "2027-06-23", "2027-06-25"},
		{"2027-12-22", "2027-12-27", "2027-12-29", "2027-12-31"},
		// Over Thanksgiving.
		{"2026-11-24", "2026-11-30", "2026-12-02", "2026-12-04"},
		// Over a Sunday holiday that moves to Monday.
		{"2027-07-01", "2027-07-07", "2027-07-09", "2027-07-13"},
		// From a weekend.
		{"2026-11-28", "2026-12-02", "2026-12-04", "2026-12-08"},
	} {
		from := day(t, row.from)
		require.Equal(t, day(t, row.three), calendar.AfterBusinessDays(from, 3), row.from)
		require.Equal(t, day(t, row.five), calendar.AfterBusinessDays(from, 5), row.from)
		require.Equal(t, day(t, row.seven), calendar.AfterBusinessDays(from, 7), row.from)
	}
}

// TestDaysAreThoseOfUTC: the same instant has one answer, wherever it was written.
func TestDaysAreThoseOfUTC(t *testing.T) {
	instant := time.Date(2026, 7, 6, 1, 0, 0, 0, time.UTC) // a Monday
	there := instant.In(time.FixedZone("west", -10*3600))  // a Sunday there
	require.Equal(t, calendar.AfterBusinessDays(instant, 3), calendar.AfterBusinessDays(there, 3))
}
