package ledger

import (
	"context"

	"iocredits/domain"
	"iocredits/eventstore"
)

// window knows the names that the read model may not have yet. Together with it
// there is no gap: a name is in the window from the moment its command is
// decided until the read model has said that it reaches past it.
type window struct {
	revisions map[string]int64
	// order has the durable ones, oldest first. A name that was claimed again
	// (which no rule allows, but the log decides) keeps its first revision.
	order []dated
	// room is where order begins: most accounts have one name under way.
	room [1]dated
}

type dated struct {
	name     string
	position eventstore.Position
}

func (n *window) claim(name string, revision int64) {
	if n.revisions == nil {
		n.revisions = make(map[string]int64)
	}
	if _, known := n.revisions[name]; !known {
		n.revisions[name] = revision
	}
}

// add puts in the names of a durable event.
func (n *window) add(f *eventstore.Fact) {
	var room [MaxNames]string
	for _, name := range AppendNames(room[:0], f) {
		n.claim(name, f.Revision)
		n.order = append(n.order, dated{name, f.Position})
	}
}

// forget drops what the read model has.
func (n *window) forget(through eventstore.Position) {
	old := 0
	for old < len(n.order) && n.order[old].position <= through {
		delete(n.revisions, n.order[old].name)
		old++
	}
	if n.order = n.order[old:]; len(n.order) == 0 {
		n.order = n.room[:0]
		clear(n.room[:])
	}
}

// pending puts in a name whose event is decided but not durable.
func (b *book) pending(name string, revision int64) { b.recent.claim(name, revision) }

// remember dates the pending names of a group that became durable.
func (b *book) remember(names []claim, facts []eventstore.Fact) {
	for _, c := range names {
		b.recent.order = append(b.recent.order, dated{c.name, facts[c.fact].Position})
	}
}

// find looks a name up. The window was trimmed to Names.Through() before the
// group began, so what it lacks the read model has.
func (w *worker) find(ctx context.Context, name string) (int64, bool, error) {
	if revision, found := w.book.recent.revisions[name]; found {
		return revision, true, nil
	}
	return w.ledger.opts.Names.Find(ctx, w.account, name)
}

// trim bounds the window: when the read model is far behind, commands of this
// account wait for it.
func (w *worker) trim(ctx context.Context, b *book) error {
	limit := w.ledger.opts.MaxRecentNames
	if len(b.recent.order) < limit {
		return nil
	}
	if err := w.waitForNames(ctx, b.recent.order[len(b.recent.order)/2].position); err != nil {
		return err
	}
	b.recent.forget(w.ledger.opts.Names.Through())
	return nil
}

func (w *worker) waitForNames(ctx context.Context, position eventstore.Position) error {
	ctx, cancel := context.WithTimeout(ctx, w.ledger.opts.NamesPatience)
	defer cancel()
	if err := w.ledger.opts.Names.WaitThrough(ctx, position); err != nil {
		return domain.Refuse(domain.CodeOverloaded, "the read models are too far behind to tell repeated requests apart; try again")
	}
	return nil
}
