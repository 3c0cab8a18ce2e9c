// Package projections are the read models: balances, histories, objects, the
// names that were ever claimed, and the deadlines to come. They follow the log,
// all in one database with one checkpoint, written together. Readers are shown a
// change as a whole, balances with everything else: whoever has seen it in one read
// sees it in the next, and a history read after a balance has that balance's event.
//
// A read model never writes an event and never sends a command. It can be
// deleted at any time and is built again from the log, byte for byte the same.
//
//	log -> subscribe, decode -> fill a change -> write it, while the next is filled
//	                                             v
//	                                             generation <- queries
//
// A generation is one database in a folder of its own. Rebuild fills the next
// one while the current one answers, and swaps when it has caught up.
package projections
