// Package account is the decider of one account of prepaid credits.
//
//	Decide(state, command) ([]event, error)   all rules; changes nothing
//	Evolve(state, event)                      changes the state; never refuses
//
// A feature is one file: its events, its commands, its rules. What an event
// does to lots, holds and debt is said once, by its Effect; the state, the
// figures of a balance, the entries of a history and the views derive from it.
//
// The package is pure. It never reads a clock, never draws a random number,
// never does I/O, and never lets a map's order reach an event.
// The rules are those of money.md; a comment names the one it implements.
package account
