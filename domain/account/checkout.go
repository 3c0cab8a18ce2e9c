package account

import "iocredits/domain"

// PaymentMethod is a way to pay for a deployment.
type PaymentMethod string

// The ways that a checkout shows.
const (
	PayUSDC    PaymentMethod = "usdc"
	PayIOCoin  PaymentMethod = "io_coin"
	PayCredits PaymentMethod = "credits"
)

// What the checkout says, word for word (io-credits.md, row 4).
const (
	checkoutPay       = "Pay & Deploy Container"
	checkoutNotEnough = "Not enough credits. Use another payment method or request more."
)

// CheckoutOption is one way to pay, as a checkout shows it.
type CheckoutOption struct {
	Method           PaymentMethod
	Visible, Enabled bool
	Message          string
	// Required and Available are credits.
	Required, Available domain.Amount
}

// Checkout gives the ways to pay for required credits (money.md, Checkout). The
// allowance doesn't count: it is for what runs already, not to be offered.
func (b Balance) Checkout(required domain.Amount) []CheckoutOption {
	credits := CheckoutOption{
		Method: PayCredits, Visible: b.Balance > 0, Enabled: b.Available >= required,
		Message: checkoutNotEnough, Required: required, Available: b.Available,
	}
	if credits.Enabled {
		credits.Message = checkoutPay
	}
	options := make([]CheckoutOption, 0, 3)
	for _, method := range []PaymentMethod{PayUSDC, PayIOCoin} {
		options = append(options, CheckoutOption{
			Method: method, Visible: true, Enabled: true, Message: checkoutPay, Required: required, Available: b.Available,
		})
	}
	return append(options, credits)
}
