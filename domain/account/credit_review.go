package account

import (
	"slices"
	"strconv"

	"iocredits/domain"
)

// maxCreditRequests bounds what may wait for a decision.
const maxCreditRequests = 100

// RequestCredit asks for credits without payment.
//
// Checks, in order: amount-invalid, amount-too-large; duplicate-id; limit-exceeded.
type RequestCredit struct {
	Request string
	Amount  domain.Amount
	Name    domain.Sealed
	Reason  domain.Sealed
}

// NameFor asks about the id: the state forgets requests that are decided.
func (c RequestCredit) NameFor(*State) string { return creditRequestName(c.Request) }

func (c RequestCredit) decide(d *decision) error {
	if err := positive(c.Amount); err != nil {
		return err
	}
	if d.cmd.NameTaken {
		return domain.Refuse(domain.CodeDuplicateID, "credit request %q exists already", c.Request).
			With("field", "credit_request_id").With("value", c.Request)
	}
	if err := limit("credit requests", len(d.now().CreditRequests), maxCreditRequests); err != nil {
		return err
	}
	// Accepted: nothing below refuses.
	d.emit(&CreditRequested{
		Request: c.Request, Amount: c.Amount, Name: c.Name, Reason: c.Reason, RequestedBy: d.cmd.By,
	})
	return nil
}

// ApproveCreditRequest grants credits, or is the first of two approvals: always
// two for credits that are not promotional, else from the policy's amount
// (money.md, Classes). A first approval whose expires_at has come counts no longer:
// the next one, of whatever terms, is the first.
//
// Checks, in order: amount-invalid, amount-too-large; time-invalid (expires_at);
// unknown-credit-request, or wrong-status if it is decided; self-approval;
// field-invalid (terms that differ from the first approval's); amount-too-large
// (MaxBalance); limit-exceeded (lots).
type ApproveCreditRequest struct {
	Request string
	Terms   CreditTerms
}

// NameFor asks about the id unless it waits.
func (c ApproveCreditRequest) NameFor(s *State) string {
	return nameIfNotIn(s.CreditRequests, c.Request, creditRequestName)
}

func (c ApproveCreditRequest) decide(d *decision) error {
	if err := positiveField("approved_amount", c.Terms.Amount); err != nil {
		return err
	}
	if err := d.inFuture("expires_at", c.Terms.ExpiresAt); err != nil {
		return err
	}
	r, err := d.reviewedCreditRequest(c.Request)
	if err != nil {
		return err
	}
	if slices.Contains(r.ApprovedBy, d.cmd.By) {
		return domain.Refuse(domain.CodeSelfApproval, "%s approved credit request %q already; a second person has to", d.cmd.By, c.Request).
			With("field", "credit_request_id").With("value", c.Request)
	}
	if len(r.ApprovedBy) > 0 {
		if err := c.Terms.agree(r.Terms); err != nil {
			return err
		}
	}
	s := d.now()
	room := d.room
	if !c.Terms.Promotional {
		room = d.roomToBuy
	}
	if err := room(c.Terms.Amount); err != nil {
		return err
	}
	if err := d.roomForLot(); err != nil {
		return err
	}
	// Accepted: nothing below refuses.
	two := !c.Terms.Promotional || c.Terms.Amount >= s.Policy.TwoApproversFrom
	if two && len(r.ApprovedBy) == 0 {
		d.emit(&CreditRequestApproved{Request: c.Request, Terms: c.Terms, ApprovedBy: d.cmd.By})
		return nil
	}
	d.emit(&CreditGranted{Request: c.Request, Terms: c.Terms, ApprovedBy: d.cmd.By, Level: len(r.ApprovedBy) + 1})
	d.arrived()
	return nil
}

// agree refuses terms that are not the first approver's: both have to have
// approved the same.
func (t CreditTerms) agree(first CreditTerms) error {
	var field, want, sent string // sent is empty of what was, or may have been, left out
	switch {
	case t.Amount != first.Amount:
		field, want, sent = "approved_amount", first.Amount.String(), t.Amount.String()
	case t.Promotional != first.Promotional:
		field, want = "promotional", strconv.FormatBool(first.Promotional)
		if t.Promotional {
			sent = "true"
		}
	case !t.ExpiresAt.Equal(first.ExpiresAt):
		field, want = "expires_at", timeText(first.ExpiresAt)
		if !t.ExpiresAt.IsZero() {
			sent = timeText(t.ExpiresAt)
		}
	default:
		return nil
	}
	refusal := domain.Refuse(domain.CodeFieldInvalid, "%s differs from the first approval, which has %s", field, want).
		With("field", field)
	if sent != "" {
		refusal = refusal.With("value", sent)
	}
	return refusal.With("first", want)
}

// RejectCreditRequest ends a request without credits.
//
// Checks, in order: unknown-credit-request, or wrong-status if it is decided;
// self-approval.
type RejectCreditRequest struct {
	Request string
	Reason  domain.Sealed
}

// NameFor asks about the id unless it waits.
func (c RejectCreditRequest) NameFor(s *State) string {
	return nameIfNotIn(s.CreditRequests, c.Request, creditRequestName)
}

func (c RejectCreditRequest) decide(d *decision) error {
	r, err := d.reviewedCreditRequest(c.Request)
	if err != nil {
		return err
	}
	d.emit(&CreditRequestClosed{
		Status: CreditIsRejected, Request: c.Request, By: d.cmd.By, Reason: c.Reason, Level: len(r.ApprovedBy) + 1,
	})
	return nil
}

// CancelCreditRequest is the customer's end of a request that waits.
//
// Checks: unknown-credit-request, or wrong-status if it is decided.
type CancelCreditRequest struct{ Request string }

// NameFor asks about the id unless it waits.
func (c CancelCreditRequest) NameFor(s *State) string {
	return nameIfNotIn(s.CreditRequests, c.Request, creditRequestName)
}

func (c CancelCreditRequest) decide(d *decision) error {
	if _, err := d.waitingCreditRequest(c.Request); err != nil {
		return err
	}
	d.emit(&CreditRequestClosed{Status: CreditIsCancelled, Request: c.Request, By: d.cmd.By})
	return nil
}

// reviewedCreditRequest finds a request that waits and that the actor may decide about:
// whoever asks doesn't.
func (d *decision) reviewedCreditRequest(id string) (CreditRequest, error) {
	r, err := d.waitingCreditRequest(id)
	if err == nil && d.cmd.By == r.RequestedBy {
		err = domain.Refuse(domain.CodeSelfApproval, "%s asked for credit request %q and can't decide about it", d.cmd.By, id).
			With("field", "credit_request_id").With("value", id)
	}
	return r, err
}

// waitingCreditRequest finds a request that is to be decided, with the approval that
// counts.
func (d *decision) waitingCreditRequest(id string) (CreditRequest, error) {
	r, waits := d.now().CreditRequests[id]
	switch {
	case waits && r.lapsed(d.cmd.At):
		r.Terms, r.ApprovedBy = CreditTerms{}, nil
		return r, nil
	case waits:
		return r, nil
	case d.cmd.NameTaken:
		return r, d.over(ObjectCreditRequest, id, nil, ", not requested")
	}
	return r, domain.Refuse(domain.CodeUnknownCreditRequest, "the account has no credit request %q", id).
		With("field", "credit_request_id").With("value", id)
}
