package httpapi

import (
	"fmt"
	"time"

	"iocredits/domain"
	"iocredits/domain/account"
)

// price is how a charge of a deployment was worked out: hours at the hourly
// price, or a quantity at a unit price. Neither: the caller gave the amount.
type price struct {
	hourly    *domain.Rate
	hours     int
	added     bool
	quantity  *domain.Quantity
	unitPrice *domain.Rate
}

// price finds it, for a charge of a deployment.
func (x *explanation) price() (p price, ok bool) {
	var of *account.Deployment
	for _, s := range x.objects {
		if s.deployment != nil {
			of = s.deployment
		}
	}
	if of == nil {
		return p, false
	}
	switch e := x.parts[0].Body.(type) {
	case *account.DeploymentPaid: // the price never changes, and pauses come later
		return price{hourly: &of.HourlyPrice, hours: int(e.EndsAt.Sub(e.StartedAt) / time.Hour)}, true
	case *account.DeploymentExtended:
		return price{hourly: &of.HourlyPrice, hours: e.Added, added: true}, true
	case *account.DeploymentUsed:
		return price{quantity: e.Quantity, unitPrice: e.UnitPrice}, true
	}
	return p, false
}

func (x *explanation) priceJSON(d *document) {
	p, ok := x.price()
	if !ok {
		return
	}
	d.object("price")
	if p.hourly != nil {
		d.text("hourly_price", p.hourly.String())
		d.number("duration_hours", int64(p.hours))
	}
	if p.quantity != nil && p.unitPrice != nil {
		d.text("quantity", p.quantity.String())
		d.text("unit_price", p.unitPrice.String())
	}
	d.close()
}

func (x *explanation) textOfPrice(d *document) {
	p, ok := x.price()
	if _, waited := x.released(); waited || !ok {
		return // each usage that waited has its own
	}
	amount, _ := x.whole()
	switch {
	case p.hourly != nil && p.added:
		d.printf("\nPrice\n  %s an hour x %d more %s = %s", p.hourly, p.hours, plural(p.hours, "hour"), -amount)
	case p.hourly != nil:
		d.printf("\nPrice\n  %s an hour x %d %s = %s", p.hourly, p.hours, plural(p.hours, "hour"), -amount)
	case p.quantity != nil && p.unitPrice != nil:
		d.printf("\nPrice\n  %s x %s = %s charged, on top of what was booked", p.quantity, p.unitPrice, -amount)
	default:
		d.printf("\nPrice\n  %s as the service gave it, on top of what was booked", -amount)
	}
}

// deploymentTerms writes what a deployment was booked for, and what became of it.
func (d *document) deploymentTerms(x *account.Deployment) {
	d.text("hourly_price", x.HourlyPrice.String())
	d.number("duration_hours", int64(x.Hours))
	d.number("minimum_minutes", int64(x.MinimumMinutes))
	d.money("paid", x.Paid)
	d.number("used_minutes", int64(x.UsedMinutes))
	d.money("used", x.Used)
	d.money("refunded", x.Refunded)
	d.money("usage", x.Usage)
}

func (d *document) printTerms(x *account.Deployment) {
	d.printf("    %s an hour, %d %s booked, %s paid", x.HourlyPrice, x.Hours, plural(x.Hours, "hour"), x.Paid)
	if x.Usage > 0 {
		d.printf("    %s of usage charged on top", x.Usage)
	}
	if x.EndedAt.IsZero() {
		return
	}
	least := ""
	minimum := x.State == account.DeploymentIsStopped || x.Cause == account.CauseUsageUnpaid
	if minimum && x.UsedMinutes < x.MinimumMinutes {
		least = fmt.Sprintf(", fewer than the minimum of %d", x.MinimumMinutes)
	}
	d.printf("    %d %s used%s: %s charged, %s came back", x.UsedMinutes, plural(x.UsedMinutes, "minute"), least, x.Used, x.Refunded)
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
