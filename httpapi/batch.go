package httpapi

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
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
	// maxBatchAnswer is what a group's answer keeps room for: lines that were accepted
	// take some 110 bytes, refused ones more.
	maxBatchAnswer = 512 << 10
)

// DeductBatch is POST /v1/deductions/batch.
//
// The body is read as a whole before the first line is executed: so one that is
// too large or breaks off has no effect at all, and a client that sends all
// before it reads can't block the server. What that may take in memory is
// bounded: one body by 32 MiB, all of them by MaxBatchBytes.
func (h handlers) DeductBatch(c echo.Context) error {
	k := callOf(c)
	if err := k.refuseIfMatch(); err != nil {
		return err
	}
	room := batchRoom{server: h.Server, body: k.Request().Body}
	defer room.leave()
	switch length := k.Request().ContentLength; {
	case length > maxBatchBytes:
		return tooLargeBody(maxBatchBytes)
	case length >= 0:
		if err := room.take(length); err != nil {
			return err
		}
	default:
		k.Request().Body = &room
	}
	var body bytes.Buffer
	if err := k.readBody(&body, maxBatchBytes); err != nil {
		return err
	}
	k.Response().Header()["Content-Type"] = []string{"application/x-ndjson"}
	return (&batch{call: k, rest: body.Bytes()}).run()
}

// batchRoom is what a batch has taken of MaxBatchBytes. Around the body of a batch that
// doesn't say how long it is, it takes more as bytes come.
type batchRoom struct {
	server *Server
	body   io.ReadCloser
	taken  int64
}

// take refuses what there is no room for.
func (r *batchRoom) take(n int64) error {
	r.taken += n
	if r.server.batchBytes.Add(n) > r.server.opts.MaxBatchBytes {
		return domain.Refuse(domain.CodeOverloaded, "too many batches are under way; try again")
	}
	return nil
}

func (r *batchRoom) leave() { r.server.batchBytes.Add(-r.taken) }

// Read implements io.Reader.
func (r *batchRoom) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if full := r.take(int64(n)); full != nil {
		return n, full
	}
	return n, err
}

// Close implements io.Closer.
func (r *batchRoom) Close() error { return r.body.Close() }

// batch is one request's lines, a group at a time.
type batch struct {
	*call
	rest []byte
	// line is the number of the last line that was read, from 1; blank ones count.
	line int64
}

// lineGroup is what is decided together.
type lineGroup struct {
	lines []batchLine
	// texts are what the lines say; they don't move while lines refer to them.
	texts []lineText
	// requests are those of the lines that could be read, outcomes their answers.
	requests []ledger.Request
	outcomes []ledger.Outcome
	// answer has room for what so many lines are told, which is more than the pool of
	// documents keeps.
	answer document
}

var lineGroups = sync.Pool{New: func() any { return new(lineGroup) }}

// begin empties the group and makes room for the lines of rest.
func (g *lineGroup) begin(rest []byte) {
	g.reset()
	if cap(g.texts) < batchGroup {
		lines := min(batchGroup, bytes.Count(rest, []byte{'\n'})+1)
		g.lines, g.texts, g.requests = slices.Grow(g.lines, lines), slices.Grow(g.texts, lines), slices.Grow(g.requests, lines)
	}
}

// reset empties the group, and lets go of what its lines refer to.
func (g *lineGroup) reset() {
	clear(g.lines)
	clear(g.texts)
	clear(g.requests)
	clear(g.outcomes)
	g.lines, g.texts, g.requests, g.outcomes = g.lines[:0], g.texts[:0], g.requests[:0], g.outcomes[:0]
	if cap(g.answer.b) > maxBatchAnswer {
		g.answer.b = nil
	}
}

// run answers all groups. While one waits for its sync the next is read, but it
// is executed only after it: lines of one account keep their order.
func (b *batch) run() error {
	this, next := lineGroups.Get().(*lineGroup), lineGroups.Get().(*lineGroup) //nolint:forcetypeassert // the pool has nothing else
	for b.fill(this); len(this.lines) > 0; this, next = next, this {
		executed := b.execute(this)
		b.fill(next)
		<-executed
		if err := b.answerGroup(this, len(next.lines) > 0); err != nil {
			return err
		}
	}
	for _, g := range []*lineGroup{this, next} {
		g.reset()
		lineGroups.Put(g)
	}
	return nil
}

// batchLine is a line on its way.
type batchLine struct {
	// number is the line's in the body: a line that can't be read may show no key.
	number int64
	key    string
	// raw is the line as it came, a part of the body.
	raw []byte
	// err is why there is no request; else request is its index.
	err     error
	request int
}

// timeLimit bounds what is done for one group: the request's own limit is meant for one
// command, and a batch may have any number of groups.
func (b *batch) timeLimit() (context.Context, context.CancelFunc) {
	return context.WithTimeout(b.Request().Context(), b.server.opts.RequestTimeout)
}

// fill reads the next group; it has no lines at the end.
func (b *batch) fill(g *lineGroup) {
	ctx, cancel := b.timeLimit()
	defer cancel()
	b.ctx = ctx // under which texts are sealed, and accounts get their keys
	g.begin(b.rest)
	for len(g.lines) < batchGroup && len(b.rest) > 0 {
		line, rest, _ := bytes.Cut(b.rest, []byte{'\n'})
		b.rest = rest
		b.line++
		if len(trimJSON(line)) > 0 {
			g.read(line, b.line)
		}
	}
	b.server.opts.Sealer.Prepare(b.ctx, g.accounts)
	for i := range g.lines {
		b.resolve(g, i)
	}
}

// read finds out what a line says.
func (g *lineGroup) read(line []byte, number int64) {
	g.texts = append(g.texts, lineText{})
	text := &g.texts[len(g.texts)-1]
	var err error
	if !text.scan(line) {
		*text = lineText{}
		err = decodeObject(line, &text.BatchLine)
	}
	read := batchLine{number: number, raw: line, err: err}
	if err != nil {
		read.key = keyOf(line)
	}
	g.lines = append(g.lines, read)
}

// keyOf finds the key of a line that can't be read as a whole: a client tells by it
// which of its lines was refused. Of two keys neither is the line's.
func keyOf(line []byte) string {
	d := jsontext.NewDecoder(bytes.NewReader(line), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if d.PeekKind() != '{' {
		return ""
	}
	var found []byte
	for _, err := d.ReadToken(); err == nil && d.PeekKind() == '"'; {
		name, _ := d.ReadToken() // a name that can't be read has no value either
		is := name.Kind() == '"' && name.String() == "key"
		var value jsontext.Value
		if value, err = d.ReadValue(); err != nil || !is || value.Kind() != '"' {
			continue
		}
		key, _ := jsontext.AppendUnquote(nil, value)
		if found != nil && !bytes.Equal(found, key) {
			return ""
		}
		found = key
	}
	return clipKey(string(found))
}

// clipKey keeps all of a key that is one.
func clipKey(key string) string { return clipTo(key, maxIdempotencyKey) }

// accounts gives those of the lines that could be read.
func (g *lineGroup) accounts(yield func(string) bool) {
	for i := range g.lines {
		name := g.texts[i].Account
		if g.lines[i].err == nil && domain.CheckAccount("account", name) == nil && !yield(name) {
			return
		}
	}
}

// resolve makes a request of a line, the same as the single route would.
func (b *batch) resolve(g *lineGroup, i int) {
	line, text := &g.lines[i], &g.texts[i].BatchLine
	if line.err != nil {
		return
	}
	request, err := b.requestOf(text)
	if err != nil {
		if refusal, ok := domain.AsError(err); ok {
			err = sayMissing(refusal, g.texts[i].missing(line.raw))
		}
		line.key, line.err = clipKey(text.Key), err
		return
	}
	line.key, line.request = text.Key, len(g.requests)
	g.requests = append(g.requests, request)
}

// missing names what a line lacks. Its kind decides which of the figures it needs.
func (t *lineText) missing(line []byte) []string {
	missing := missingFields(line, &t.BatchLine)
	for _, figure := range []struct {
		name  string
		given bool
	}{{"amount", t.Amount != nil}, {"quantity", t.Quantity != nil}, {"unit_price", t.UnitPrice != nil}} {
		if !figure.given {
			missing = append(missing, figure.name)
		}
	}
	return missing
}

func (b *batch) requestOf(line *api.BatchLine) (ledger.Request, error) {
	if err := domain.CheckAccount("account", line.Account); err != nil {
		return ledger.Request{}, err
	}
	if line.Key == "" { // as the single route has it of a request without its header
		return ledger.Request{}, domain.Refuse(domain.CodeIdempotencyKeyMissing, "the line has no key; give it one, and the same one when you try again").
			With("field", "key")
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
		surplus, sent := "amount", string(valueOf(line.Amount))
		if line.Amount == nil {
			surplus, sent = "description", *line.Description
		}
		return o, "", domain.Refuse(domain.CodeFieldInvalid, "a line with a meter has no amount and no description").
			With("field", surplus).With("value", clip(sent))
	}
	o, err = readingOrder(*line.Meter, &api.ReadingRequest{
		Service: line.Service, Quantity: valueOf(line.Quantity), UnitPrice: valueOf(line.UnitPrice),
		Reference: line.Reference, EffectiveAt: line.EffectiveAt, Final: line.Final,
	})
	return o, path + "/meters/" + *line.Meter + "/readings", err
}

// execute decides a group's requests. Once the channel is closed their outcomes are
// there, and durable; until then the group belongs to the ledger.
func (b *batch) execute(g *lineGroup) <-chan struct{} {
	ctx, cancel := b.timeLimit()
	executed := make(chan struct{})
	g.outcomes = slices.Grow(g.outcomes, len(g.requests))[:len(g.requests)]
	go func() {
		defer cancel()
		defer close(executed)
		b.server.opts.Ledger.ExecuteBatchInto(ctx, g.requests, g.outcomes)
	}()
	return executed
}

// answerGroup writes a group's answers; more tells that another group follows.
func (b *batch) answerGroup(g *lineGroup, more bool) error {
	d := &g.answer
	d.b = d.b[:0]
	for i := range g.lines {
		line := &g.lines[i]
		if line.err != nil {
			b.refuse(d, line, line.err)
			continue
		}
		outcome := &g.outcomes[line.request]
		if outcome.Err != nil {
			b.refuse(d, line, outcome.Err)
			continue
		}
		accepted(d, line.key, &outcome.Result)
	}
	response := b.Response()
	if !more && !response.Committed {
		response.Header()["Content-Length"] = b.values.of(lengthPlace, strconv.Itoa(len(d.b)))
	}
	b.writeSoon()
	if _, err := response.Write(d.b); err != nil {
		return err
	}
	if more {
		response.Flush()
	}
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

// refusedMembers are the figures of a refusal that a line's answer has; others
// could be taken for members of an accepted line.
var refusedMembers = []string{"field", "value", "length", "limit", "available", "allowance", "spendable", "required", "shortfall"}

func (b *batch) refuse(d *document, line *batchLine, err error) {
	refusal, fault := refusalOf(err)
	if fault {
		b.server.opts.Logger.Error("line of a batch failed", "request_id", b.requestID, "error", err)
	}
	d.open()
	d.text("key", line.key)
	d.number("line", line.number)
	d.number("status", int64(problems[refusal.Code].Status))
	d.text("code", string(refusal.Code))
	d.text("detail", refusal.Detail)
	for _, f := range refusal.Fields {
		if slices.Contains(refusedMembers, f.Name) {
			d.text(f.Name, f.Value)
		}
	}
	d.close()
	d.line()
}
