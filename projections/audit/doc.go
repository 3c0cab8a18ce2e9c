// Package audit checks and shows what the engine has written, from the log alone:
// it folds every stream afresh, follows every hash, and holds the read models and
// the signed checkpoints to the outcome. Nothing here writes to a log or a view.
//
//	log ─> chain, decoding, rules, books, tree ─> findings
//	 └──> views built anew, in a scratch folder ─> compared row by row
//
// It trusts no figure that is stored beside the events, and no order but the
// log's. What it can't find, and why, is in httpapi/docs/auditors.md.
package audit
