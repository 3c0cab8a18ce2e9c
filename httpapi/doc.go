// Package httpapi is the HTTP API: routes, keys and roles, problems, idempotency.
// It turns a request into a command or a query, and the answer into JSON. It has
// no rule of money and keeps no state of accounts.
//
// The contract is openapi.yaml; package api, generated from it, has the
// interface that the handlers implement. To follow a request:
//
//	route.go      which handler; keys and roles (auth.go), ids, query, timeout
//	deductions.go a feature: shape of the request -> command
//	execute.go    seal, fingerprint, ledger.Execute
//	desks.go      or, of an object with a life of its own: order, execute, answer with it
//	answer.go     events -> transactions, balance, object
//	problem.go    or a refusal: the only file with status numbers
//
// Routes that are called by the thousand have shorter ways that leave all but the
// plain form of a request to the general ones: lean.go (parameters), scan.go
// (bodies). What they gained, as BenchmarkHandler has it with -cpu 1, views and
// ledger included: check 4.9 to 3.6 µs and 22 to 13 allocations, balance 4.4 to
// 4.0 µs and 19 to 11, deduct 35 to 29 µs and 88 to 71.
//
// A feature is one file with the feature's name. To add one: its paths in
// openapi.yaml, go generate, its methods on handlers, its rows in auth.go.
package httpapi
