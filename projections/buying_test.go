package projections_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
)

// buyingAction is one about purchases, credit requests or deployments.
func (p *player) buyingAction() account.Action {
	deployment, purchase, request := fmt.Sprint("dep", p.intn(30)), p.id("started"), p.id("request")
	switch p.intn(12) {
	case 0:
		return account.StartPurchase{Purchase: fmt.Sprint(purchase, p.intn(9)), Amount: p.amount() + credit}
	case 1, 2:
		return account.RecordPayment{Payment: fmt.Sprint("pay", p.serial), Purchase: fmt.Sprint(purchase, p.intn(9)), Amount: p.amount() + credit}
	case 3:
		return account.RequestCredit{Request: request, Amount: p.amount(), Name: "sealed"}
	case 4:
		return account.ApproveCreditRequest{Request: request, Terms: account.CreditTerms{Amount: p.amount(), Promotional: true, ExpiresAt: p.date()}}
	case 5:
		return account.RejectCreditRequest{Request: request, Reason: "sealed"}
	case 6, 7:
		price, err := domain.ParseRate("hourly_price", fmt.Sprint(1+p.intn(4)))
		require.NoError(p.t, err)
		return account.StartDeployment{Deployment: deployment, Service: domain.ServiceVM, HourlyPrice: price, Hours: 1 + p.intn(4)}
	case 8:
		return account.RecordUsage{Deployment: deployment, Amount: p.amount()}
	case 9:
		return account.ExtendDeployment{Deployment: deployment, Hours: 1}
	case 10:
		return account.ResolvePayment{Payment: fmt.Sprint("pay", p.intn(p.serial+1))}
	}
	return account.StopDeployment{Deployment: deployment}
}

// A refund of a deployment names its payment by place. The payment may be in the
// same batch of the log, in the one that is being written meanwhile, or long written.
func TestRefundsOfDeploymentsRelateToTheirPayment(t *testing.T) {
	for _, place := range []string{"at once", "under way", "written"} {
		r := newRig(t, vfs.NewMem(), nil)
		r.do("a", "", account.GrantIncentive{Amount: 10 * credit})
		price, err := domain.ParseRate("hourly_price", "2")
		require.NoError(t, err)
		paid := r.do("a", "", account.StartDeployment{Deployment: "d", Service: domain.ServiceCaaS, HourlyPrice: price, Hours: 2})
		if place == "written" {
			r.toEnd()
		}
		r.clock.Move(time.Hour)
		stopped := r.do("a", "", account.StopDeployment{Deployment: "d"})
		if place == "under way" {
			require.NoError(t, r.views.ApplyAhead(bg, func() int { return 1 }, nil))
		}
		r.toEnd()
		payment := paid.Facts[len(paid.Facts)-1]
		require.Equal(t, "deployment-paid", payment.Type)
		refund, found, err := r.views.Transaction(bg, "a", stopped.Facts[0].Revision)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, account.EntryRefund, refund.Type)
		require.NotEqual(t, uuid.Nil, refund.Related)
		require.Equal(t, payment.ID, refund.Related)

		record, found, err := r.views.Object(bg, "a", account.ObjectDeployment, "d")
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, "stopped", record.Object.Status())
		require.Equal(t, []string{"deployment-requested", "deployment-paid", "deployment-stopped"}, []string{record.Steps[0].Event, record.Steps[1].Event, record.Steps[2].Event})
	}
}
