package reactor

import "context"

// Reconcile is one round of what Run does every ReconcileEvery.
func (r *Reactor) Reconcile(ctx context.Context) error { return newCashier(r.opts).reconcile(ctx) }

// Announce is one look of what Run does every AnnounceEvery.
func (r *Reactor) Announce(ctx context.Context, aside map[string]bool) error {
	return r.opts.announce(ctx, aside)
}
