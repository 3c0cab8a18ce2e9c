package account

import "iocredits/domain"

// Figures are the sums of an account: enough for a balance, small enough to
// keep for every account there is. The decider's state embeds them and the
// balances' view stores them, so both come from the same additions.
type Figures struct {
	// Free and Held are unreserved and reserved credits by class.
	FreePromotional domain.Amount
	FreePurchased   domain.Amount
	HeldPromotional domain.Amount
	HeldPurchased   domain.Amount
	// Withdrawing is what withdrawals hold: purchased credits only.
	Withdrawing domain.Amount

	SpendingDebt   domain.Amount
	ChargebackDebt domain.Amount

	// Cash is the money that can still be behind purchased credits: what came in
	// as purchased, less what the provider took back, what was paid out and what
	// has expired. Nothing above it can be withdrawn, whatever the lots say: where
	// promotional credits covered a chargeback, a later refund must not bring them
	// back as purchased ones.
	Cash domain.Amount
	// Unbacked are purchased credits, not reserved, without money behind them: see
	// backing.go. Cash alone can't tell, because what was spent for good stays in it.
	Unbacked domain.Amount
	// Paid is settled purchases minus reversed ones: no allowance unless > 0.
	Paid   domain.Amount
	Frozen bool
	Policy Policy
}

// Apply adds an event's effect. revision is the event's own.
func (f *Figures) Apply(event domain.Event, revision int64) {
	effect := EffectOf(event, revision)
	f.ApplyEffect(event, &effect)
}

// ApplyEffect is Apply for who has the event's effect already.
func (f *Figures) ApplyEffect(event domain.Event, effect *Effect) {
	f.add(effect)
	if known, ours := event.(fact); ours {
		known.figures(f)
	}
}

func (f *Figures) add(e *Effect) {
	f.free(e.Made, +1)
	for _, u := range e.Given {
		f.free(u, +1)
	}
	for _, u := range e.Taken {
		f.free(u, -1)
	}
	switch e.Hold.Kind {
	case HoldReservation:
		f.HeldPromotional += sumOf(e.Hold.In, Promotional) - sumOf(e.Hold.Out, Promotional)
		f.HeldPurchased += sumOf(e.Hold.In, Purchased) - sumOf(e.Hold.Out, Purchased)
	case HoldWithdrawal:
		f.Withdrawing += sum(e.Hold.In) - sum(e.Hold.Out)
	}
	f.SpendingDebt += e.SpendingDebt
	f.ChargebackDebt += e.ChargebackDebt
}

func (f *Figures) free(u LotUse, sign domain.Amount) {
	if u.Class == Promotional {
		f.FreePromotional += sign * u.Amount
	} else {
		f.FreePurchased += sign * u.Amount
	}
}

// Balance is what an account has, in the words of api.md.
type Balance struct {
	// Balance is all lots minus debt: the one figure a customer sees.
	Balance domain.Amount
	// Available = Balance - Reserved - Withdrawing; negative while in debt.
	Available   domain.Amount
	Reserved    domain.Amount
	Withdrawing domain.Amount
	// Promotional and Purchased count all lots of the class, held ones too.
	Promotional  domain.Amount
	Purchased    domain.Amount
	Withdrawable domain.Amount
	Debt         domain.Amount
	// Allowance is what applies now: none while frozen or before a payment.
	Allowance domain.Amount
	// Spendable = max(0, Available + Allowance).
	Spendable domain.Amount
	Frozen    bool
}

// Debt is everything that is owed.
func (f *Figures) Debt() domain.Amount { return f.SpendingDebt + f.ChargebackDebt }

// Held is everything in holds: reserved and withdrawing.
func (f *Figures) Held() domain.Amount {
	return f.HeldPromotional + f.HeldPurchased + f.Withdrawing
}

// Available can be spent now, before the allowance.
func (f *Figures) Available() domain.Amount {
	return f.FreePromotional + f.FreePurchased - f.Debt()
}

// Allowance is how far below zero the account may go now (money.md, Spending).
func (f *Figures) Allowance() domain.Amount {
	if f.Frozen || f.Paid <= 0 {
		return 0
	}
	return f.Policy.Allowance
}

// Spendable is what a deduction may take.
func (f *Figures) Spendable() domain.Amount {
	return max(0, f.Available()+f.Allowance())
}

// Balance computes every figure of api.md.
func (f *Figures) Balance() Balance {
	available := f.Available()
	return Balance{
		Balance:      available + f.Held(),
		Available:    available,
		Reserved:     f.HeldPromotional + f.HeldPurchased,
		Withdrawing:  f.Withdrawing,
		Promotional:  f.FreePromotional + f.HeldPromotional,
		Purchased:    f.FreePurchased + f.HeldPurchased + f.Withdrawing,
		Withdrawable: max(0, min(f.FreePurchased-f.Unbacked, available, f.Cash-f.Withdrawing)),
		Debt:         f.Debt(),
		Allowance:    f.Allowance(),
		Spendable:    f.Spendable(),
		Frozen:       f.Frozen,
	}
}

// holdings is everything the account has in lots.
func (f *Figures) holdings() domain.Amount {
	return f.FreePromotional + f.FreePurchased + f.Held()
}
