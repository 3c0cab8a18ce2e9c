// Package esdbstore is the event store on an EventStoreDB or KurrentDB cluster,
// through the official Go client.
//
// That client ends for good when one round of discovery fails, leaks its old
// connection when one succeeds, and its calls may outlive their deadlines. So
// nothing here holds a client: a supervisor owns the session that is current,
// makes the next one when it ends, and every call runs under a watch that leaves
// it behind at its deadline.
//
// The cluster's optimistic concurrency decides between engines. An append whose
// outcome is unknown is repeated, with the same ids at the same revision, until
// it is known: the cluster answers the repeat like the first.
//
// The package never alters data or metadata and knows nothing of accounts.
package esdbstore
