package eventstore

import "strings"

// Streams by name. Every part of the engine that writes a stream of its own
// names it here, so that a server knows what it must not let a client touch.
//
//	account-X        the history of account X; the ledger's, kept for ever
//	notices-X        what the customer of account X was told and has seen; kept too
//	lease-X          who holds X; the reactor's
//	keyring-X        the key that seals the text of account X, where engines share it
//	claim-X          the account in which payment X is recorded; one event, kept too
//	~snapshot-S      the newest snapshot of stream S; a cache
const (
	accountPrefix = "account-"
	noticesPrefix = "notices-"
	leasePrefix   = "lease-"
	keyringPrefix = "keyring-"
	claimPrefix   = "claim-"
	// SidePrefix marks what a store on a cluster keeps beside the log, because it
	// has no other place: its ReadAll and Subscribe leave it out.
	SidePrefix     = "~"
	snapshotPrefix = SidePrefix + "snapshot-"
)

// What EventStoreDB gives a meaning, and every store here keeps: a stream's metadata is
// the newest event of another stream, and a tombstone is the last event of its own.
const (
	metadataPrefix = "$$"
	// TypeMetadata is the type of an event that is a stream's metadata, TypeTombstone
	// that of a tombstone.
	TypeMetadata  = "$metadata"
	TypeTombstone = "$streamDeleted"
	// KeepNewest is the metadata of a stream of which only the newest event matters:
	// a scavenge takes the others.
	KeepNewest = `{"$maxCount":1}`
)

// MetadataStream is the stream that has the metadata of a stream.
func MetadataStream(stream string) string { return metadataPrefix + stream }

// MetadataOf reads the stream back; the stream itself and false if it is none that
// has metadata.
func MetadataOf(stream string) (of string, isMeta bool) {
	return strings.CutPrefix(stream, metadataPrefix)
}

// AccountStream is the stream of an account.
func AccountStream(account string) string { return accountPrefix + account }

// AccountOf reads the account back; false if the stream isn't an account's.
// Projections skip all other streams.
func AccountOf(stream string) (string, bool) { return strings.CutPrefix(stream, accountPrefix) }

// NoticesStream is the stream of notices of an account.
func NoticesStream(account string) string { return noticesPrefix + account }

// NoticesOf reads the account back; false if the stream isn't one of notices.
func NoticesOf(stream string) (string, bool) { return strings.CutPrefix(stream, noticesPrefix) }

// LeaseStream is the stream of a lease.
func LeaseStream(name string) string { return leasePrefix + name }

// SnapshotStream is where a store without a place for snapshots keeps those of
// stream.
func SnapshotStream(stream string) string { return snapshotPrefix + stream }

// KeyStream is where a keyring that is shared through the log keeps the key of
// an account.
func KeyStream(account string) string { return keyringPrefix + account }

// KeyAccountOf reads the account back; false if the stream isn't a keyring's.
func KeyAccountOf(stream string) (string, bool) { return strings.CutPrefix(stream, keyringPrefix) }

// ClaimStream is where it is decided in which account a payment is recorded.
func ClaimStream(payment string) string { return claimPrefix + payment }

// ClaimOf reads the payment back; false if the stream isn't a claim's.
func ClaimOf(stream string) (string, bool) { return strings.CutPrefix(stream, claimPrefix) }

// Kept says that a stream's history is for ever: nobody may truncate or delete it.
func Kept(stream string) bool {
	return strings.HasPrefix(stream, accountPrefix) || strings.HasPrefix(stream, noticesPrefix) || strings.HasPrefix(stream, claimPrefix)
}

// Ours says that only the engine writes to a stream.
func Ours(stream string) bool {
	return Kept(stream) || strings.HasPrefix(stream, leasePrefix) ||
		strings.HasPrefix(stream, keyringPrefix) || strings.HasPrefix(stream, SidePrefix)
}
