package reactor

import "context"

// Reconcile is one round of what Run does every ReconcileEvery.
func (r *Reactor) Reconcile(ctx context.Context) error { return newCashier(r.opts).reconcile(ctx) }
