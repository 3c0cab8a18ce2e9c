package httpapi

import (
	"fmt"
	"strings"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/domain/journal"
)

// How a story says what moved: in words that a customer reads, where the JSON has
// signed figures.

// wordsOf makes words of one of our names: credit_request, purchase-settled.
func wordsOf(name string) string { return strings.NewReplacer("-", " ", "_", " ").Replace(name) }

// movement tells what an entry moved. A correction keeps its sign, because its
// name doesn't say which way it goes; what moves only between what is free and
// what is held is told by the held amount.
func movement(kind account.EntryType, amount, held domain.Amount) string {
	name := wordsOf(string(kind))
	switch {
	case amount == 0 && held > 0:
		return fmt.Sprintf("%s, %s held", name, creditsText(held))
	case kind == account.EntryRelease:
		return name + " of " + (-held).String() + " held" + creditsWord(held)
	case amount == 0 && held < 0:
		return fmt.Sprintf("%s, %s held no longer", name, creditsText(-held))
	case kind == account.EntryAdjustment:
		return name + " of " + signed(amount) + creditsWord(amount)
	}
	return name + " of " + creditsText(max(amount, -amount))
}

// forService names what an entry is for; credits are for themselves.
func forService(service domain.Service) string {
	if service == "" || service == domain.ServiceCredits {
		return ""
	}
	return " for " + string(service)
}

func creditsText(a domain.Amount) string { return a.String() + creditsWord(a) }

func creditsWord(a domain.Amount) string {
	if a == domain.Credit || a == -domain.Credit {
		return " credit"
	}
	return " credits"
}

// words tells an event: what it moved, or its name if it moved nothing.
func (s *sequel) words() string {
	if s.entry.Type == "" {
		return wordsOf(s.fact.Type)
	}
	return movement(s.entry.Type, s.amount, s.entry.Held)
}

// whole is what all parts of the charge moved.
func (x *explanation) whole() (amount, held domain.Amount) {
	for _, part := range x.parts {
		entry, _ := account.EntryOf(part.Body)
		amount, held = amount+entry.Amount, held+entry.Held
	}
	return amount, held
}

// lotsTitle says what the lots of an entry were to it.
func (x *explanation) lotsTitle() string {
	amount, held := x.whole()
	switch {
	case amount == 0 && held > 0:
		return "Held from"
	case amount == 0 && held < 0:
		return "Back to"
	case x.entry.Type == account.EntryDeduction:
		return "Paid from"
	case x.entry.Type == account.EntryWithdrawal:
		return "Paid out from"
	}
	return "Taken from"
}

// signed writes an amount with its sign, as a history shows it.
func signed(a domain.Amount) string { return signedSum((journal.Sum{}).Add(a)) }

func signedSum(s journal.Sum) string {
	if s != (journal.Sum{}) && !s.Negative() {
		return "+" + s.String()
	}
	return s.String()
}
