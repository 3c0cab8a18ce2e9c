package account

import (
	"time"

	"iocredits/domain"
)

// CreditRequested is a customer's wish for credits without payment.
type CreditRequested struct {
	plain
	Request     string        `json:"request"`
	Amount      domain.Amount `json:"amount"`
	Name        domain.Sealed `json:"name,omitempty"`
	Reason      domain.Sealed `json:"reason,omitempty"`
	RequestedBy string        `json:"requested_by"`
}

// EventName is the stored type.
func (*CreditRequested) EventName() string { return "credit-requested" }

func (e *CreditRequested) claim() string { return creditRequestName(e.Request) }

func (e *CreditRequested) object() (ObjectKind, string) { return ObjectCreditRequest, e.Request }

func (e *CreditRequested) evolve(s *State) { fold(&s.CreditRequests, e.Request, e) }

// CreditRequestApproved is the first of two approvals. It sets the terms, with
// which the second has to agree. A later one takes the place of one that lapsed.
type CreditRequestApproved struct {
	plain
	Request    string      `json:"request"`
	Terms      CreditTerms `json:"terms"`
	ApprovedBy string      `json:"approved_by"`
}

// EventName is the stored type.
func (*CreditRequestApproved) EventName() string { return "credit-request-approved" }

func (e *CreditRequestApproved) object() (ObjectKind, string) { return ObjectCreditRequest, e.Request }

func (e *CreditRequestApproved) evolve(s *State) { fold(&s.CreditRequests, e.Request, e) }

// CreditGranted is a request with its last approval: credits without payment.
type CreditGranted struct {
	plain
	Request string      `json:"request"`
	Terms   CreditTerms `json:"terms"`
	// ApprovedBy is the last approver, of Level.
	ApprovedBy string `json:"approved_by"`
	Level      int    `json:"level"`
}

// EventName is the stored type.
func (*CreditGranted) EventName() string { return "credit-granted" }

func (e *CreditGranted) effect() Effect {
	return Effect{Made: LotUse{Class: e.Terms.class(), Amount: e.Terms.Amount, ExpiresAt: e.Terms.ExpiresAt}}
}

func (e *CreditGranted) entry() Entry {
	return Entry{Type: EntryGrant, Service: domain.ServiceCredits, Reference: e.Request}
}

func (e *CreditGranted) figures(f *Figures) {
	if !e.Terms.Promotional {
		f.Cash += e.Terms.Amount
	}
}

func (e *CreditGranted) object() (ObjectKind, string) { return ObjectCreditRequest, e.Request }

func (e *CreditGranted) evolve(s *State) { fold(&s.CreditRequests, e.Request, e) }

// CreditRequestClosed ends a request without credits: rejected by a reviewer or
// cancelled by the customer. Its stored names differ, its content doesn't.
type CreditRequestClosed struct {
	plain
	// Status is not stored: the event's name says it.
	Status  CreditRequestStatus `json:"-"`
	Request string              `json:"request"`
	By      string              `json:"by"`
	Reason  domain.Sealed       `json:"reason,omitempty"`
	// Level is the approval that was refused, 1 or 2.
	Level int `json:"level,omitzero"`
}

// EventName is the stored type.
func (e *CreditRequestClosed) EventName() string { return "credit-request-" + string(e.Status) }

func (e *CreditRequestClosed) object() (ObjectKind, string) { return ObjectCreditRequest, e.Request }

func (e *CreditRequestClosed) evolve(s *State) { fold(&s.CreditRequests, e.Request, e) }

// CreditTerms is what an approver grants.
type CreditTerms struct {
	Amount      domain.Amount `json:"amount"`
	Promotional bool          `json:"promotional,omitzero"`
	// ExpiresAt of the credits; zero: never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

func (t CreditTerms) class() Class {
	if t.Promotional {
		return Promotional
	}
	return Purchased
}

// CreditRequestStatus is where a request stands, as api.md names it.
type CreditRequestStatus string

// What becomes of a request.
const (
	CreditIsRequested CreditRequestStatus = "requested"
	CreditIsApproved  CreditRequestStatus = "approved"
	CreditIsRejected  CreditRequestStatus = "rejected"
	CreditIsCancelled CreditRequestStatus = "cancelled"
)

// CreditRequest is a request for credits; the state keeps those that wait.
type CreditRequest struct {
	State       CreditRequestStatus `json:"status"`
	Amount      domain.Amount       `json:"amount"`
	Name        domain.Sealed       `json:"name,omitempty"`
	Reason      domain.Sealed       `json:"reason,omitempty"`
	RequestedBy string              `json:"requested_by"`
	// Terms are those of the first approval, or what was granted.
	Terms CreditTerms `json:"terms,omitzero"`
	// ApprovedBy has the approvers of Terms in order.
	ApprovedBy []string `json:"approved_by,omitempty"`
	// RejectedBy at RejectionLevel, for RejectionReason.
	RejectedBy      string        `json:"rejected_by,omitempty"`
	RejectionReason domain.Sealed `json:"rejection_reason,omitempty"`
	RejectionLevel  int           `json:"rejection_level,omitzero"`
}

// Apply implements Object.
func (r *CreditRequest) Apply(event domain.Event) {
	switch e := event.(type) {
	case *CreditRequested:
		*r = CreditRequest{
			State: CreditIsRequested, Amount: e.Amount, Name: e.Name, Reason: e.Reason, RequestedBy: e.RequestedBy,
		}
	case *CreditRequestApproved:
		r.Terms, r.ApprovedBy = e.Terms, []string{e.ApprovedBy} // whose lapsed before doesn't count
	case *CreditGranted:
		if e.Level == 1 {
			r.ApprovedBy = nil
		}
		r.State, r.Terms, r.ApprovedBy = CreditIsApproved, e.Terms, with(r.ApprovedBy, e.ApprovedBy)
	case *CreditRequestClosed:
		r.State = e.Status
		if e.Status == CreditIsRejected {
			r.RejectedBy, r.RejectionReason, r.RejectionLevel = e.By, e.Reason, e.Level
		}
	}
}

// lapsed tells that the credits of the first approval would have expired: nobody can
// approve them any more, so it holds up nobody who approves others.
func (r *CreditRequest) lapsed(at time.Time) bool {
	return !r.Terms.ExpiresAt.IsZero() && !r.Terms.ExpiresAt.After(at)
}

// Status implements Object.
func (r *CreditRequest) Status() string { return string(r.State) }

// Open implements Object.
func (r *CreditRequest) Open() bool { return r.State == CreditIsRequested }

func creditRequestName(id string) string { return "credit-request/" + id }
