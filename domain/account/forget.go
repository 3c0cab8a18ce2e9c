package account

import "iocredits/domain"

// Forgotten says that the key of the account's free text was destroyed: names,
// reasons, notes and addresses sealed before this event can't be read any more.
// Everything else of the account stays, and goes on.
type Forgotten struct {
	plain
	// Reason is in the clear, because nothing sealed would outlive it: it MUST
	// NOT be personal. A case number is best.
	Reason string `json:"reason"`
}

// EventName is the stored type.
func (*Forgotten) EventName() string { return "account-forgotten" }

func (e *Forgotten) evolve(s *State) { s.Forgotten = s.Revision }

// maxForgetReason in bytes.
const maxForgetReason = 200

// RecordForgotten leaves the event that says so. The key MUST have been destroyed
// before: the event is true from the moment it is there. It can be repeated.
//
// Checks: field-invalid (reason).
type RecordForgotten struct{ Reason string }

func (c RecordForgotten) decide(d *decision) error {
	if err := CheckForgetReason(c.Reason); err != nil {
		return err
	}
	d.emit(&Forgotten{Reason: c.Reason})
	return nil
}

// CheckForgetReason is for whoever destroys the key: what is refused must be
// refused before that. Error: CodeFieldInvalid.
func CheckForgetReason(reason string) error {
	if reason == "" || len(reason) > maxForgetReason {
		return domain.RefuseLength(domain.CodeFieldInvalid, "reason", reason, 1, maxForgetReason)
	}
	return nil
}
