// Package pebblestore is the embedded event store, on a Pebble database for the records
// and one for the index.
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
// newest part is in memory, and is read from the log again after a crash. It is in the
// folder "index" of the log's, and is built again if that isn't there. Earlier versions
// had it among the records; their logs open here, and from then on
// MUST NOT be opened there: most refuse to, and the oldest would see empty streams.
//
// The package never looks into data or metadata and never alters them; Scavenge
// takes them away.
package pebblestore
