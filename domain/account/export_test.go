package account

// PurchaseIDs are the ids of what was paid for, in order.
func (s *State) PurchaseIDs() (ids []string) {
	for _, r := range s.Purchases {
		ids = append(ids, r.key)
	}
	return ids
}
