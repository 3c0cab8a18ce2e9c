package httpapi

import (
	"slices"
	"strings"

	"iocredits/domain"
)

// readers of an account are all roles: customers of their own account, the others of any.
var readers = Roles()

// Who reads what one account has: whose it is, who decides it, who answers for it
// to the customer, who checks. The auditor reads all and writes nothing (api.md).
var (
	withdrawalReaders    = []Role{RoleCustomer, RoleFinance, RoleSupport, RoleAuditor, RoleAdmin}
	disputeReaders       = []Role{RoleCustomer, RoleSupport, RoleAuditor, RoleAdmin}
	adjustmentReaders    = []Role{RoleCustomer, RoleFinance, RoleSupport, RoleAuditor, RoleAdmin}
	reservationReaders   = []Role{RoleCustomer, RoleService, RoleFinance, RoleSupport, RoleAuditor, RoleAdmin}
	purchaseReaders      = []Role{RoleCustomer, RoleFinance, RoleSupport, RoleAuditor}
	creditRequestReaders = []Role{RoleCustomer, RoleBD, RoleFinance, RoleSupport, RoleAuditor, RoleAdmin}
	deploymentReaders    = []Role{RoleService, RoleCustomer, RoleSupport, RoleAuditor}
	noticeReaders        = []Role{RoleCustomer, RoleAuditor}
	paymentNoteReaders   = []Role{RoleService, RoleFinance, RoleSupport, RoleAuditor}
)

// access is the table route -> roles, as api.md has it. A route with no role is
// open to everyone, key or not. A route without a row can't be served.
var access = map[string][]Role{
	"GET /credits/check": {RoleCustomer, RoleService, RoleAuditor},

	"GET /v1/accounts":                                                 {RoleFinance, RoleSupport, RoleAuditor, RoleAdmin},
	"GET /v1/accounts/{account}/balance":                               readers,
	"GET /v1/accounts/{account}/transactions":                          readers,
	"GET /v1/accounts/{account}/transactions/{transaction_id}":         readers,
	"GET /v1/accounts/{account}/statement":                             readers,
	"GET /v1/accounts/{account}/transactions/{transaction_id}/explain": {RoleSupport, RoleAuditor, RoleService, RoleCustomer},
	"GET /v1/accounts/{account}/events":                                {RoleAuditor, RoleSupport, RoleAdmin},

	"POST /v1/accounts/{account}/incentives":                            {RoleService, RoleBD},
	"POST /v1/accounts/{account}/deductions":                            {RoleService},
	"POST /v1/deductions/batch":                                         {RoleService},
	"POST /v1/accounts/{account}/meters/{meter}/readings":               {RoleService},
	"POST /v1/accounts/{account}/refunds":                               {RoleService, RoleSupport},
	"POST /v1/accounts/{account}/reservations":                          {RoleService},
	"GET /v1/accounts/{account}/reservations":                           reservationReaders,
	"GET /v1/accounts/{account}/reservations/{reservation_id}":          reservationReaders,
	"GET /v1/accounts/{account}/meters":                                 reservationReaders,
	"POST /v1/accounts/{account}/reservations/{reservation_id}/capture": {RoleService},
	"POST /v1/accounts/{account}/reservations/{reservation_id}/release": {RoleService},
	"POST /v1/accounts/{account}/adjustments":                           {RoleSupport},
	"GET /v1/accounts/{account}/adjustments/{adjustment_id}":            adjustmentReaders,
	"POST /v1/accounts/{account}/adjustments/{adjustment_id}/approve":   {RoleFinance},
	"POST /v1/accounts/{account}/adjustments/{adjustment_id}/reject":    {RoleFinance},
	"POST /v1/accounts/{account}/freeze":                                {RoleFinance, RoleAdmin},
	"POST /v1/accounts/{account}/unfreeze":                              {RoleFinance, RoleAdmin},
	"GET /v1/accounts/{account}/policy":                                 readers,
	"PUT /v1/accounts/{account}/policy":                                 {RoleFinance, RoleAdmin},

	"GET /v1/accounts/{account}/withdrawals":                          withdrawalReaders,
	"GET /v1/accounts/{account}/withdrawals/{withdrawal_id}":          withdrawalReaders,
	"POST /v1/accounts/{account}/withdrawals":                         {RoleCustomer},
	"POST /v1/accounts/{account}/withdrawals/{withdrawal_id}/cancel":  {RoleCustomer},
	"POST /v1/accounts/{account}/withdrawals/{withdrawal_id}/approve": {RoleFinance},
	"POST /v1/accounts/{account}/withdrawals/{withdrawal_id}/reject":  {RoleFinance},
	"POST /v1/accounts/{account}/withdrawals/{withdrawal_id}/paid":    {RoleFinance},
	"POST /v1/accounts/{account}/withdrawals/{withdrawal_id}/failed":  {RoleFinance},
	"GET /v1/accounts/{account}/disputes":                             disputeReaders,
	"GET /v1/accounts/{account}/disputes/{dispute_id}":                disputeReaders,
	"POST /v1/accounts/{account}/disputes":                            {RoleCustomer, RoleSupport},
	"POST /v1/accounts/{account}/disputes/{dispute_id}/resolve":       {RoleSupport},

	// The desks.
	"GET /v1/withdrawals":                {RoleFinance, RoleAuditor},
	"GET /v1/disputes":                   {RoleSupport, RoleAuditor},
	"GET /v1/adjustments":                {RoleFinance, RoleSupport, RoleAuditor},
	"GET /v1/deployments":                {RoleService, RoleSupport, RoleAuditor},
	"POST /v1/accounts/{account}/forget": {RoleAdmin},

	"GET /v1/audit/checkpoint":         {RoleAuditor},
	"GET /v1/audit/proofs/inclusion":   {RoleAuditor},
	"GET /v1/audit/proofs/consistency": {RoleAuditor},
	"GET /v1/audit/trial-balance":      {RoleAuditor},
	"GET /v1/audit/journal":            {RoleAuditor},
	"GET /v1/audit/verify/{account}":   {RoleAuditor},

	"GET /v1/accounts/{account}/checkout":                                     {RoleCustomer, RoleService, RoleAuditor},
	"POST /v1/accounts/{account}/purchases":                                   {RoleCustomer},
	"GET /v1/accounts/{account}/purchases":                                    purchaseReaders,
	"GET /v1/accounts/{account}/purchases/{purchase_id}":                      purchaseReaders,
	"POST /v1/accounts/{account}/purchases/{purchase_id}/reverse":             {RoleFinance},
	"GET /v1/payments/unmatched":                                              {RoleFinance, RoleAuditor},
	"GET /v1/payments/unmatched/{payment_id}":                                 {RoleFinance, RoleAuditor},
	"POST /v1/payments/unmatched/{payment_id}/resolve":                        {RoleFinance},
	"POST /webhooks/spherepay":                                                {},
	"POST /v1/accounts/{account}/credit-requests":                             {RoleCustomer},
	"GET /v1/accounts/{account}/credit-requests":                              creditRequestReaders,
	"GET /v1/accounts/{account}/credit-requests/{credit_request_id}":          creditRequestReaders,
	"POST /v1/accounts/{account}/credit-requests/{credit_request_id}/approve": {RoleBD},
	"POST /v1/accounts/{account}/credit-requests/{credit_request_id}/reject":  {RoleBD},
	"POST /v1/accounts/{account}/credit-requests/{credit_request_id}/cancel":  {RoleCustomer},
	"GET /v1/credit-requests":                                                 {RoleBD, RoleAuditor},
	"POST /v1/accounts/{account}/deployments":                                 {RoleService, RoleCustomer},
	"GET /v1/accounts/{account}/deployments":                                  deploymentReaders,
	"GET /v1/accounts/{account}/deployments/{deployment_id}":                  deploymentReaders,
	"POST /v1/accounts/{account}/deployments/{deployment_id}/extend":          {RoleService},
	"POST /v1/accounts/{account}/deployments/{deployment_id}/usage":           {RoleService},
	"POST /v1/accounts/{account}/deployments/{deployment_id}/stop":            {RoleService},
	"POST /v1/accounts/{account}/deployments/{deployment_id}/cancel":          {RoleService},
	"POST /v1/accounts/{account}/deployments/{deployment_id}/fail":            {RoleService},

	"GET /v1/accounts/{account}/notifications":                         noticeReaders,
	"GET /v1/accounts/{account}/notifications/stream":                  noticeReaders,
	"POST /v1/accounts/{account}/notifications/{notification_id}/seen": {RoleCustomer},

	"POST /dev/payments/{purchase_id}":       {RoleAdmin},
	"POST /dev/clock":                        {RoleAdmin},
	"POST /dev/accounts/{account}/purchases": {RoleAdmin},

	"GET /healthz":      {},
	"GET /readyz":       {},
	"GET /metrics":      {},
	"GET /openapi.json": {},
	"GET /docs":         {},
	"GET /docs/{page}":  {},
}

// roleSet is a set of roles, one bit each in the order of Roles.
type roleSet uint16

func setOf(roles []Role) (set roleSet) {
	for _, r := range roles {
		set |= bitOf(r)
	}
	return set
}

func roleNames(roles []Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return strings.Join(names, ", ")
}

func bitOf(r Role) roleSet { return 1 << slices.Index(Roles(), r) }

// authenticate finds the key and checks its role.
func (k *call) authenticate() error {
	if k.route.everyone {
		return nil
	}
	given := k.givenKey()
	if given == "" {
		return k.noKey()
	}
	key := k.server.opts.Keys.find(given)
	if key == nil {
		return domain.Refuse(domain.CodeUnauthenticated, "nobody has this API key")
	}
	k.key = key
	if k.route.roles&key.bit == 0 {
		may := roleNames(access[k.route.name])
		return domain.Refuse(domain.CodeRoleNotAllowed, "role %s may not do this; %s may", key.Role, may).
			With("role", string(key.Role)).With("roles", may)
	}
	return nil
}

func (k *call) givenKey() string {
	header := k.Request().Header
	// An empty x-api-key comes of a template whose variable isn't set, and counts as none.
	if key := header["X-Api-Key"]; len(key) == 1 && key[0] != "" {
		return key[0]
	}
	if authorization := header["Authorization"]; len(authorization) == 1 {
		scheme, key, _ := strings.Cut(authorization[0], " ")
		if strings.EqualFold(scheme, "Bearer") {
			return strings.TrimSpace(key)
		}
	}
	return ""
}

// noKey refuses a request without a key. A header that is there twice counts as none: it
// isn't known which of the two keys is the caller's.
func (k *call) noKey() error {
	for _, name := range []string{"x-api-key", "Authorization"} {
		if given := k.Request().Header.Values(name); len(given) > 1 {
			return domain.Refuse(domain.CodeUnauthenticated, "there are %d headers %s: send one", len(given), name)
		}
	}
	return domain.Refuse(domain.CodeUnauthenticated, "send an API key as x-api-key, or as Authorization: Bearer")
}

// mayEnter keeps customers to their own account.
func (k *call) mayEnter(account string) error {
	if k.key != nil && k.key.Role == RoleCustomer && k.key.Account != account {
		return domain.Refuse(domain.CodeAccountNotAllowed, "the key is for account %s, not for %s", k.key.Account, account).
			With("account", account)
	}
	return nil
}
