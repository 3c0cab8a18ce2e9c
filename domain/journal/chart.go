package journal

import (
	"iocredits/domain"
	"iocredits/domain/account"
)

// Account is a line of the chart of accounts. Its number is stored in the read
// models: a change of the order MUST change their format.
type Account uint8

// The chart; doc.go says what each line is for.
const (
	ProviderClearing Account = iota
	PayoutClearing
	SpendingReceivable
	ChargebackReceivable
	Provision
	PurchasedCredits
	PromotionalCredits
	PurchasedReserved
	PromotionalReserved
	Withdrawals
	Unmatched
	RevenueRay
	RevenueCaaS
	RevenueVM
	RevenueKubernetes
	RevenueBaremetal
	RevenueInference
	Fees
	PurchasedBreakage
	PromotionalBreakage
	PromotionalExpense
	Corrections
	ChargebackLoss
	// ChartSize is the number of lines.
	ChartSize
)

var names = [ChartSize]string{
	ProviderClearing:     "assets:clearing:provider",
	PayoutClearing:       "assets:clearing:payouts",
	SpendingReceivable:   "assets:receivable:spending",
	ChargebackReceivable: "assets:receivable:chargebacks",
	Provision:            "assets:receivable:provision",
	PurchasedCredits:     "liabilities:credits:purchased",
	PromotionalCredits:   "liabilities:credits:promotional",
	PurchasedReserved:    "liabilities:reserved:purchased",
	PromotionalReserved:  "liabilities:reserved:promotional",
	Withdrawals:          "liabilities:withdrawals",
	Unmatched:            "liabilities:unmatched",
	RevenueRay:           "revenue:ray",
	RevenueCaaS:          "revenue:caas",
	RevenueVM:            "revenue:vm",
	RevenueKubernetes:    "revenue:kubernetes",
	RevenueBaremetal:     "revenue:baremetal",
	RevenueInference:     "revenue:inference",
	Fees:                 "revenue:fees",
	PurchasedBreakage:    "revenue:breakage:purchased",
	PromotionalBreakage:  "revenue:breakage:promotional",
	PromotionalExpense:   "expenses:promotional",
	Corrections:          "expenses:corrections",
	ChargebackLoss:       "expenses:chargeback-loss",
}

// String is the name in exports: a path whose first part is the kind of account.
func (a Account) String() string {
	if a >= ChartSize {
		return "unknown"
	}
	return names[a]
}

// customers are the lines that make up what customers have and owe.
var customers = [...]Account{
	SpendingReceivable, ChargebackReceivable, PurchasedCredits, PromotionalCredits,
	PurchasedReserved, PromotionalReserved, Withdrawals,
}

// revenueOf is the line of a service; false if nothing is earned by it.
func revenueOf(service domain.Service) (Account, bool) {
	switch service {
	case domain.ServiceRay:
		return RevenueRay, true
	case domain.ServiceCaaS:
		return RevenueCaaS, true
	case domain.ServiceVM:
		return RevenueVM, true
	case domain.ServiceKubernetes:
		return RevenueKubernetes, true
	case domain.ServiceBaremetal:
		return RevenueBaremetal, true
	case domain.ServiceInference:
		return RevenueInference, true
	}
	return 0, false
}

// byClass chooses between the lines of the two classes.
func byClass(class account.Class, purchased, promotional Account) Account {
	if class == account.Promotional {
		return promotional
	}
	return purchased
}
