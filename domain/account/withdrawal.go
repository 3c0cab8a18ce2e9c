package account

import (
	"time"

	"iocredits/domain"
)

// WithdrawalRequested holds the purchased credits that are to be paid out.
type WithdrawalRequested struct {
	plain
	Withdrawal string `json:"withdrawal"`
	// Amount is what this event holds: in parts of one request, the part's.
	Amount domain.Amount `json:"amount"`
	// Wallet is an address of Network's form.
	Wallet  domain.Sealed `json:"wallet"`
	Network Network       `json:"network"`
	// DueFrom and DueBy bound when finance pays (io-credits.md, row 10).
	DueFrom     time.Time `json:"due_from"`
	DueBy       time.Time `json:"due_by"`
	RequestedBy string    `json:"requested_by"`
	Lots        []LotUse  `json:"lots"`
	Part        Part      `json:"part,omitzero"`
}

// EventName is the stored type.
func (*WithdrawalRequested) EventName() string { return "withdrawal-requested" }

func (e *WithdrawalRequested) effect() Effect {
	return Effect{Taken: e.Lots, Hold: HoldChange{Kind: HoldWithdrawal, ID: e.Withdrawal, In: e.Lots}}
}

func (e *WithdrawalRequested) entry() Entry {
	return Entry{Type: EntryWithdrawal, Service: domain.ServiceCredits, Lots: e.Lots, Reference: e.Withdrawal}
}

func (e *WithdrawalRequested) parts() Part { return e.Part }

func (e *WithdrawalRequested) claim() string {
	if !e.Part.first() {
		return ""
	}
	return withdrawalName(e.Withdrawal)
}

func (e *WithdrawalRequested) object() (ObjectKind, string) { return ObjectWithdrawal, e.Withdrawal }

func (e *WithdrawalRequested) evolve(s *State) { fold(&s.Withdrawals, e.Withdrawal, e) }

// WithdrawalApproved is an approval: the only one, or the first or second of two.
type WithdrawalApproved struct {
	plain
	Withdrawal string `json:"withdrawal"`
	ApprovedBy string `json:"approved_by"`
	// Final: no other approval is needed; finance may pay.
	Final bool `json:"final,omitzero"`
}

// EventName is the stored type.
func (*WithdrawalApproved) EventName() string { return "withdrawal-approved" }

func (e *WithdrawalApproved) object() (ObjectKind, string) { return ObjectWithdrawal, e.Withdrawal }

func (e *WithdrawalApproved) evolve(s *State) { fold(&s.Withdrawals, e.Withdrawal, e) }

// WithdrawalPaid takes the held credits out of the account: they were paid.
type WithdrawalPaid struct {
	plain
	Withdrawal string        `json:"withdrawal"`
	Amount     domain.Amount `json:"amount"`
	// TxURL shows the payment; it names a wallet, so it is sealed.
	TxURL domain.Sealed `json:"tx_url"`
	// Network is where it was paid, as a fact; Requested's is where it was asked for.
	Network Network  `json:"network"`
	Lots    []LotUse `json:"lots"`
	Part    Part     `json:"part,omitzero"`
}

// EventName is the stored type.
func (*WithdrawalPaid) EventName() string { return "withdrawal-paid" }

func (e *WithdrawalPaid) effect() Effect {
	return Effect{Hold: HoldChange{Kind: HoldWithdrawal, ID: e.Withdrawal, Out: e.Lots, Closes: e.Part.last()}}
}

func (e *WithdrawalPaid) entry() Entry {
	return Entry{Type: EntryWithdrawal, Service: domain.ServiceCredits, Lots: e.Lots, Reference: e.Withdrawal}
}

func (e *WithdrawalPaid) parts() Part { return e.Part }

func (e *WithdrawalPaid) object() (ObjectKind, string) { return ObjectWithdrawal, e.Withdrawal }

func (e *WithdrawalPaid) figures(f *Figures) { f.Cash -= e.Amount }

func (e *WithdrawalPaid) evolve(s *State) {
	fold(&s.Withdrawals, e.Withdrawal, e)
	for _, use := range e.Lots {
		s.leave(use.Lot, use.Amount)
	}
}

// ReturnCause says why a withdrawal was not paid.
type ReturnCause string

// Why withdrawals return. A chargeback rejects those that hold what it takes.
const (
	ReturnCancelled  ReturnCause = "cancelled"
	ReturnRejected   ReturnCause = "rejected"
	ReturnFailed     ReturnCause = "failed"
	ReturnChargeback ReturnCause = "chargeback"
)

// WithdrawalReturned gives the held credits back to the lots they came from.
type WithdrawalReturned struct {
	plain
	Withdrawal string        `json:"withdrawal"`
	Amount     domain.Amount `json:"amount"`
	Cause      ReturnCause   `json:"cause"`
	Reason     domain.Sealed `json:"reason,omitempty"`
	// Purchase is the one that was charged back.
	Purchase string   `json:"purchase,omitempty"`
	Lots     []LotUse `json:"lots"`
	Part     Part     `json:"part,omitzero"`
}

// EventName is the stored type.
func (*WithdrawalReturned) EventName() string { return "withdrawal-returned" }

func (e *WithdrawalReturned) effect() Effect {
	return Effect{
		Given: e.Lots,
		Hold:  HoldChange{Kind: HoldWithdrawal, ID: e.Withdrawal, Out: e.Lots, Closes: e.Part.last()},
	}
}

func (e *WithdrawalReturned) entry() Entry {
	return Entry{
		Type: EntryWithdrawalReturned, Service: domain.ServiceCredits, Lots: e.Lots,
		Reference: e.Withdrawal, Description: e.Reason,
	}
}

func (e *WithdrawalReturned) parts() Part { return e.Part }

func (e *WithdrawalReturned) object() (ObjectKind, string) { return ObjectWithdrawal, e.Withdrawal }

func (e *WithdrawalReturned) evolve(s *State) { fold(&s.Withdrawals, e.Withdrawal, e) }

// WithdrawalStatus is where a withdrawal stands.
type WithdrawalStatus string

// The statuses of api.md.
const (
	WithdrawalIsRequested WithdrawalStatus = "requested"
	WithdrawalIsApproved  WithdrawalStatus = "approved"
	WithdrawalIsPaid      WithdrawalStatus = "paid"
	WithdrawalIsRejected  WithdrawalStatus = "rejected"
	WithdrawalIsCancelled WithdrawalStatus = "cancelled"
	WithdrawalIsFailed    WithdrawalStatus = "failed"
)

// Withdrawal is a payout that was asked for; the state keeps those that wait.
type Withdrawal struct {
	State       WithdrawalStatus `json:"status"`
	Amount      domain.Amount    `json:"amount"`
	Wallet      domain.Sealed    `json:"wallet"`
	Network     Network          `json:"network"`
	DueFrom     time.Time        `json:"due_from"`
	DueBy       time.Time        `json:"due_by"`
	RequestedBy string           `json:"requested_by"`
	// ApprovedBy has the approvers in order: two where the policy asks for two.
	ApprovedBy []string `json:"approved_by,omitempty"`
	// Lots is what the request named, in spending order; it holds exactly these
	// as long as the withdrawal is open.
	Lots []LotUse `json:"lots"`

	// Cause, Reason and Purchase say why it returned.
	Cause    ReturnCause   `json:"cause,omitempty"`
	Reason   domain.Sealed `json:"reason,omitempty"`
	Purchase string        `json:"purchase,omitempty"`
	// TxURL and PaidOn show the payment.
	TxURL  domain.Sealed `json:"tx_url,omitempty"`
	PaidOn Network       `json:"paid_on,omitempty"`
}

// Apply implements Object.
func (w *Withdrawal) Apply(event domain.Event) {
	switch e := event.(type) {
	case *WithdrawalRequested:
		w.State, w.RequestedBy = WithdrawalIsRequested, e.RequestedBy
		w.Wallet, w.Network, w.DueFrom, w.DueBy = e.Wallet, e.Network, e.DueFrom, e.DueBy
		w.Amount += e.Amount
		w.Lots = with(w.Lots, e.Lots...)
	case *WithdrawalApproved:
		w.ApprovedBy = with(w.ApprovedBy, e.ApprovedBy)
		if e.Final {
			w.State = WithdrawalIsApproved
		}
	case *WithdrawalPaid:
		if e.Part.last() {
			w.State, w.TxURL, w.PaidOn = WithdrawalIsPaid, e.TxURL, e.Network
		}
	case *WithdrawalReturned:
		if e.Part.last() {
			w.State, w.Cause, w.Reason, w.Purchase = statusAfter[e.Cause], e.Cause, e.Reason, e.Purchase
		}
	}
}

var statusAfter = map[ReturnCause]WithdrawalStatus{
	ReturnCancelled:  WithdrawalIsCancelled,
	ReturnRejected:   WithdrawalIsRejected,
	ReturnFailed:     WithdrawalIsFailed,
	ReturnChargeback: WithdrawalIsRejected,
}

// Status implements Object.
func (w *Withdrawal) Status() string { return string(w.State) }

// Open implements Object.
func (w *Withdrawal) Open() bool {
	return w.State == WithdrawalIsRequested || w.State == WithdrawalIsApproved
}

// QueueTime implements Dated: finance works by due date.
func (w *Withdrawal) QueueTime() time.Time { return w.DueBy }

func withdrawalName(id string) string { return "withdrawal/" + id }
