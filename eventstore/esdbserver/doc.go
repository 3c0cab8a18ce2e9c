// Package esdbserver serves the EventStoreDB gRPC protocol over any
// eventstore.Store, so that every official client can read, subscribe to and,
// where it is allowed, append to the log.
//
// It keeps nothing of its own beside the Store: a stream's metadata is the last
// event of "$$stream", and a tombstone is the last event of the stream itself.
// So there is no index to build at the start, and the Store's expected revision
// decides every race, a tombstone's too; but not a soft delete's, which is written
// to another stream than it is about. Locks decide that one, among the clients of
// one Server.
//
// The streams of accounts are the ledger's: only Mode Open lets a client append
// to them, and none lets anyone delete or truncate them.
//
// The package never looks into an event's data, but for metadata of streams and
// links, and never knows an API key: Options.Authorize does.
package esdbserver
