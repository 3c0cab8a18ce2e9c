// Package pebblestore is the embedded event store, on one Pebble database.
//
// One committer takes all appends that wait, checks their expected revisions,
// gives them consecutive positions and hands them to Pebble as one batch; a
// second goroutine waits for the batches' syncs in order, moves the head and
// answers. So the next group is prepared while the last one syncs, and one sync
// makes the appends of many streams durable; half of a crowd waits up to two
// milliseconds to share one.
//
// Invariant: nobody sees an event past the head, and the head only ever passes
// what is synced. Pebble's memtable has events before that; every read stops at
// the head.
//
// Where each stream's events are is an index (index.go) that follows the log: its
// newest part is in memory, and is read from the log again after a crash. Versions of
// before that wrote an entry for each event; their logs open here, but a log that was
// written here MUST NOT be opened by them: they would see the first event of many.
//
// The package never looks into data or metadata and never alters them; Scavenge
// takes them away.
package pebblestore
