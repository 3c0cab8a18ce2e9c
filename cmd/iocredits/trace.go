package main

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"time"

	"iocredits/domain"
)

// A trace is CSV, one LLM request a row, as Azure publishes them:
//
//	TIMESTAMP,ContextTokens,GeneratedTokens
//	2023-11-16 18:15:46.6805900,374,44
var traceHeader = []string{"TIMESTAMP", "ContextTokens", "GeneratedTokens"}

const (
	traceTime = "2006-01-02 15:04:05.9999999"
	// maxTokens of one request keeps a damaged row from becoming a bill.
	maxTokens = 100_000_000
)

// kind is what of a request is metered; each has its own price.
type kind int

const (
	input kind = iota
	output
	kinds
)

func (k kind) String() string { return [...]string{"input", "output"}[k] }

// trace is a file of requests. ID names its content: the same file always has
// the same one, so that loading it twice repeats the same commands.
type trace struct {
	ID   string
	Rows []traceRow
}

// traceRow is the tokens of one request, by kind.
type traceRow [kinds]int64

// readTrace reads the whole file before anything is charged: a file with a
// malformed row charges nothing.
func readTrace(r io.Reader) (trace, error) {
	digest := sha256.New()
	rows := csv.NewReader(io.TeeReader(r, digest))
	rows.ReuseRecord = true
	rows.FieldsPerRecord = -1
	var t trace
	for first := true; ; first = false {
		record, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return trace{}, fmt.Errorf("read trace: %w", err)
		}
		line, _ := rows.FieldPos(0)
		if first {
			if len(record) != len(traceHeader) || record[0] != traceHeader[0] || record[1] != traceHeader[1] || record[2] != traceHeader[2] {
				return trace{}, fmt.Errorf("line %d: the header is not TIMESTAMP,ContextTokens,GeneratedTokens", line)
			}
			continue
		}
		row, err := parseRow(record)
		if err != nil {
			return trace{}, fmt.Errorf("line %d: %w", line, err)
		}
		t.Rows = append(t.Rows, row)
	}
	if len(t.Rows) == 0 {
		return trace{}, errors.New("the trace has no requests")
	}
	t.ID = hex.EncodeToString(digest.Sum(nil)[:8])
	return t, nil
}

func parseRow(record []string) (traceRow, error) {
	if len(record) != len(traceHeader) {
		return traceRow{}, fmt.Errorf("%d columns, not %d", len(record), len(traceHeader))
	}
	if _, err := time.Parse(traceTime, record[0]); err != nil {
		return traceRow{}, fmt.Errorf("TIMESTAMP %q is not like %q", record[0], traceTime)
	}
	var row traceRow
	for k := range kinds {
		tokens, err := strconv.ParseInt(record[1+k], 10, 64)
		if err != nil || tokens < 0 || tokens > maxTokens {
			return traceRow{}, fmt.Errorf("%s %q is not a whole number from 0 to %d", traceHeader[1+k], record[1+k], maxTokens)
		}
		row[k] = tokens
	}
	return row, nil
}

// prices per million tokens, by kind.
type prices [kinds]string

// perToken gives the unit price that the meter is told.
func (p prices) perToken(k kind) (domain.Rate, error) {
	price, err := p.rat(k)
	if err != nil {
		return domain.Rate{}, err
	}
	rate, err := domain.ParseRate("unit_price", price.FloatString(12))
	if err != nil {
		return domain.Rate{}, fmt.Errorf("%s price: %w", k, err)
	}
	return rate, nil
}

func (p prices) rat(k kind) (*big.Rat, error) {
	amount, err := domain.ParseAmount(k.String()+"-price", p[k])
	if err != nil {
		return nil, usagef("--%s-price %q is not a price: digits, optionally a point and up to 6 decimals", k, p[k])
	}
	// An amount is in 10^-6 credits and the price is for 10^6 tokens.
	return big.NewRat(int64(amount), 1_000_000_000_000), nil
}

// expected computes what the trace costs, on other arithmetic than the engine's:
// per meter the exact sum, rounded half-even to a micro-credit once.
func (t trace) expected(p prices) (domain.Amount, error) {
	total := new(big.Int)
	for k := range kinds {
		price, err := p.rat(k)
		if err != nil {
			return 0, err
		}
		tokens := new(big.Int)
		for _, row := range t.Rows {
			tokens.Add(tokens, big.NewInt(row[k]))
		}
		cost := new(big.Rat).Mul(price, new(big.Rat).SetInt(tokens))
		total.Add(total, roundHalfEven(cost.Mul(cost, big.NewRat(int64(domain.Credit), 1))))
	}
	if !total.IsInt64() {
		return 0, errors.New("the trace costs more than any account can hold")
	}
	return domain.Amount(total.Int64()), nil
}

// roundHalfEven rounds a value >= 0 to a whole number.
func roundHalfEven(r *big.Rat) *big.Int {
	whole, rest := new(big.Int).QuoRem(r.Num(), r.Denom(), new(big.Int))
	switch rest.Lsh(rest, 1).Cmp(r.Denom()) {
	case +1:
		whole.Add(whole, big.NewInt(1))
	case 0:
		whole.Add(whole, big.NewInt(int64(whole.Bit(0))))
	}
	return whole
}
