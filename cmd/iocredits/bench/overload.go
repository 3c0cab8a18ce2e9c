package bench

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// overloaded sends from Overload times as many connections as saturate the
// engine, which admits twice those that do. The rest gets 503 and waits as it is
// told. Then only the usual connections go on, and the time counts until their
// rate is back.
func (r *run) overloaded(ctx context.Context) error {
	if !r.wants("overload") {
		return nil
	}
	e, err := r.open(ctx, "overload", r.Accounts, "--max-in-flight", strconv.Itoa(2*r.Connections))
	if err != nil {
		return err
	}
	defer e.close()
	peak := Figure{
		Name: "overload-peak", Yardstick: nameEmptyPost,
		Scenario: fmt.Sprintf("deductions before the overload, %d connections", r.Connections),
	}
	if err := e.measure(ctx, peak, e.singles(r.Connections, e.spread)); err != nil {
		return err
	}
	many := e.singles(r.Connections*r.Overload, e.spread)
	many.pushBack = true
	f := Figure{Name: "overload", Limit: "overload-peak", Yardstick: nameEmptyPost, Scenario: fmt.Sprintf("deductions accepted of %d connections", many.connections)}
	if err := e.measure(ctx, f, many); err != nil {
		return err
	}
	return e.recovery(ctx)
}

// recovery is the time until a tenth of a second reaches 90 % of the peak; 5 s
// stands for 5 s or more.
func (e *engine) recovery(ctx context.Context) error {
	const slice, slices = 100 * time.Millisecond, 50
	usual := e.singles(e.run.Connections, e.spread)
	usual.duration, usual.pushBack = slice, true
	waited := time.Duration(0)
	for ; waited < slices*slice; waited += slice {
		e.round.Add(1)
		s, err := usual.run(ctx, e.process)
		if err != nil {
			return fmt.Errorf("recovery: %w", err)
		}
		if s.perSecond() >= 0.9*e.run.value("overload-peak") {
			break
		}
	}
	v := waited.Seconds() * 1000
	e.run.add(Figure{Name: "recovery", Scenario: "from the end of the overload until 90 % of the peak", Unit: inMillis, Value: v, Low: v, High: v})
	return e.verify(ctx)
}
