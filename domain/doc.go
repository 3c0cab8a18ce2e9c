// Package domain has the words and the arithmetic of prepaid credits: amounts,
// rates, ids, events, refusals. It is pure: it never reads a clock, never does
// I/O, never rounds silently, and never sees a float.
package domain
