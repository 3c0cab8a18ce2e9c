package httpapi

import "iocredits/domain"

// problemHelp is what a reader of a problem wants to know beside its title.
type problemHelp struct {
	Cause, Do string
	// Members are those that the problem may have beside RFC 9457's, code and
	// request_id. A test holds every refusal of the tests against them.
	Members []string
}

// Members that many problems have.
var inputMembers = []string{"field", "value"}

const (
	giveIt    = "Correct what field names."
	sameAgain = "Send the same request again after Retry-After, with the same Idempotency-Key."
	lookForID = "Check the account and the id; ids are those that the engine answered, or that you chose."
)

// help has what /docs/problems says of each code. A test fails if one is missing.
var help = map[domain.Code]problemHelp{
	domain.CodeBodyInvalid:           {"The body broke off, is not JSON, not an object, or has a field twice.", "Send one JSON object. Where the detail says a byte, it counts from 0.", []string{"field"}},
	domain.CodeFieldUnknown:          {"The body has a field, or the query a parameter, that the route doesn't know.", "Look for a misspelling, or for a field of another route.", []string{"field"}},
	domain.CodeIdempotencyKeyMissing: {"The route moves or promises money, and no Idempotency-Key came.", "Make a key for each thing that you want done, and keep it for when you try again.", []string{"field"}},
	domain.CodeUnauthenticated:       {"No API key came, or one that nobody has; of a webhook: the signature is not the provider's.", "Send a key as x-api-key or as Authorization: Bearer.", nil},
	domain.CodeInsufficientCredits:   {"required is more than can be spent: spendable, or for a hold available, because a hold takes no allowance.", "Let the customer buy top_up_amount, at top_up_url, and send the same request again. It is the shortfall, or the least that can be bought.", []string{"available", "allowance", "spendable", "required", "shortfall", "top_up_amount", "top_up_url"}},
	domain.CodeAccountFrozen:         {"Finance, or debt after a chargeback, froze the account: no new spending, holds or payouts.", "Finance unfreezes it. What runs goes on: captures, usage, releases and refunds are not refused.", nil},
	domain.CodeAccountNotAllowed:     {"A customer's key is for one account, and the request names another.", "Use the account's own key, or one of another role.", []string{"account"}},
	domain.CodeRoleNotAllowed:        {"The key's role may not use the route, or not the field of it that field names; roles has those that may.", "Use a key of one of those roles.", []string{"role", "roles", "field", "value"}},
	domain.CodeSelfApproval:          {"Who asked for something can't decide about it, nobody approves twice, and who opened a dispute can't refund what it is about while it is open: dispute_id names it.", "Another person has to, with a key of another actor.", []string{"field", "value", "dispute_id"}},
	domain.CodeUnknownAccount:        {"Nothing has happened to the account yet; of a payment's resolve: nor is it the one that the payment names.", "Check its name. Most reads answer zeros for such an account, and most commands begin it; this route needs events, or would credit nobody's account.", []string{"account", "field", "value"}},
	domain.CodeUnknownAdjustment:     {"The account has no adjustment of this id.", lookForID, inputMembers},
	domain.CodeUnknownDispute:        {"The account has no dispute of this id.", lookForID, inputMembers},
	domain.CodeUnknownCreditRequest:  {"The account has no credit request of this id.", lookForID, inputMembers},
	domain.CodeUnknownDeployment:     {"The account has no deployment of this id.", lookForID, inputMembers},
	domain.CodeUnknownPayment:        {"No payment of this id waits or has waited for a decision.", "Take the id from GET /v1/payments/unmatched, the account in front of the ~ included.", inputMembers},
	domain.CodeUnknownPurchase:       {"The account has no purchase of this id.", lookForID, inputMembers},
	domain.CodeUnknownReservation:    {"The account never had a reservation of this id.", lookForID, inputMembers},
	domain.CodeUnknownNotice:         {"The account has no notification of this id.", lookForID, inputMembers},
	domain.CodeUnknownRoute:          {"The engine has no such path or page.", "Look it up in /docs.", nil},
	domain.CodeUnknownTransaction:    {"The account has no transaction of this id.", lookForID, inputMembers},
	domain.CodeUnknownWithdrawal:     {"The account has no withdrawal of this id.", lookForID, inputMembers},
	domain.CodeMethodNotAllowed:      {"The path is there, but not for this method; methods has those that it takes.", "Use one of them.", []string{"methods"}},
	domain.CodeConflict:              {"Other engines changed the account each time that this one had decided.", "Send the same request again, with the same Idempotency-Key.", []string{"attempt"}},
	domain.CodeDisputeOpen:           {"A dispute about the transaction is open; there is one at a time.", "Wait until it is resolved.", inputMembers},
	domain.CodeDuplicateID:           {"The account has, or had, an object of this id; ids are used once.", "Choose another id. To repeat a request, send it with its first Idempotency-Key.", []string{"field", "value", "payment_id"}},
	domain.CodeReservationClosed:     {"The reservation was used up, released or has expired.", "Make a new one, or deduct.", inputMembers},
	domain.CodeWrongStatus:           {"The object is in a status in which this can't be done: field says which kind it is, value which one, current_status how it stands. Of a forget: withdrawals, disputes, adjustments or credit requests are open.", "Read the object. What you wanted may have happened already.", []string{"field", "value", "current_status", "account", "withdrawals", "disputes", "adjustments", "credit_requests"}},
	domain.CodePreconditionFailed:    {"Something has happened to the account since the revision in If-Match.", "Read the balance, look at what is new, and decide again.", []string{"revision"}},
	domain.CodeBodyTooLarge:          {"A body may have 1 MiB, that of a batch 32 MiB, that of a webhook 64 KiB.", "Send less at once.", nil},
	domain.CodeEncodingUnsupported:   {"The body came with a Content-Encoding, such as gzip.", "Send it as it is.", inputMembers},
	domain.CodeAmountInvalid:         {"An amount is missing, not written as digits with at most 6 decimals, or not above zero.", giveIt, []string{"field", "value", "minimum"}},
	domain.CodeAmountTooLarge:        {"An amount or a price is above 10^9 credits, or an account would hold more than 10^12.", giveIt, []string{"field", "value", "limit"}},
	domain.CodeCaptureExceeds:        {"The reservation holds less than was to be captured.", "Capture what reserved says at most, and deduct the rest.", []string{"reserved", "required"}},
	domain.CodeFieldInvalid:          {"A field or a parameter is missing, of another kind than it has to be, or outside of what is allowed.", giveIt, []string{"field", "value", "length", "limit", "first"}},
	domain.CodeIDInvalid:             {"An id is missing, or not 1 to 128 of A-Z a-z 0-9 . _ : - @.", giveIt, []string{"field", "value", "length", "limit"}},
	domain.CodeIdempotencyKeyReused:  {"The key was used in this account for another request: another method, path, actor or body.", "Use a key of its own for each request; revision is where the first one stands.", []string{"revision"}},
	domain.CodeLimitExceeded:         {"The account has as many open things of the kind as it may, or a deployment as many hours; or it has more events than the engine verifies in an answer; or the command makes more than the log takes at once.", "Close some first; spend less at once; verify such an account with iocredits diff.", []string{"limit", "field", "value"}},
	domain.CodeNotADeduction:         {"The transaction is not one that took credits: only deductions, captures, metered charges and what a deployment took can be refunded or disputed.", "Take the id of the charge, of its first entry where it has more than one: first_revision is where that stands.", []string{"field", "value", "first_revision"}},
	domain.CodeNotWithdrawable:       {"Only purchased credits that nothing holds and whose money is still there can be withdrawn; of an approval: a chargeback took the money behind the request.", "Ask for withdrawable at most; reject what can't be paid any more.", []string{"withdrawable", "required"}},
	domain.CodePaymentMethod:         {"A deployment here is paid with credits.", `Send "payment_method":"credits".`, inputMembers},
	domain.CodeQuantityInvalid:       {"A quantity is missing, or not written as digits with at most 6 decimals.", giveIt, inputMembers},
	domain.CodeRateInvalid:           {"A unit price is missing, or not written as digits with at most 12 decimals.", giveIt, inputMembers},
	domain.CodeRefundExceeds:         {"The deduction has less left than was to be refunded: deducted minus refunded is refundable.", "Refund refundable at most.", []string{"deducted", "refunded", "refundable", "required"}},
	domain.CodeTimeInvalid:           {"A time is not RFC 3339, outside of the years 1970 to 9999, in the future where it says when something counts, past where it says when something ends, or a range begins after its end.", giveIt, inputMembers},
	domain.CodeInternal:              {"A fault of the engine. The command may have been taken.", "Send the same request again with the same Idempotency-Key. Tell an operator the request_id: the log has more under it.", nil},
	domain.CodeOverloaded:            {"More waits than the engine takes at once, over all, for the account or for the key.", sameAgain, nil},
	domain.CodeReadBehind:            {"The read models have not reached min_position within a second, or are behind what this engine acknowledged and lack what was asked for, or it would pass for the whole, as a file does; through is where they are.", "Ask again.", []string{"through"}},
	domain.CodeRequestTimeout:        {"The answer did not come in time. The command may have been taken.", sameAgain, nil},
	domain.CodeUnavailable:           {"The log or the keyring takes no writes, the keyring lacks the account's key, the read models have stopped, or something that the route needs isn't set up: the detail says which.", sameAgain + " Where the keyring lacks the key it helps once an operator has put that back. Without Retry-After no repeat helps: an operator has to set up what not_set_up names.", []string{notSetUpMember}},
}
