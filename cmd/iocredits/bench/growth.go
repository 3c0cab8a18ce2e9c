package bench

import (
	"context"
	"fmt"
)

// Growth asks how the figures hold as the log grows.
type Growth struct {
	// Events are sizes of the log, rising; Accounts are numbers of accounts, each
	// with a log of its own.
	Events, Accounts []int
}

// growth measures single and batch deductions on growing logs: first more and
// more events on Options.Accounts, then more and more accounts. Each figure's
// ratio is to the first of its kind, both in parts of an empty handler's rate.
func (r *run) growth(ctx context.Context) error {
	e, err := r.open(ctx, "growth-events", r.Accounts)
	if err != nil {
		return err
	}
	everyone := make([]int, r.Accounts)
	for i := range everyone {
		everyone[i] = i
	}
	for _, events := range r.Growth.Events {
		have, err := e.head(ctx)
		if err == nil && int64(events) > have {
			err = e.fill(ctx, events-int(have), everyone)
		}
		if err == nil {
			err = e.grown(ctx, "events", events)
		}
		if err != nil {
			e.close()
			return err
		}
	}
	e.close()
	for _, accounts := range r.Growth.Accounts {
		if err := r.growAccounts(ctx, accounts); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) growAccounts(ctx context.Context, accounts int) error {
	usual := r.Accounts
	defer func() { r.Accounts = usual }()
	r.Accounts = accounts
	e, err := r.open(ctx, fmt.Sprintf("growth-%d", accounts), accounts)
	if err != nil {
		return err
	}
	defer e.close()
	return e.grown(ctx, "accounts", accounts)
}

// grown measures at one size.
func (e *engine) grown(ctx context.Context, what string, n int) error {
	name := func(kind string) string { return fmt.Sprintf("%s-%s-%d", kind, what, n) }
	sizes := map[string][]int{"events": e.run.Growth.Events, "accounts": e.run.Growth.Accounts}[what]
	first := func(kind string) string { return fmt.Sprintf("%s-%s-%d", kind, what, sizes[0]) }
	single := Figure{Name: name("deduct"), Limit: first("deduct"), Yardstick: nameEmptyPost, Scenario: fmt.Sprintf("deductions, %d connections, at %d %s", e.run.Connections, n, what)}
	if err := e.measure(ctx, single, e.singles(e.run.Connections, e.spread)); err != nil {
		return err
	}
	batch := Figure{Name: name("batch"), Limit: first("batch"), Yardstick: nameEmptyPost, Scenario: fmt.Sprintf("batches of %d, lines, at %d %s", e.run.Lines, n, what)}
	return e.measure(ctx, batch, e.batchLoad(e.spreadLines))
}
