package httpapi

import (
	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/httpapi/api"
	"iocredits/projections"
)

var deployments = resource{account.ObjectDeployment, deploymentForm}

// StartDeployment is POST …/deployments.
func (h handlers) StartDeployment(c echo.Context, _ api.Account, _ api.StartDeploymentParams) error {
	k := callOf(c)
	var request api.DeploymentRequest
	if err := k.decode(&request); err != nil {
		return err
	}
	id := request.DeploymentId
	if err := domain.CheckID("deployment_id", id); err != nil {
		return err
	}
	service, err := domain.ParseService(string(request.Service))
	if err != nil {
		return err
	}
	if request.PaymentMethod != string(account.PayCredits) {
		return domain.Refuse(domain.CodePaymentMethod, "payment_method %q is not supported here; credits is", clip(request.PaymentMethod)).
			With("field", "payment_method").With("value", clip(request.PaymentMethod))
	}
	price, err := domain.ParseRate("hourly_price", string(request.HourlyPrice))
	if err != nil {
		return err
	}
	request.HourlyPrice = api.Figure(price.String())
	return k.deployment(id, statusCreated, order{body: request, do: account.StartDeployment{
		Deployment: id, Service: service, HourlyPrice: price, Hours: request.DurationHours,
	}})
}

// ExtendDeployment is POST …/deployments/{id}/extend.
func (h handlers) ExtendDeployment(c echo.Context, _ api.Account, id api.DeploymentID, _ api.ExtendDeploymentParams) error {
	k, request := callOf(c), api.ExtensionRequest{}
	return k.changeDeployment(id, &request, func() (account.Action, error) {
		return account.ExtendDeployment{Deployment: id, Hours: request.DurationHours}, nil
	})
}

// RecordDeploymentUsage is POST …/deployments/{id}/usage.
func (h handlers) RecordDeploymentUsage(c echo.Context, _ api.Account, id api.DeploymentID, _ api.RecordDeploymentUsageParams) error {
	k, request := callOf(c), api.UsageRequest{}
	return k.changeDeployment(id, &request, func() (account.Action, error) { return usageOf(id, &request) })
}

// usageOf reads an amount, or a quantity and its price, and makes them canonical.
func usageOf(id string, request *api.UsageRequest) (account.Action, error) {
	metered := request.Quantity != nil && request.UnitPrice != nil
	if (request.Quantity != nil) != (request.UnitPrice != nil) || metered == (request.Amount != nil) {
		field := "amount"
		switch {
		case request.Amount != nil:
		case request.Quantity != nil:
			field = "unit_price"
		case request.UnitPrice != nil:
			field = "quantity"
		}
		return nil, domain.Refuse(domain.CodeFieldInvalid, "say either an amount, or a quantity and a unit_price").With("field", field)
	}
	if !metered {
		amount, err := moneyOf("amount", request.Amount)
		if err != nil {
			return nil, err
		}
		effective, err := timeOf("effective_at", request.EffectiveAt)
		return account.RecordUsage{Deployment: id, Amount: amount, EffectiveAt: effective}, err
	}
	quantity, err := domain.ParseQuantity("quantity", string(*request.Quantity))
	if err != nil {
		return nil, err
	}
	price, err := domain.ParseRate("unit_price", string(*request.UnitPrice))
	if err != nil {
		return nil, err
	}
	*request.Quantity, *request.UnitPrice = api.Figure(quantity.String()), api.Figure(price.String())
	effective, err := timeOf("effective_at", request.EffectiveAt)
	return account.RecordUsage{Deployment: id, Metered: true, Quantity: quantity, UnitPrice: price, EffectiveAt: effective}, err
}

// StopDeployment is POST …/deployments/{id}/stop.
func (h handlers) StopDeployment(c echo.Context, _ api.Account, id api.DeploymentID, _ api.StopDeploymentParams) error {
	k, request := callOf(c), api.StopRequest{}
	return k.changeDeployment(id, &request, func() (account.Action, error) {
		return account.StopDeployment{Deployment: id, UsedMinutes: request.UsedMinutes}, nil
	})
}

// CancelDeployment is POST …/deployments/{id}/cancel.
func (h handlers) CancelDeployment(c echo.Context, _ api.Account, id api.DeploymentID, _ api.CancelDeploymentParams) error {
	return callOf(c).changeDeployment(id, &api.EmptyRequest{}, func() (account.Action, error) {
		return account.CancelDeployment{Deployment: id}, nil
	})
}

// FailDeployment is POST …/deployments/{id}/fail.
func (h handlers) FailDeployment(c echo.Context, name api.Account, id api.DeploymentID, _ api.FailDeploymentParams) error {
	k, request := callOf(c), api.FailRequest{}
	return k.changeDeployment(id, &request, func() (account.Action, error) {
		reason, err := k.seal("reason", name, request.Reason)
		return account.FailDeployment{Deployment: id, UsedMinutes: request.UsedMinutes, Reason: reason}, err
	})
}

// changeDeployment is changeByID of a deployment.
func (k *call) changeDeployment(id string, request any, command func() (account.Action, error)) error {
	o, err := k.orderAbout(deployments, id, request, command)
	if err != nil {
		return err
	}
	return k.deployment(id, statusOK, o)
}

// deployment executes a command about a deployment and answers with it. The
// status follows from the events, so that a replay has the first one's; a
// command may change other deployments, which waited for what it gave back.
func (k *call) deployment(id string, status int, o order) error {
	result, err := k.execute(o)
	if err != nil {
		return err
	}
	record, err := k.objectAfter(account.ObjectDeployment, id, result.Position)
	if err != nil {
		return err
	}
	if waits(result.Facts, id) {
		status = statusAccepted
	}
	return k.answerWith(status, result, deployments, record)
}

// waits tells whether a command left its deployment short of credits.
func waits(facts []eventstore.Fact, id string) bool {
	for i := range facts {
		switch e := facts[i].Body.(type) {
		case *account.DeploymentPending:
			if e.Deployment == id {
				return true
			}
		case *account.DeploymentUsageOpened:
			if e.Deployment == id {
				return true
			}
		}
	}
	return false
}

// GetDeployment is GET …/deployments/{id}.
func (h handlers) GetDeployment(c echo.Context, _ api.Account, id api.DeploymentID, params api.GetDeploymentParams) error {
	return callOf(c).sendObject(deployments, id, params.MinPosition)
}

// ListDeployments is GET …/deployments.
func (h handlers) ListDeployments(c echo.Context, _ api.Account, params api.ListDeploymentsParams) error {
	return callOf(c).sendObjects(deployments, params.Order, paging{params.Limit, params.Cursor, params.MinPosition})
}

// ListChangedDeployments is GET /v1/deployments.
func (h handlers) ListChangedDeployments(c echo.Context, params api.ListChangedDeploymentsParams) error {
	k := callOf(c)
	if params.Account != nil {
		if err := domain.CheckID("account", *params.Account); err != nil {
			return err
		}
	}
	// A place that this log doesn't have, as of another one, is refused: its client would wait for ever.
	least := max(valueOf(params.MinPosition), valueOf(params.AfterPosition))
	if err := k.awaitAll(&least); err != nil {
		return err
	}
	page, err := k.server.opts.Views.ChangedObjects(k.ctx, projections.Changed{
		Kind: account.ObjectDeployment, After: eventstore.Position(valueOf(params.AfterPosition)), Limit: limitOf(params.Limit),
		Keep: func(r *projections.ObjectRecord) bool {
			return (params.Account == nil || r.Account == *params.Account) &&
				(params.Status == nil || r.Object.Status() == string(*params.Status))
		},
	})
	if err != nil {
		return err
	}
	d := newDocument()
	d.open()
	if err := k.items(d, deploymentForm, page.Items); err != nil {
		return err
	}
	d.number("next_position", int64(page.Through))
	d.flag("more", page.More)
	d.number("lag", k.lag)
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}

// shortfall is what a deployment that waits lacks today: what came or went since it began
// to wait counts, and not the figure of that time, which a customer would top up in vain.
func (k *call) shortfall(name string, x *account.Deployment) (domain.Amount, error) {
	if x.State != account.DeploymentIsPending && x.State != account.DeploymentIsPaused {
		return 0, nil
	}
	b, err := k.server.opts.Views.Balance(k.ctx, name)
	return max(0, x.Owed()-b.Available-b.Allowance), err // spendable is never below 0: debt is paid first
}

// deploymentForm writes the members of a deployment.
func deploymentForm(k *call, d *document, r *projections.ObjectRecord) error {
	x, ok := r.Object.(*account.Deployment)
	if !ok {
		return wrongObject(r)
	}
	d.text("id", r.ID)
	d.text("account", r.Account)
	d.text("status", x.Status())
	d.text("service", string(x.Service))
	d.text("payment_method", string(account.PayCredits))
	d.text("hourly_price", x.HourlyPrice.String())
	d.number("duration_hours", int64(x.Hours))
	d.money("required", x.Required)
	d.money("paid", x.Paid)
	d.money("used", x.Used)
	d.number("used_minutes", int64(x.UsedMinutes))
	d.money("refunded", x.Refunded)
	d.money("usage", x.Usage)
	d.money("usage_open", x.UsageOpen)
	d.money("usage_dropped", x.UsageDropped)
	shortfall, err := k.shortfall(r.Account, x)
	if err != nil {
		return err
	}
	d.money("shortfall", shortfall)
	if shortfall > 0 {
		d.optional("top_up_url", k.server.opts.TopUpURL)
	}
	d.moment("grace_ends_at", x.GraceEndsAt)
	d.moment("requested_at", x.RequestedAt)
	if len(r.Steps) > 0 { // the first one stays, however many there are
		d.text("requested_by", r.Steps[0].Actor)
		d.text("requested_role", r.Steps[0].Role)
	}
	d.moment("started_at", x.StartedAt)
	d.moment("ends_at", x.EndsAt)
	d.moment("paused_at", x.PausedAt)
	d.moment("ended_at", x.EndedAt)
	d.optional("cause", string(x.Cause))
	if err := k.sealedText(d, "reason", r.Account, x.Reason); err != nil {
		return err
	}
	d.steps(r.Steps)
	return nil
}
