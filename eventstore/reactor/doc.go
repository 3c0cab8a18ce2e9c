// Package reactor is what must happen later: events in, commands out. Each kind
// of work is a file; deadlines.go sends a Tick to every account with something
// due.
//
// The reactor keeps nothing of its own. What there is to do stands in a read
// model of the log, and what was done leaves it by an event; so a restart loses
// nothing, and doing something twice has one effect. It never writes an event
// itself and knows no rule of money: an account decides what its Tick means.
package reactor
