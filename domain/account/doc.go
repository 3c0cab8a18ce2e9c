// Package account is the decider of one account of prepaid credits.
//
//	Decide(state, command) ([]event, error)   all rules; changes nothing
//	Evolve(state, event)                      changes the state; never refuses
//
// A feature is one file: its events, its commands, its rules. What an event
// does to lots, holds and debt is said once, by its Effect; the state, the
// figures of a balance, the entries of a history and the views derive from it.
//
// Where to begin reading. A payment's way, in the order of its files:
//
//	httpapi/payments.go            TakeWebhook checks the signature, reads the payment
//	                               and finds the account that it names
//	eventstore/reactor/claim.go    one account has a payment, for ever, however often
//	                               and for whomever it is told of
//	eventstore/reactor/payments.go PaymentHome finds that account, RecordPayment makes
//	                               commands of it; reconciliation comes in here too
//	provider.go                    which commands: ProviderPayment.Actions
//	payment.go                     RecordPayment: it counts towards its purchase, which
//	                               settles (PurchaseSettled, purchase.go) once all has
//	                               come; or it fits nowhere (PaymentUnmatched)
//	unmatched.go                   and finance decides: ResolvePayment
//	reversal.go                    ReversePurchase: the provider takes it back, and
//	                               backing.go says whose money is gone
//
// A deployment's way:
//
//	httpapi/deployments.go         the routes
//	deployment_pay.go              StartDeployment pays for it, or lets it wait (grace
//	                               window); settleWaiting pays what waits;
//	                               ExtendDeployment books more
//	deployment_usage.go            RecordUsage charges on top, or pauses it
//	deadline.go                    its end, or that of its grace window, comes
//	deployment_end.go              what it used, what comes back
//	deployment.go                  what it is, deployment_event.go what happens to it
//
// The package is pure. It never reads a clock, never draws a random number,
// never does I/O, and never lets a map's order reach an event.
// The rules are those of money.md; a comment names the one it implements. That page lies
// in ../shared beside the checkout, as others that comments name (README.md).
package account
