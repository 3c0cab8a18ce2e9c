package account

import "iocredits/domain"

// Branch is how a decision sees what it foresees.
func (s *State) Branch() *State { return s.branch() }

// UnbackedNow is what Figures.Unbacked says, added up anew.
func (s *State) UnbackedNow() domain.Amount { return s.unbacked() }

// DecideSettling is Decide with another bound of what it pays at once.
func DecideSettling(s *State, c Command, atOnce int) ([]domain.Event, error) {
	return decide(s, c, atOnce)
}
