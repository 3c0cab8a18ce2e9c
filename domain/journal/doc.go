// Package journal derives the double-entry postings of an event. Nothing here is
// stored: whoever has the log has the journal, and nobody can post by hand.
//
// The customer's side of a posting follows from account.Effect alone, so it ties
// to the balance by construction; the other side follows from what kind of event
// it is. An event of a kind without a rule is an error, never a guess.
//
// # Chart of accounts
//
//	assets:clearing:provider               payments that the provider took and owes us, fees included
//	assets:clearing:payouts                what finance paid out by hand, to be matched with the bank
//	assets:receivable:spending             what customers owe for spending below zero
//	assets:receivable:chargebacks          what customers owe for payments that were taken back
//	assets:receivable:provision            minus all of the line above: such debt is doubtful from the first day
//	liabilities:credits:purchased          unreserved credits that were paid for
//	liabilities:credits:promotional        unreserved credits that were given
//	liabilities:reserved:purchased         the same, held by reservations
//	liabilities:reserved:promotional
//	liabilities:withdrawals                held by withdrawals until they are paid
//	liabilities:unmatched                  payments that fit nowhere until a person decides
//	revenue:ray … revenue:inference        usage, one line a service
//	revenue:fees                           what a purchase cost the customer on top
//	revenue:breakage:purchased             credits that expired unused; the classes apart, because
//	revenue:breakage:promotional           finance nets the second against expenses:promotional
//	expenses:promotional                   incentives and promotional grants
//	expenses:corrections                   adjustments, of either sign
//	expenses:chargeback-loss               the other side of the provision; falls when such debt is repaid
//
// The fee goes back with what completes the reversal of its purchase, or with a
// payment of which nothing but the fee is left. Reversals from before the event had
// a fee, and purchases whose payments aren't known, don't say it: their fee stays in
// clearing:provider and revenue:fees until finance matches the provider's statement.
//
// A balance (money.md) is what customers are owed minus what they owe:
// liabilities:credits + reserved + withdrawals - receivable:spending - receivable:chargebacks.
//
// # Postings
//
// Debits are positive. "lots" is the liability by class, "debt" the receivable;
// chargeback debt always posts provision and loss beside it.
//
//	event                     debit                   credit
//	purchase-settled          clearing:provider       lots (purchased), fees
//	payment-credited          unmatched               lots (purchased)
//	payment-resolved          unmatched               clearing:provider; nothing if it was credited; the other way round for a reversal
//	credit-granted            expenses:promotional    lots of the class
//	deployment-paid           lots, debt              revenue of the service
//	deployment-extended       lots, debt              revenue of the service
//	deployment-usage-charged  lots, debt              revenue of the service
//	purchase-reversed         lots, debt, fees        clearing:provider
//	payment-unmatched         clearing:provider       unmatched; the other way round if money was taken back
//	incentive-granted         expenses:promotional    lots (promotional)
//	deducted                  lots, debt              revenue of the service
//	usage-metered             lots, debt              revenue of the service
//	reservation-captured      reserved                revenue of the service
//	refunded                  revenue of the service  lots, debt
//	reserved                  lots                    reserved
//	reservation-released      reserved                lots
//	debt-repaid               lots                    debt
//	withdrawal-requested      lots (purchased)        withdrawals
//	withdrawal-returned       withdrawals             lots (purchased)
//	withdrawal-paid           withdrawals             clearing:payouts
//	lot-expired               lots                    revenue:breakage of the class
//	adjusted                  expenses:corrections    lots; the other way round if it takes
//	adjustment-requested      -                       -
//	adjustment-approved       -                       -
//	adjustment-rejected       -                       -
//	credit-request-approved   -                       -
//	credit-request-cancelled  -                       -
//	credit-request-rejected   -                       -
//	credit-requested          -                       -
//	deployment-cancelled      -                       -
//	deployment-completed      -                       -
//	deployment-failed         -                       -
//	deployment-paused         -                       -
//	deployment-pending        -                       -
//	deployment-requested      -                       -
//	deployment-resumed        -                       -
//	deployment-stopped        -                       -
//	deployment-usage-opened   -                       -
//	dispute-opened            -                       -
//	dispute-resolved          -                       -
//	payment-assigned          -                       -
//	payment-dropped           -                       -
//	payment-received          -                       -
//	purchase-expired          -                       -
//	purchase-failed           -                       -
//	purchase-link-failed      -                       -
//	purchase-link-made        -                       -
//	purchase-link-requested   -                       -
//	purchase-started          -                       -
//	withdrawal-approved       -                       -
//	account-forgotten         -                       -
//	account-frozen            -                       -
//	account-unfrozen          -                       -
//	backing-changed           -                       -
//	expiry-announced          -                       -
//	notice-seen               -                       -
//	policy-set                -                       -
package journal
