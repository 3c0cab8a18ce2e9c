package httpapi

import (
	"github.com/labstack/echo/v4"

	"iocredits/domain/account"
	"iocredits/httpapi/api"
)

// GrantIncentive is POST …/incentives.
func (h handlers) GrantIncentive(c echo.Context, _ api.Account, _ api.GrantIncentiveParams) error {
	k := callOf(c)
	var request api.IncentiveRequest
	if err := k.decode(&request); err != nil {
		return err
	}
	amount, err := moneyOf("amount", &request.Amount)
	if err != nil {
		return err
	}
	campaign := valueOf(request.Campaign)
	if err := checkReference("campaign", campaign); err != nil {
		return err
	}
	expires, err := timeOf("expires_at", request.ExpiresAt)
	if err != nil {
		return err
	}
	result, err := k.execute(order{
		do:   account.GrantIncentive{Amount: amount, Campaign: campaign, ExpiresAt: expires},
		body: request,
	})
	if err != nil {
		return err
	}
	return k.answer(statusCreated, result, func(d *document) error {
		granted, fact := firstOf[*account.IncentiveGranted](result.Facts)
		if fact == nil {
			return nil
		}
		d.object("incentive")
		d.text("id", fact.ID.String())
		d.money("amount", granted.Amount)
		d.text("campaign", granted.Campaign)
		d.time("expires_at", granted.ExpiresAt)
		d.close()
		return nil
	})
}
