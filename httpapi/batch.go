package httpapi

import (
	"bytes"
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/eventstore/ledger"
	"iocredits/httpapi/api"
)

const (
	maxBatchBytes = 32 << 20
	// batchGroup is how many lines are decided together: enough to share a sync,
	// few enough that decoded lines stay a small part of the body.
	batchGroup = 2_000
)

// DeductBatch is POST /v1/deductions/batch.
//
// The body is read as a whole before the first line is executed: so one that is
// too large or breaks off has no effect at all, and a client that sends all
// before it reads can't block the server. What that may take in memory is
// bounded: one body by 32 MiB, all of them by MaxBatchBytes.
func (h handlers) DeductBatch(c echo.Context) error {
	k := callOf(c)
	length := k.Request().ContentLength
	if length < 0 {
		length = maxBatchBytes
	}
	if length > maxBatchBytes {
		return tooLargeBody(maxBatchBytes)
	}
	defer h.batchBytes.Add(-length)
	if h.batchBytes.Add(length) > h.opts.MaxBatchBytes {
		return domain.Refuse(domain.CodeOverloaded, "too many batches are under way; try again")
	}
	var body bytes.Buffer
	if err := k.readBody(&body, maxBatchBytes); err != nil {
		return err
	}
	response := k.Response()
	response.Header()["Content-Type"] = []string{"application/x-ndjson"}
	response.WriteHeader(statusOK)
	b := batch{call: k, rest: body.Bytes()}
	for b.fill() {
		if err := b.execute(); err != nil {
			return err
		}
	}
	return nil
}

// batch is one request's lines, a group at a time.
type batch struct {
	*call
	rest  []byte
	lines []batchLine
	// requests are those of the lines that could be read.
	requests []ledger.Request
	// text is the line that is read now.
	text lineText
}

// batchLine is a line on its way.
type batchLine struct {
	key string
	// err is why there is no request; else request is its index.
	err     error
	request int
}

// fill reads the next group; false at the end.
func (b *batch) fill() bool {
	b.lines, b.requests = b.lines[:0], b.requests[:0]
	for len(b.lines) < batchGroup && len(b.rest) > 0 {
		line, rest, _ := bytes.Cut(b.rest, []byte{'\n'})
		b.rest = rest
		if len(bytes.TrimSpace(line)) > 0 {
			b.lines = append(b.lines, b.read(line))
		}
	}
	return len(b.lines) > 0
}

// read makes a request of a line, the same as the single route would.
func (b *batch) read(text []byte) batchLine {
	line := &b.text.BatchLine
	b.text = lineText{}
	if !b.text.scan(text) {
		b.text = lineText{}
		if err := decodeObject(text, line); err != nil {
			return batchLine{err: err}
		}
	}
	request, err := b.requestOf(line)
	if err != nil {
		return batchLine{key: clip(line.Key), err: err}
	}
	b.requests = append(b.requests, request)
	return batchLine{key: line.Key, request: len(b.requests) - 1}
}

func (b *batch) requestOf(line *api.BatchLine) (ledger.Request, error) {
	if err := domain.CheckAccount("account", line.Account); err != nil {
		return ledger.Request{}, err
	}
	if err := checkKey("key", line.Key); err != nil {
		return ledger.Request{}, err
	}
	o, path, err := b.orderOf(line)
	if err != nil {
		return ledger.Request{}, err
	}
	request := b.request(line.Account, line.Key, o)
	request.Fingerprint, err = b.fingerprint(b.ctx, line.Account, http.MethodPost, path, o)
	return request, err
}

// orderOf tells deductions from readings; path is the single route's.
func (b *batch) orderOf(line *api.BatchLine) (o order, path string, err error) {
	path = "/v1/accounts/" + line.Account
	if line.Meter == nil {
		if line.Quantity != nil || line.UnitPrice != nil || line.Final != nil {
			return o, "", domain.Refuse(domain.CodeFieldInvalid, "quantity, unit_price and final need a meter").With("field", "meter")
		}
		o, err = b.deduction(line.Account, &api.DeductionRequest{
			Amount: valueOf(line.Amount), Service: line.Service, Reference: line.Reference,
			Description: line.Description, EffectiveAt: line.EffectiveAt,
		})
		return o, path + "/deductions", err
	}
	if line.Amount != nil || line.Description != nil {
		return o, "", domain.Refuse(domain.CodeFieldInvalid, "a line with a meter has no amount and no description").With("field", "meter")
	}
	o, err = readingOrder(*line.Meter, &api.ReadingRequest{
		Service: line.Service, Quantity: valueOf(line.Quantity), UnitPrice: valueOf(line.UnitPrice),
		Reference: line.Reference, EffectiveAt: line.EffectiveAt, Final: line.Final,
	})
	return o, path + "/meters/" + *line.Meter + "/readings", err
}

// execute decides a group and writes its answers, which are durable then.
func (b *batch) execute() error {
	// The request's own time limit is for single commands; a batch has one for
	// each group, however many there are.
	ctx, cancel := context.WithTimeout(b.Request().Context(), b.server.opts.RequestTimeout)
	defer cancel()
	outcomes := b.server.opts.Ledger.ExecuteBatch(ctx, b.requests)
	d := newDocument()
	for i := range b.lines {
		line := &b.lines[i]
		if line.err != nil {
			b.refuse(d, line.key, line.err)
			continue
		}
		outcome := &outcomes[line.request]
		if outcome.Err != nil {
			b.refuse(d, line.key, outcome.Err)
			continue
		}
		accepted(d, line.key, &outcome.Result)
	}
	b.writeSoon()
	_, err := b.Response().Write(d.b)
	d.free()
	if err != nil {
		return err
	}
	b.Response().Flush()
	return nil
}

func accepted(d *document, key string, result *ledger.Result) {
	d.open()
	d.text("key", key)
	d.number("status", statusCreated)
	if charge := chargeIn(result.Facts); charge != nil {
		d.id("transaction_id", charge.ID)
	}
	d.number("revision", result.Revision)
	d.number("position", int64(result.Position))
	if result.Replayed {
		d.flag("replayed", true)
	}
	d.close()
	d.line()
}

func (b *batch) refuse(d *document, key string, err error) {
	refusal, fault := refusalOf(err)
	if fault {
		b.server.opts.Logger.Error("line of a batch failed", "request_id", b.requestID, "error", err)
	}
	d.open()
	d.text("key", key)
	d.number("status", int64(problems[refusal.Code].Status))
	d.text("code", string(refusal.Code))
	d.text("detail", refusal.Detail)
	d.close()
	d.line()
}
