package httpapi

import (
	"maps"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/httpapi/api"
)

// SetPolicy is PUT …/policy. What is left out stays as it is.
func (h handlers) SetPolicy(c echo.Context, _ api.Account, _ api.SetPolicyParams) error {
	k := callOf(c)
	var request api.PolicyRequest
	if err := k.decode(&request); err != nil {
		return err
	}
	set, err := changeOf(&request)
	if err != nil {
		return err
	}
	if k.key.Role != RoleAdmin {
		set.Approver = string(k.key.Role)
	}
	var policy account.Policy
	result, err := k.execute(order{do: set, body: request, inspect: func(s *account.State, _ []eventstore.Fact) {
		policy = s.Policy
	}})
	if err != nil {
		return err
	}
	return k.answer(statusOK, result, func(d *document) error {
		d.object("policy")
		d.policy(&policy)
		d.close()
		return nil
	})
}

// changeOf is what a request says of a policy. Whether an approver asks is for the caller to
// add.
func changeOf(request *api.PolicyRequest) (set account.SetPolicy, err error) {
	set.GraceMinutes, set.PurchaseFeeBasisPoints = request.GraceMinutes, request.PurchaseFeeBasisPoints
	set.PurchasedLifeMonths = request.PurchasedLifeMonths
	if set.MinimumMinutes, err = minimumsOf(request.MinimumMinutes); err != nil {
		return set, err
	}
	if set.Allowance, err = optionalMoneyOf("allowance", request.Allowance); err != nil {
		return set, err
	}
	if set.LowBalanceAt, err = optionalMoneyOf("low_balance_at", request.LowBalanceAt); err != nil {
		return set, err
	}
	set.TwoApproversFrom, err = optionalMoneyOf("two_approvers_from", request.TwoApproversFrom)
	return set, err
}

// GetPolicy is GET …/policy. Its ETag is the account's revision, so that who
// changes what was read can ask for that with If-Match.
func (h handlers) GetPolicy(c echo.Context, name api.Account, params api.GetPolicyParams) error {
	k := callOf(c)
	if err := k.await(name, params.MinPosition); err != nil {
		return err
	}
	b, err := h.opts.Views.Balance(k.ctx, name)
	if err != nil {
		return err
	}
	k.Response().Header()["Etag"] = k.values.of(etagPlace, etagOf(b.Revision))
	if b.Revision == eventstore.NoStream {
		b.Policy = h.opts.Ledger.Opening()
	}
	d := newDocument()
	d.open()
	d.text("account", name)
	d.policy(&b.Policy)
	if toldOfFreezes&k.key.bit != 0 {
		if err := k.freeze(d, name, b.Frozen, b.Revision); err != nil {
			return err
		}
	}
	d.freshness(b.Revision, b.Position, k.lag)
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}

// policy writes the members of a policy.
func (d *document) policy(p *account.Policy) {
	d.money("allowance", p.Allowance)
	d.number("grace_minutes", int64(p.GraceMinutes))
	d.money("low_balance_at", p.LowBalanceAt)
	d.money("two_approvers_from", p.TwoApproversFrom)
	d.number("purchase_fee_basis_points", int64(p.PurchaseFeeBasisPoints))
	d.number("purchased_life_months", int64(p.PurchasedLifeMonths))
	d.object("minimum_minutes")
	for _, service := range domain.Services() {
		d.number(string(service), int64(p.MinimumMinutes.Of(service)))
	}
	d.close()
}

func serviceNames() string {
	var names []string
	for _, service := range domain.Services() {
		names = append(names, string(service))
	}
	return strings.Join(names, ", ")
}

func minimumsOf(given *map[string]int) (map[domain.Service]int, error) {
	minimums := map[domain.Service]int{}
	for _, name := range slices.Sorted(maps.Keys(valueOf(given))) {
		service, err := domain.ParseService(name)
		if err != nil {
			return nil, domain.Refuse(domain.CodeFieldInvalid, "minimum_minutes has %q, which is none of %s", clip(name), serviceNames()).
				With("field", "minimum_minutes").With("value", clip(name))
		}
		minimums[service] = (*given)[name]
	}
	return minimums, nil
}
