package account

import "iocredits/domain"

// Branch is how a decision sees what it foresees.
func (s *State) Branch() *State { return s.branch() }

// UnbackedNow is what Figures.Unbacked says, added up anew.
func (s *State) UnbackedNow() domain.Amount { return s.unbacked() }
