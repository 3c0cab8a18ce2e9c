package projections

import "sync"

// signals tell those who wait for news what a batch brought. They say that
// something changed, never what: who is told looks.
type signals struct {
	deadlines, purchases chan struct{}

	mu sync.Mutex
	// watchers of the notices of an account.
	watchers map[string]map[chan struct{}]bool
}

func newSignals() *signals {
	return &signals{
		deadlines: make(chan struct{}, 1), purchases: make(chan struct{}, 1), watchers: map[string]map[chan struct{}]bool{},
	}
}

// send tells what a change has brought.
func (s *signals) send(c *change) {
	if c.deadlines {
		raise(s.deadlines)
	}
	if c.purchases {
		raise(s.purchases)
	}
	if len(c.noticed) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range c.noticed {
		for c := range s.watchers[name] {
			raise(c)
		}
	}
}

// sendAll tells everybody: the views were replaced by others.
func (s *signals) sendAll() {
	raise(s.deadlines)
	raise(s.purchases)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range s.watchers {
		for c := range of {
			raise(c)
		}
	}
}

// raise never blocks: a channel that has a value already says the same.
func raise(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Changed gets a value after deadlines were added: the next one may be sooner.
func (v *Views) Changed() <-chan struct{} { return v.signals.deadlines }

// PurchasesChanged gets a value after a purchase was started.
func (v *Views) PurchasesChanged() <-chan struct{} { return v.signals.purchases }

// WatchNotices gives a channel that gets a value after notices of an account
// came or were seen, until stop is called.
func (v *Views) WatchNotices(name string) (news <-chan struct{}, stop func()) {
	s, c := v.signals, make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchers[name] == nil {
		s.watchers[name] = map[chan struct{}]bool{}
	}
	s.watchers[name][c] = true
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers[name], c)
		if len(s.watchers[name]) == 0 {
			delete(s.watchers, name)
		}
	}
}
