// Package reactor is what must happen later: events in, commands out. Each kind
// of work is a file:
//
//	deadlines.go  sends a Tick to every account with something due
//	payments.go   makes payment links, asks the provider what became of them, and
//	              brings a payment to its account; claim.go says which that is
//	expiry.go     tells customers of credits that will expire
//	tries.go      keeps what fails from holding up what doesn't
//	lease.go      lets one of several engines do all of it
//
// The reactor keeps nothing of its own. What there is to do stands in a read
// model of the log, and what was done leaves it by an event; so a restart loses
// nothing, and doing something twice has one effect. It never writes an event of an
// account and knows no rule of money: an account decides what its Tick means. What it
// appends itself, claims and leases, stands in streams of its own.
package reactor
