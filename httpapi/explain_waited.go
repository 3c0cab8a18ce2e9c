package httpapi

import (
	"context"
	"slices"

	"iocredits/domain/account"
	"iocredits/eventstore"
)

// Usage that the account couldn't cover waits until credits arrive: what brought them
// releases one charge for all of it. Who asked for that, and at which price, stands in the
// events that opened it.

// waitedUsage is usage that a charge covers, as it was told.
type waitedUsage struct {
	fact eventstore.Fact
	*account.DeploymentUsageOpened
}

// maxWaitedScan bounds the events that are looked at for it: others spend meanwhile.
const maxWaitedScan = 10_000

// wait finds the usage that the charge covers, oldest first, if it is a charge of such.
func (x *explanation) wait(ctx context.Context) error {
	charge, ok := x.released()
	if !ok {
		return nil
	}
	opened := (*account.DeploymentUsageOpened)(nil).EventName()
	stream, before := eventstore.AccountStream(x.account), x.parts[0].Revision-1
	for r, err := range x.server.opts.Store.ReadStream(ctx, stream, before, eventstore.Backwards, maxWaitedScan) {
		if err != nil {
			return err
		}
		if r.Type != opened {
			continue
		}
		f, err := x.server.opts.Codec.Open(r)
		if err != nil {
			return err
		}
		usage, is := f.Body.(*account.DeploymentUsageOpened)
		if !is || usage.Deployment != charge.Deployment {
			continue
		}
		facts, err := x.read(ctx, f.Revision, 1, "object")
		if err != nil {
			return err
		}
		x.waited = append(x.waited, waitedUsage{facts[0], usage})
		if usage.Open == usage.Amount {
			break // nothing was open before it
		}
	}
	slices.Reverse(x.waited)
	return nil
}

// released is the charge, if it is one of usage that waited.
func (x *explanation) released() (charge *account.DeploymentUsed, ok bool) {
	charge, ok = x.parts[0].Body.(*account.DeploymentUsed)
	return charge, ok && charge.WasOpen
}

func (x *explanation) waitedJSON(d *document) {
	if _, ok := x.released(); !ok {
		return
	}
	d.array("waited")
	for _, w := range x.waited {
		d.open()
		d.text("transaction_id", w.fact.ID.String())
		d.asked(x.request(w.fact))
		if w.Quantity != nil && w.UnitPrice != nil {
			d.text("quantity", w.Quantity.String())
			d.text("unit_price", w.UnitPrice.String())
		}
		d.money("amount", w.Amount)
		d.close()
	}
	d.end()
}

// textOfAsked says who asked for the charge; of usage that waited, who asked for that.
func (x *explanation) textOfAsked(d *document) {
	if _, ok := x.released(); !ok {
		d.printf("\nAsked by\n  %s", requester(x.request(x.parts[0])))
		return
	}
	d.printf("\nReleased by\n  %s\n    which only let the charge through: the usage had waited to be covered", requester(x.request(x.parts[0])))
	d.printf("\nUsage that had waited")
	if len(x.waited) == 0 || x.waited[0].Open != x.waited[0].Amount {
		d.printf("  some of it is more than %d events back", maxWaitedScan)
	}
	for _, w := range x.waited {
		if w.Quantity != nil && w.UnitPrice != nil {
			d.printf("  %s x %s = %s", w.Quantity, w.UnitPrice, w.Amount)
		} else {
			d.printf("  %s as the service gave it", w.Amount)
		}
		d.printf("    asked %s by %s", timeText(w.fact.Meta.RecordedAt), requester(x.request(w.fact)))
	}
}

// requester is who made a request, and what it goes by.
func requester(meta eventstore.Metadata) string {
	return meta.Actor + " (" + meta.Role + ")" +
		named("key", meta.Key) + named("request", meta.RequestID) + named("Idempotency-Key", meta.Command.ID)
}
