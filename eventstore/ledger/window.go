package ledger

import (
	"context"
	"sync/atomic"

	"iocredits/domain"
	"iocredits/eventstore"
)

// window knows the names that the read model may not have yet. Together with it
// there is no gap: a name is in the window from the moment its command is
// decided until the read model has said that it reaches past it.
type window struct {
	// names are in the order of their events, each once: a name that was claimed
	// again (which no rule allows, but the log decides) keeps its first revision.
	// The first durable of them have their positions.
	names   []claim
	durable int
	// index has the revisions of names, once those are too many to be looked through.
	index map[Name]int64
	// room is where names begins: most accounts have one name under way.
	room [2]claim
	// counted counts the names in all windows of a shard; nil while no worker has this one.
	counted *atomic.Int64
}

// countIn counts the window's names with others, from now on.
func (n *window) countIn(all *atomic.Int64) {
	n.counted = all
	n.counted.Add(int64(len(n.names)))
}

// leave takes them out again: the window goes.
func (n *window) leave() {
	n.counted.Add(-int64(len(n.names)))
	n.counted = nil
}

// claim is a name with the event that claims it.
type claim struct {
	name     Name
	revision int64
	position eventstore.Position
}

// fewNames are found sooner by looking at each.
const fewNames = 16

func (n *window) find(name Name) (revision int64, found bool) {
	if n.index != nil {
		revision, found = n.index[name]
		return revision, found
	}
	for i := range n.names {
		if n.names[i].name == name {
			return n.names[i].revision, true
		}
	}
	return 0, false
}

// claim puts in a name whose event is decided but not durable.
func (n *window) claim(name Name, revision int64) {
	if _, known := n.find(name); known {
		return
	}
	if n.names == nil {
		n.names = n.room[:0]
	}
	n.names = append(n.names, claim{name: name, revision: revision})
	if n.counted != nil {
		n.counted.Add(1)
	}
	switch {
	case n.index != nil:
		n.index[name] = revision
	case len(n.names) > fewNames:
		n.index = make(map[Name]int64, 2*fewNames)
		for i := range n.names {
			n.index[n.names[i].name] = n.names[i].revision
		}
	}
}

// remember dates the names whose events became durable: all that are not dated,
// and facts has the events from revision first on.
func (n *window) remember(first int64, facts []eventstore.Fact) {
	for ; n.durable < len(n.names); n.durable++ {
		c := &n.names[n.durable]
		c.position = facts[c.revision-first].Position
	}
}

// addAll puts in the names of a durable event.
func (n *window) addAll(f *eventstore.Fact) {
	var room [MaxNames]Name
	for _, name := range AppendNames(room[:0], f) {
		n.add(claim{name, f.Revision, f.Position})
	}
}

// add puts in a name of a durable event.
func (n *window) add(c claim) {
	n.claim(c.name, c.revision)
	for ; n.durable < len(n.names); n.durable++ {
		n.names[n.durable].position = c.position
	}
}

// forget drops what the read model has.
func (n *window) forget(through eventstore.Position) {
	old := 0
	for old < n.durable && n.names[old].position <= through {
		if n.index != nil {
			delete(n.index, n.names[old].name)
		}
		old++
	}
	n.durable -= old
	if n.counted != nil && old > 0 {
		n.counted.Add(-int64(old))
	}
	if n.names = n.names[old:]; len(n.names) == 0 {
		n.names, n.index = n.room[:0], nil
		clear(n.room[:])
	}
}

// find looks a name up. The window was trimmed to Names.Through() before the
// group began, so what it lacks the read model has.
func (w *worker) find(ctx context.Context, name Name) (int64, bool, error) {
	if revision, found := w.book.recent.find(name); found {
		return revision, true, nil
	}
	return w.ledger.opts.Names.Find(ctx, w.account, name)
}

// trim bounds the window: when the read model is far behind, commands of this
// account wait for it.
func (w *worker) trim(ctx context.Context, b *book) error {
	limit := w.ledger.opts.MaxRecentNames
	if len(b.recent.names) < limit {
		return nil
	}
	if err := w.waitForNames(ctx, b.recent.names[len(b.recent.names)/2].position); err != nil {
		return err
	}
	b.recent.forget(w.ledger.opts.Names.Through())
	return nil
}

// waitForNames holds the goroutine that decides. At most half of these wait at once, so that
// accounts that have nothing to wait for go on: whoever comes then is refused at once.
func (w *worker) waitForNames(ctx context.Context, position eventstore.Position) error {
	if w.ledger.opts.Names.Through() >= position {
		return nil
	}
	select {
	case w.ledger.waiting <- struct{}{}:
		defer func() { <-w.ledger.waiting }()
	default:
		return errNamesBehind()
	}
	ctx, cancel := context.WithTimeout(ctx, w.ledger.opts.NamesPatience)
	defer cancel()
	if err := w.ledger.opts.Names.WaitThrough(ctx, position); err != nil {
		return errNamesBehind()
	}
	return nil
}

func errNamesBehind() error {
	return domain.Refuse(domain.CodeOverloaded, "the read models are too far behind to tell repeated requests apart; try again")
}
