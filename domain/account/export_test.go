package account

// Branch is how a decision sees what it foresees.
func (s *State) Branch() *State { return s.branch() }
