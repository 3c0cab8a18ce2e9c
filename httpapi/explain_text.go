package httpapi

import (
	"fmt"
	"strings"

	"iocredits/domain/account"
	"iocredits/domain/journal"
)

// printf writes a line of a text. Texts of other people are quoted where they
// are written, so that none can forge a line.
func (d *document) printf(format string, args ...any) {
	d.b = fmt.Appendf(d.b, format+"\n", args...)
}

// text writes an explanation for a person.
func (x *explanation) text(d *document) {
	e := &x.entry
	d.printf("Transaction %s of account %s", e.ID, x.account)
	amount, held := x.whole()
	d.printf("  %s%s%s", movement(e.Type, amount, held), forService(e.Service), quoted(e.Reference, x.description))
	d.printf("  recorded %s, effective %s", timeText(e.RecordedAt), timeText(e.EffectiveAt))
	d.printf("  balance before %s, after %s", x.before, x.after)
	x.textOfParts(d)
	x.textOfAsked(d)
	if r, metered := x.parts[0].Body.(*account.UsageMetered); metered {
		d.printf("\nReading of meter %s\n  %s x %s = %s charged; the meter has charged %s up to here",
			r.Meter, r.Quantity, r.UnitPrice, r.Amount, r.Accrued.Charged)
	}
	x.textOfPrice(d)
	x.textOfRelated(d)
	for _, s := range x.objects {
		d.printf("\nOf %s %s (%s)", wordsOf(s.kind), s.id, s.status)
		d.printLife(s)
	}
	x.textOfLots(d)
	x.textSince(d)
	x.textOfLog(d)
}

// textOfParts tells why a movement has several entries, or that this is but one of them.
func (x *explanation) textOfParts(d *document) {
	first, last := x.parts[0], x.parts[len(x.parts)-1]
	index, count := account.PlaceOf(first.Body)
	switch {
	case count == 1:
	case index > 1:
		d.printf("  part %d of %d: the first is at revision %d", index, count, first.Revision-int64(index-1))
	case count == 2 && len(x.made) == 2 && len(account.EffectOf(last.Body, last.Revision).Given) == 0:
		d.printf("  in 2 parts, because it makes a lot of each class")
	default:
		d.printf("  in %d parts, because it is from very many lots", count)
	}
}

// quoted gives a reference and a text in quotes, where there are any.
func quoted(reference, text string) string {
	var b strings.Builder
	if reference != "" {
		fmt.Fprintf(&b, ", reference %q", reference)
	}
	if text != "" {
		fmt.Fprintf(&b, ": %q", text)
	}
	return b.String()
}

func named(name, value string) string {
	if value == "" {
		return ""
	}
	return fmt.Sprintf(", %s %q", name, value)
}

// printLife tells what was said about an object, what paid for it, and who did
// what when.
func (d *document) printLife(s story) {
	if s.asked != "" {
		d.printf("    asked: %q", s.asked)
	}
	if s.answered != "" {
		d.printf("    answered: %q", s.answered)
	}
	if s.deployment != nil {
		d.printTerms(s.deployment)
	}
	for _, p := range s.payments {
		d.printf("    payment %q at the provider, of %s", p.Payment, p.Amount)
	}
	for _, step := range s.steps {
		d.printf("    %s  %s by %s (%s): %s", timeText(step.At), step.Event, step.Actor, step.Role, step.Status)
	}
	if s.cut {
		d.printf("    there may be more: at most %d steps are told, from the %d events after it began", maxSequels, maxHoldScan)
	}
}

// textOfRelated tells what a refund gives back, or what a correction names.
func (x *explanation) textOfRelated(d *document) {
	r := x.related
	if r == nil {
		return
	}
	title := "About"
	if x.entry.Type == account.EntryRefund {
		title = "Gives back"
	}
	d.printf("\n%s\n  %s%s on %s by %s%s", title, r.words(), forService(r.entry.Service),
		timeText(r.fact.Meta.RecordedAt), r.fact.Meta.Actor, quoted(r.reference, r.description))
	d.printf("    transaction %s", r.fact.ID)
	if r.object != nil {
		d.printf("    of %s %s (%s)", wordsOf(r.object.kind), r.object.id, r.object.status)
		d.printLife(*r.object)
	}
}

func (x *explanation) textOfLots(d *document) {
	if len(x.lots) > 0 || x.debt > 0 {
		d.printf("\n%s", x.lotsTitle())
		for _, lot := range x.lots {
			d.printLot(lot)
		}
		if x.debt > 0 {
			d.printf("  %s below zero: no credits were left for it", x.debt)
		}
	}
	if len(x.given) == 0 && x.debt >= 0 && len(x.made) == 0 {
		return
	}
	d.printf("\nBack to")
	for _, lot := range x.given {
		d.printLot(lot)
	}
	if x.debt < 0 {
		d.printf("  %s of debt, which ends", -x.debt)
	}
	for _, lot := range x.made {
		d.printf("  %s %s as a lot of its own: it had been paid below zero, and that was made good since", lot.Amount, lot.Class)
	}
}

func (d *document) printLot(lot explainedLot) {
	o := lot.origin
	expires := "never expires"
	if !lot.ExpiresAt.IsZero() {
		expires = "expires " + timeText(lot.ExpiresAt)
	}
	d.printf("  %s %s of lot %d, which %s", lot.Amount, lot.Class, lot.Lot, expires)
	d.printf("    %s on %s by %s%s", o.words(), timeText(o.fact.Meta.RecordedAt), o.fact.Meta.Actor, quoted(o.reference, o.description))
	if o.object != nil {
		d.printLife(*o.object)
	}
}

func (x *explanation) textSince(d *document) {
	if len(x.since) == 0 && x.untold == 0 {
		d.printf("\nSince then: no refund, dispute or correction")
		return
	}
	d.printf("\nSince then")
	for _, s := range x.since {
		d.printf("  %s  %s by %s%s", timeText(s.fact.Meta.RecordedAt), s.words(), s.fact.Meta.Actor, quoted("", s.description))
		if s.object != nil {
			d.printf("    %s %s is %s", wordsOf(s.object.kind), s.object.id, s.object.status)
			d.printLife(*s.object)
		}
	}
	if x.untold > 0 {
		d.printf("  and %d more %s", x.untold, plural(x.untold, "refund"))
	}
	if x.refunded > 0 {
		d.printf("  %s have come back in all", x.refunded)
	}
}

// textOfLog has what an auditor compares with the log and the books.
func (x *explanation) textOfLog(d *document) {
	d.printf("\nEvents")
	for _, e := range x.inOrder() {
		f := e.fact
		d.printf("  revision %d, position %d: %s (%s)", f.Revision, f.Position, f.Type, e.why)
		d.printf("    id   %s\n    hash %s", f.ID, hashOf(f))
		postings, err := journal.Of(f.Body, f.Revision)
		if err != nil {
			d.printf("    no postings: %v", err)
			continue
		}
		for _, p := range postings {
			side := "debit"
			if p.Amount < 0 {
				side = "credit"
			}
			d.printf("    %-34s %-6s %s", p.Account, side, max(p.Amount, -p.Amount))
		}
	}
}
