package bench

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// A machine that others share gives a third more in one minute than in the next,
// so figures that were measured minutes apart say little of each other. Each run
// of a scenario stands between two short runs of a yardstick, and is held against
// their mean.

// pace is what a yardstick gave in short runs around one of a scenario's.
type pace struct {
	perSecond float64
	// cpu is processor time a unit, server and client, in seconds; 0: not measured.
	cpu float64
}

func meanOf(a, b pace) pace {
	return pace{perSecond: (a.perSecond + b.perSecond) / 2, cpu: (a.cpu + b.cpu) / 2}
}

func (s *sample) asPace() pace {
	return pace{perSecond: s.perSecond(), cpu: (s.server + s.client).Seconds() / float64(max(s.units, 1))}
}

// relative gives a run's rate in parts of its yardstick's, and the yardstick's
// processor time a unit in parts of the run's. 0: there is nothing to compare.
func (s *sample) relative() (rate, cpu float64) {
	own := s.asPace()
	if s.pace.perSecond > 0 {
		rate = own.perSecond / s.pace.perSecond
	}
	if own.cpu > 0 {
		cpu = s.pace.cpu / own.cpu
	}
	return rate, cpu
}

// medianOf: of an even number, the smaller of the two in the middle.
func medianOf(values []float64) float64 {
	slices.Sort(values)
	return values[(len(values)-1)/2]
}

// against holds a figure against a limit that is measured around its runs.
func (f Figure) against(limit string) Figure {
	f.Limit, f.Yardstick = limit, limit
	return f
}

// maxYard is the longest run of a yardstick.
const maxYard = time.Second

// yardstick gives what runs a limit once, if it can be run beside a scenario.
func (r *run) yardstick(limit string) func(context.Context) (pace, error) {
	switch limit {
	case nameEmptyGet, nameEmptyPost:
		return func(ctx context.Context) (pace, error) { return r.emptyPace(ctx, limit, min(maxYard, r.Duration)) }
	case nameOne:
		return r.onePace
	}
	return nil
}

func (r *run) emptyPace(ctx context.Context, name string, d time.Duration) (pace, error) {
	l := r.emptyLoad(name)
	l.duration = d
	s, err := l.run(ctx, r.empty)
	if err != nil {
		return pace{}, fmt.Errorf("%s: %w", name, err)
	}
	return s.asPace(), nil
}

// onePace is a sync and an empty request one after the other.
func (r *run) onePace(ctx context.Context) (pace, error) {
	half := min(maxYard, r.Duration) / 2
	empty, err := r.emptyPace(ctx, nameEmptyOne, half)
	if err != nil {
		return pace{}, err
	}
	syncs, err := r.writes(ctx, syncBytes, 1, half)
	if err != nil {
		return pace{}, err
	}
	return pace{perSecond: oneAfterOther(syncs.perSecond(), empty.perSecond)}, nil
}

// oneAfterOther is the rate of two things of which each waits for the other.
func oneAfterOther(a, b float64) float64 { return 1 / (1/a + 1/b) }

// emptyLoad is what drives an empty handler: the requests that the engine gets.
func (r *run) emptyLoad(name string) load {
	sent := &request{method: http.MethodGet, path: "/empty", key: "0123456789abcdef"}
	if name != nameEmptyGet {
		sent = &request{
			method: http.MethodPost, path: "/empty", key: "0123456789abcdef", contentType: "application/json",
			idempotency: "s-1-64-10-1000", body: deductionBody,
		}
	}
	l := load{connections: r.Connections, next: func(int, int) *request { return sent }, took: expect(http.StatusOK)}
	if name == nameEmptyOne {
		l.connections = 1
	}
	return l
}
