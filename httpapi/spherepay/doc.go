// Package spherepay speaks to the payment provider: a client of its API, the
// signature of its webhooks, and a sandbox that serves the same API and sends
// the same webhooks, for development and tests.
//
// What the provider documents, and all that this package relies on:
//
//   - Authorization: Bearer <secret key>. 100 requests a second.
//   - POST /v1/paymentLink makes a link whose url a customer pays at. A payment
//     object appears when the customer pays. Idempotency-Key: a key used before
//     is an error, never a replay.
//   - A webhook is at least once and unordered. Its signature header is the
//     lower-case hex HMAC-SHA256 of the raw body under the webhook secret. There
//     is no timestamp: who receives one dedupes by what it says.
//   - Answers come in an envelope {ok, object, statusCode, error, message, data, ts, request}.
//
// The package never decides what a payment means for an account; that is the
// decider's. It knows amounts and ids, and never logs a key or a secret.
package spherepay
