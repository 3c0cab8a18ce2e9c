package projections_test

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore/ledger"
)

// player sends random commands to a few accounts. A refusal is part of the game.
type player struct {
	*rig
	intn     func(n int) int
	accounts int

	serial   int
	charges  map[string][]domain.TransactionID
	accepted int
}

func newPlayer(r *rig, accounts int, intn func(int) int) *player {
	return &player{rig: r, intn: intn, accounts: accounts, charges: map[string][]domain.TransactionID{}}
}

func (p *player) amount() domain.Amount {
	return domain.Amount(1+p.intn(40)) * []domain.Amount{1, 1000, credit}[p.intn(3)]
}

// date is soon, or never.
func (p *player) date() time.Time {
	if p.intn(2) == 0 {
		return time.Time{}
	}
	return p.clock.Now().Add(time.Duration(1+p.intn(60)) * time.Minute)
}

func (p *player) id(kind string) string { return fmt.Sprint(kind, p.intn(6)) }

func (p *player) step() {
	acct := fmt.Sprint("a", p.intn(p.accounts))
	if p.intn(4) == 0 {
		p.clock.Move(time.Duration(p.intn(600)) * time.Second)
	}
	p.serial++
	key := fmt.Sprint("key", p.serial)
	if p.intn(8) == 0 {
		key = fmt.Sprint("key", 1+p.intn(p.serial))
	}
	do := p.action(acct)
	result, err := p.Execute(bg, ledger.Request{
		Account: acct, Do: do, Actor: fmt.Sprint("actor", p.intn(3)), Role: "service", CommandID: key, Fingerprint: fmt.Sprintf("%T%+v", do, do),
	})
	if err != nil {
		_, refused := domain.AsError(err)
		require.True(p.t, refused, "%v", err)
		return
	}
	p.accepted++
	for _, f := range result.Facts {
		if f.Type == "deducted" || f.Type == "usage-metered" {
			p.charges[acct] = append(p.charges[acct], f.ID)
		}
	}
}

func (p *player) action(acct string) account.Action {
	service := []domain.Service{domain.ServiceRay, domain.ServiceVM}[p.intn(2)]
	switch p.intn(22) {
	case 0, 1:
		return account.RecordPurchase{Purchase: p.id("purchase"), Amount: p.amount(), ExpiresAt: p.date()}
	case 2, 3:
		return account.GrantIncentive{Amount: p.amount(), Campaign: p.id("campaign"), ExpiresAt: p.date()}
	case 4, 5, 6:
		return account.Deduct{
			Amount: p.amount(), Service: service, Reference: p.id("ref"), Description: "sealed",
			EffectiveAt: p.clock.Now().Add(-time.Duration(p.intn(3)) * time.Hour),
		}
	case 7, 8:
		quantity, err := domain.ParseQuantity("quantity", fmt.Sprint(p.intn(5)))
		require.NoError(p.t, err)
		price, err := domain.ParseRate("unit_price", "0.0000014")
		require.NoError(p.t, err)
		return account.RecordReading{Meter: p.id("meter"), Service: service, Quantity: quantity, UnitPrice: price, Reference: p.id("ref"), Final: p.intn(4) == 0}
	case 9:
		if n := len(p.charges[acct]); n > 0 {
			return account.Refund{Transaction: p.charges[acct][p.intn(n)], Amount: domain.Amount(p.intn(2)), Reason: "sealed"}
		}
		return account.Tick{}
	case 10, 11:
		return account.Reserve{Reservation: fmt.Sprint("hold", p.intn(30)), Amount: p.amount(), Service: service, Reference: p.id("ref"), ExpiresAt: p.date()}
	case 12:
		return account.Capture{Reservation: fmt.Sprint("hold", p.intn(30)), Amount: p.amount(), Final: p.intn(2) == 0}
	case 13:
		return account.Release{Reservation: fmt.Sprint("hold", p.intn(30))}
	case 14, 15, 16, 17, 18:
		return p.buyingAction()
	default:
		return p.deskAction()
	}
}

func (p *player) deskAction() account.Action {
	switch p.intn(7) {
	case 0:
		return account.ReversePurchase{Purchase: p.id("purchase"), Kind: account.ReversalChargeback}
	case 1:
		return account.Freeze{Reason: "sealed"}
	case 2:
		return account.Unfreeze{}
	case 3:
		allowance := p.amount()
		return account.SetPolicy{Allowance: &allowance}
	case 4:
		return account.RequestAdjustment{Adjustment: p.id("adjustment"), Amount: p.amount() - 3*credit, Reason: "sealed"}
	case 5:
		return account.ApproveAdjustment{Adjustment: p.id("adjustment")}
	default:
		return account.Tick{}
	}
}
