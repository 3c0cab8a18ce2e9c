// Package ledger is the write side: Execute(account, command) and nothing else
// changes an account.
//
// Each busy account has one worker. It takes all commands that wait, decides
// and evolves them one after the other on the account's book (the folded state
// and the head of the hash chain), and appends all their events at once at the
// exact revision it read. The store makes the appends of many accounts durable
// together. While an append is being made durable, what arrives waits, and is
// the next group: the busier an account, the larger its groups.
//
// A batch is many commands of one call. What waits for accounts whose books are in memory
// is decided on the caller's goroutine, one account after the other, and their groups go
// to the store together, which answers them together (handover.go): with thousands of busy
// accounts an append of its own would cost each more than its decision. Still each group
// is done or fails on its own.
//
// What is decided on a book that isn't durable yet is answered only once it is:
// refusals, replays and strong reads too. A failed append discards the book and
// everything decided on it.
//
// The package never reads a projection's data; the one thing that it asks of
// the read side is which event claimed a name (Names), and it knows exactly how
// far that answer reaches.
package ledger
