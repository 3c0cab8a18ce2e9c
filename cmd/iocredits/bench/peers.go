package bench

import (
	"context"
	"errors"
	"fmt"
)

// peers measures plain PostgreSQL and the engine in turn, each load on both: what a
// ledger on PostgreSQL can't pass, without what such a ledger adds. pgbench drives it
// through a Unix socket with prepared statements; the engine is reached through HTTP,
// and keeps a hash chain, histories, and read models that have caught up.
func (r *run) peers(ctx context.Context) (err error) {
	db, err := r.startPostgres(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	e, err := r.open(ctx, "peers", r.Accounts)
	if err != nil {
		return err
	}
	defer e.close()
	for _, c := range []struct {
		name, what            string
		connections, accounts int
		lines                 int
		load                  load
	}{
		{"deduct", "deductions", r.Connections, r.Accounts, 1, e.singles(r.Connections, e.spread)},
		{"deduct-hot", "deductions", r.Connections, 1, 1, e.singles(r.Connections, oneAccount)},
		{"deduct-one", "deductions", 1, r.Accounts, 1, e.singles(1, e.spread)},
		{"batch", fmt.Sprintf("batches of %d, lines", r.Lines), r.BatchConnections, r.Accounts, r.Lines, e.batchLoad(e.spreadLines)},
	} {
		scenario := fmt.Sprintf("%s, %d connections, %d accounts", c.what, c.connections, c.accounts)
		script := postgresSingle
		if c.name == "batch" {
			script = postgresBatch
		}
		peer := Figure{Name: "postgres-" + c.name, Scenario: "PostgreSQL: " + scenario}
		if err := db.measure(ctx, peer, pgbench{script, c.connections, c.accounts, c.lines}); err != nil {
			return err
		}
		if err := e.measure(ctx, Figure{Name: c.name, Scenario: scenario, Limit: peer.Name}, c.load); err != nil {
			return err
		}
	}
	return nil
}
