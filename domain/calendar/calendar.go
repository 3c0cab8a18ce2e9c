// Package calendar knows the business days on which payments move in the United
// States: it dates what the finance desk has to do.
//
// It is pure: it reads no clock and no time zone. Days are those of UTC, like
// every time in the log, so an auditor can count them again from an event alone.
package calendar

import (
	"time"

	"github.com/rickar/cal/v2"
	"github.com/rickar/cal/v2/us"
)

// sundaysMove is the rule of the Federal Reserve's holidays: "For holidays
// falling on Saturday, Federal Reserve Banks and Branches will be open the
// preceding Friday. For holidays falling on Sunday, all Federal Reserve Banks
// and Branches will be closed the following Monday." The ready-made list closes on
// that Friday too, as federal offices do, which would date a payout a day late.
var sundaysMove = []cal.AltDay{{Day: time.Sunday, Offset: 1}}

// payments is never changed after it was made, so it is safe to share.
var payments = newPayments()

func newPayments() *cal.BusinessCalendar {
	c := cal.NewBusinessCalendar()
	for _, holiday := range us.Holidays {
		// Those of a fixed weekday never fall on a weekend; the rule is idle there.
		c.AddHoliday(holiday.Clone(&cal.Holiday{Observed: sundaysMove}))
	}
	return c
}

// AfterBusinessDays is the instant days business days after from, at the same
// time of the day: three business days after Thursday noon is Tuesday noon. The
// day of from itself never counts. MUST: days > 0.
func AfterBusinessDays(from time.Time, days int) time.Time {
	return payments.WorkdaysFrom(from.UTC(), days)
}
