package audit

import (
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"iocredits/domain"
	"iocredits/domain/journal"
	"iocredits/eventstore"
)

// csvWriter has one row a posting. Nothing in it is free text.
type csvWriter struct{}

func (csvWriter) begin(w io.Writer) error {
	return writeCSV(w, []string{
		"position", "account", "revision", "event_id", "type", "recorded_at", "effective_at",
		"journal_account", "debit", "credit", "hash",
	})
}

func (csvWriter) line(w io.Writer, l Line) error {
	for _, p := range l.Postings {
		debit, credit := p.Amount.String(), ""
		if p.Amount < 0 {
			debit, credit = "", (-p.Amount).String()
		}
		err := writeCSV(w, []string{
			strconv.FormatUint(uint64(l.Position), 10), PlainCell(l.Account), strconv.FormatInt(l.Revision, 10), l.ID.String(), l.Type,
			l.Meta.RecordedAt.Format(time.RFC3339Nano), l.Entry.EffectiveAt.Format(time.RFC3339Nano),
			p.Account.String(), debit, credit, l.Hash.String(),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (csvWriter) end(io.Writer) error { return nil }

func writeCSV(w io.Writer, row []string) error {
	if w == io.Discard {
		return nil
	}
	c := csv.NewWriter(w)
	if err := c.Write(row); err != nil {
		return err
	}
	c.Flush()
	return c.Error()
}

// formulaMarks begin a formula; the wide ones do where people write them.
const formulaMarks = "=+-@＝＋－＠"

// cellMarks begin a cell or a row, whatever the file parts its own with: where figures have
// a decimal comma a spreadsheet parts at semicolons, some do so everywhere, and a quotation
// mark within a row quotes nothing then.
const cellMarks = ";\t\r\n"

// PlainCell keeps a spreadsheet from running a text that somebody else chose: what
// would begin a formula, here or in a cell or row that the text begins, gets an
// apostrophe before it. Figures are ours and stay figures, minus sign and all.
func PlainCell(text string) string {
	if !strings.ContainsAny(text, formulaMarks+cellMarks) {
		return text
	}
	plain := make([]byte, 0, len(text)+1)
	for i := range len(text) {
		behind := i > 0 && strings.IndexByte(cellMarks, text[i-1]) >= 0
		rest := text[i:]
		if behind {
			rest = strings.TrimLeft(rest, `"`)
		}
		first, _ := utf8.DecodeRuneInString(rest)
		if (i == 0 || behind) && strings.ContainsRune(formulaMarks, first) || i == 0 && strings.ContainsRune("\t\r\n", first) {
			plain = append(plain, '\'')
		}
		plain = append(plain, text[i])
	}
	return string(plain)
}

// ndjsonWriter has everything of an event, one object a line: with it the chain
// can be checked by a program that shares nothing with this one. JSON inside data
// and metadata is kept as text, because the hash is over its bytes.
type ndjsonWriter struct{}

type exportedLine struct {
	Position    eventstore.Position `json:"position"`
	Stream      string              `json:"stream"`
	Account     string              `json:"account"`
	Revision    int64               `json:"revision"`
	ID          uuid.UUID           `json:"id"`
	Type        string              `json:"type"`
	RecordedAt  time.Time           `json:"recorded_at"`
	EffectiveAt time.Time           `json:"effective_at"`
	Amount      domain.Amount       `json:"amount"`
	Held        domain.Amount       `json:"held"`
	Postings    []exportedPosting   `json:"postings"`
	Data        string              `json:"data"`
	Metadata    string              `json:"metadata"`
	Previous    eventstore.Hash     `json:"previous_hash"`
	Hash        eventstore.Hash     `json:"hash"`
}

type exportedPosting struct {
	Account string        `json:"account"`
	Amount  domain.Amount `json:"amount"`
}

func (ndjsonWriter) begin(io.Writer) error { return nil }

func (ndjsonWriter) line(w io.Writer, l Line) error {
	if w == io.Discard {
		return nil
	}
	out := exportedLine{
		Position: l.Position, Stream: l.Stream, Account: l.Account, Revision: l.Revision, ID: l.ID, Type: l.Type,
		RecordedAt: l.Meta.RecordedAt, EffectiveAt: l.Entry.EffectiveAt, Amount: l.Entry.Amount, Held: l.Entry.Held,
		Postings: []exportedPosting{}, Data: string(l.Data), Metadata: string(l.Metadata), Previous: l.Meta.Previous, Hash: l.Hash,
	}
	for _, p := range l.Postings {
		out.Postings = append(out.Postings, exportedPosting{p.Account.String(), p.Amount})
	}
	b, err := json.Marshal(out)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

func (ndjsonWriter) end(io.Writer) error { return nil }

// hledger writes a journal for hledger: each line of the chart has one account
// of it for each customer, so that every account's days come in order and every
// balance can be asserted, whatever order the accounts came in.
//
//	2026-01-02 * (event id) deducted  ; account: demo-1, revision: 5, position: 12
//	    liabilities:credits:purchased:demo-1   1.500000 CR
//	    revenue:vm:demo-1                     -1.500000 CR
//
// At the end of each customer's day, and of the export, a transaction of zeros
// asserts every balance that the day has changed.
type hledger struct{ customers map[string]*customerBooks }

type customerBooks struct {
	totals journal.Totals
	day    string
	// changed since the last assertion.
	changed [journal.ChartSize]bool
	open    bool
}

func newHledger() *hledger { return &hledger{customers: map[string]*customerBooks{}} }

const commodity = "CR"

func (h *hledger) begin(w io.Writer) error {
	_, err := fmt.Fprintf(w, "; iocredits: the journal of every account, derived from its events\ncommodity 1000.000000 %s\n", commodity)
	return err
}

func (h *hledger) line(w io.Writer, l Line) error {
	if len(l.Postings) == 0 {
		return nil
	}
	books := h.customers[l.Account]
	if books == nil {
		books = &customerBooks{}
		h.customers[l.Account] = books
	}
	day := l.Meta.RecordedAt.UTC().Format(time.DateOnly)
	if books.open && books.day != day {
		if err := books.assert(w, l.Account); err != nil {
			return err
		}
	}
	books.day, books.open = day, true
	books.totals.Post(l.Postings)
	for _, p := range l.Postings {
		books.changed[p.Account] = true
	}
	if w == io.Discard {
		return nil
	}
	b := fmt.Appendf(nil, "\n%s * (%s) %s  ; account: %s, revision: %d, position: %d, effective: %s\n",
		day, l.ID, l.Type, customerName(l.Account), l.Revision, l.Position, l.Entry.EffectiveAt.UTC().Format(time.RFC3339Nano))
	for _, p := range l.Postings {
		b = fmt.Appendf(b, "    %s  %s %s\n", customerAccount(p.Account, l.Account), p.Amount, commodity)
	}
	_, err := w.Write(b)
	return err
}

// assert states every balance that changed since the last time.
func (c *customerBooks) assert(w io.Writer, name string) error {
	b := fmt.Appendf(nil, "\n%s * balances of %s\n", c.day, customerName(name))
	for a, changed := range c.changed {
		if changed {
			b = fmt.Appendf(b, "    %s  0 %s = %s %s\n", customerAccount(journal.Account(a), name), commodity, c.totals[a], commodity)
		}
	}
	c.changed, c.open = [journal.ChartSize]bool{}, false
	_, err := w.Write(b)
	return err
}

func (h *hledger) end(w io.Writer) error {
	for _, name := range slices.Sorted(maps.Keys(h.customers)) {
		if books := h.customers[name]; books.open {
			if err := books.assert(w, name); err != nil {
				return err
			}
		}
	}
	return nil
}

func customerAccount(a journal.Account, name string) string {
	return a.String() + ":" + customerName(name)
}

// customerName keeps the colon, which parts an account's name in hledger, out;
// no id has a percent sign, so nothing is lost.
func customerName(name string) string { return strings.ReplaceAll(name, ":", "%3A") }
