// Package transparency lets somebody who trusts only a public key check what the
// engine says: the log of all account events is one Merkle tree (RFC 6962), and
// signed checkpoints of it are kept where no rebuild reaches them.
//
//	event -> chain hash (design.md rule 11) -> leaf -> tree head -> checkpoint, signed
//
// The leaves are the chain hashes of account events, in the order of the log;
// events of other streams have none. A checkpoint has the C2SP tlog-checkpoint
// form, a receipt is an event with its proof and a checkpoint in one file.
//
// The package doesn't keep the tree (the read models do) and never repairs:
// when the log and a signed checkpoint disagree it refuses to sign.
package transparency
