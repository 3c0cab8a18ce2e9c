package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore/keyring"
	"iocredits/httpapi/api"
)

func (r *rig) batch(body string) []api.BatchAnswer {
	r.t.Helper()
	got := r.do(call{as: "service", method: "POST", path: "/v1/deductions/batch", body: body, header: http.Header{"Content-Type": {"application/x-ndjson"}}})
	require.Equal(r.t, 200, got.Status, got.Text)
	require.Equal(r.t, "application/x-ndjson", got.Header.Get("Content-Type"))
	schema := theContract().doc.Components.Schemas["BatchAnswer"].Value
	var answers []api.BatchAnswer
	lines := bufio.NewScanner(strings.NewReader(got.Text))
	for lines.Scan() {
		var anything any
		require.NoError(r.t, json.Unmarshal(lines.Bytes(), &anything))
		require.NoError(r.t, schema.VisitJSON(anything), lines.Text())
		var a api.BatchAnswer
		require.NoError(r.t, json.Unmarshal(lines.Bytes(), &a))
		answers = append(answers, a)
	}
	return answers
}

func TestBatchLinesStandAlone(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	lines := []struct {
		line   string
		status int
		code   string
	}{
		{`{"account":"demo-1","key":"a","amount":"1","service":"vm","reference":"x"}`, 201, ""},
		{`{"account":"demo-1","key":"b","amount":"NaN","service":"vm"}`, 422, "amount-invalid"},
		{`{"account":"demo-1","key":"c","amount":"100","service":"vm"}`, 402, "insufficient-credits"},
		{`{"account":"demo-2","key":"a","amount":"1","service":"vm"}`, 402, "insufficient-credits"},
		{``, 0, ""},
		{`{"account":"demo-1","key":"d","meter":"m","service":"inference","quantity":"3","unit_price":"0.0000005","reference":"y"}`, 201, ""},
		{`{"account":"demo-1","key":"a","amount":1.000000,"service":"vm","reference":"x"}`, 201, ""},
		{`{"account":"demo-1","key":"a","amount":"2","service":"vm","reference":"x"}`, 422, "idempotency-key-reused"},
		{`{"account":"demo-1","key":"e","amount":"1","service":"vm","colour":"red"}`, 400, "field-unknown"},
		{`{"account":"demo 1","key":"f","amount":"1","service":"vm"}`, 422, "id-invalid"},
		{`{"account":"demo-1","amount":"1","service":"vm"}`, 400, "idempotency-key-missing"},
		{`{"account":"demo-1","key":"","amount":"1","service":"vm"}`, 400, "idempotency-key-missing"},
		{"{\"account\":\"demo-1\",\"key\":\"\u00e9\",\"amount\":\"1\",\"service\":\"vm\"}", 422, "field-invalid"},
		{`{"account":"demo-1","key":"g","amount":"1","meter":"m","service":"vm","quantity":"1","unit_price":"1"}`, 422, "field-invalid"},
		{`{"account":"demo-1","key":"h","amount":"1","quantity":"1","service":"vm"}`, 422, "field-invalid"},
		{`null`, 400, "body-invalid"},
		{`{"account":"demo-1","key":"i","amount":"2","service":"vm"}`, 201, ""},
		{`{"account":"demo-1","key":"j","amount":"1","serv`, 400, "body-invalid"},
	}
	var body []string
	for _, l := range lines {
		body = append(body, l.line)
	}
	answers := r.batch(strings.Join(body, "\n"))
	at := 0
	for i, l := range lines {
		if l.line == "" {
			continue
		}
		a := answers[at]
		at++
		require.Equal(t, l.status, a.Status, l.line)
		if l.code != "" {
			require.Equal(t, l.code, *a.Code, l.line)
			require.EqualValues(t, i+1, *a.Line, "blank lines count")
			continue
		}
		require.Nil(t, a.Code)
		id := r.must(get("auditor", "/v1/accounts/demo-1/transactions/"+*a.TransactionId)).Body
		require.EqualValues(t, *a.Revision, id["revision"])
		require.EqualValues(t, *a.Position, id["position"])
	}
	require.Len(t, answers, at)
	require.Equal(t, []string{"amount", "1"}, []string{*answers[12].Field, *answers[12].Value})
	require.Equal(t, "a", answers[0].Key)
	require.True(t, *answers[5].Replayed)
	require.Equal(t, answers[0].TransactionId, answers[5].TransactionId)
	require.Equal(t, "6.999998", r.balance("demo-1")["balance"])
}

// TestRefusedLinesSayWhatTheSingleRouteDoes: with the same figures.
func TestRefusedLinesSayWhatTheSingleRouteDoes(t *testing.T) {
	r := newRig(t, nil)
	for _, c := range []struct{ path, line, body string }{
		{"/deductions", ``, `"amount":"1.0000001","service":"vm"`},
		{"/deductions", ``, `"amount":"1000000001","service":"vm"`},
		{"/deductions", ``, `"amount":"1","service":"mainframe"`},
		{"/deductions", ``, `"amount":"1","service":"vm","effective_at":"yesterday"`},
		{"/deductions", ``, `"amount":"1","service":"vm","effective_at":"1969-12-31T23:59:59.5Z"`},
		{"/deductions", ``, `"amount":"5","service":"vm"`},
		{"/deductions", ``, `"service":"vm"`},
		{"/meters/m/readings", `"meter":"m",`, `"service":"vm","quantity":"x","unit_price":"1"`},
		{"/meters/m/readings", `"meter":"m",`, `"service":"vm","quantity":"1","unit_price":"-1"`},
		{"/meters/m/readings", `"meter":"m",`, `"service":"vm","quantity":"1","unit_price":"1","final":7`},
	} {
		single := r.do(call{as: "service", method: "POST", path: demo + c.path, key: "k", body: "{" + c.body + "}", wrong: true}).Body
		var line map[string]any
		answer := r.do(call{as: "service", method: "POST", path: "/v1/deductions/batch", wrong: true, body: `{"account":"demo-1","key":"k",` + c.line + c.body + "}",
			header: http.Header{"Content-Type": {"application/x-ndjson"}}})
		require.NoError(t, json.Unmarshal([]byte(answer.Text), &line))
		for _, member := range []string{"status", "code", "detail", "field", "value", "shortfall"} {
			require.Equal(t, single[member], line[member], "%s of %s", member, c.body)
		}
		require.NotEmpty(t, line["code"])
	}
}

// TestALineWithAMeterHasNoAmount: the field to take out is named.
func TestALineWithAMeterHasNoAmount(t *testing.T) {
	r := newRig(t, nil)
	const metered = `{"account":"demo-1","key":"k","meter":"m","service":"vm","quantity":"1","unit_price":"1",`
	for _, field := range []string{"amount", "description"} {
		require.Equal(t, field, *r.batch(metered + `"` + field + `":"1"}`)[0].Field)
	}
	require.Equal(t, "meter", *r.batch(`{"account":"demo-1","key":"k","service":"vm","quantity":"1"}`)[0].Field, "the one to add")
	r.fund("demo-1", "5")
	require.Equal(t, 201, r.batch(metered + `"amount":null,"description":null}`)[0].Status, "clients with one type for both lines send these")
}

// TestBatchAnswersInFull: an accepted line's answer has the bytes that it always
// had, and a refused one says what a program can act on.
func TestBatchAnswersInFull(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	got := r.do(call{as: "service", method: "POST", path: "/v1/deductions/batch", header: http.Header{"Content-Type": {"application/x-ndjson"}}, body: "\n" +
		`{"account":"demo-1","key":"a","amount":"4","service":"vm"}` + "\r\n \n" +
		`{"account":"demo-1","key":"b","amount":"100","service":"vm"}` + "\n" +
		`{"account":"demo-1","key":"c","amount":"x","service":"vm"}` + "\n" +
		"{\n"}).Text
	answers := strings.SplitAfter(got, "\n")
	require.Len(t, answers, 5, got)
	entry := r.must(get("auditor", demo+"/transactions?limit=1")).Body["items"].([]any)[0].(map[string]any)
	require.Equal(t, fmt.Sprintf(`{"key":"a","status":201,"transaction_id":%q,"revision":1,"position":%v}`+"\n", entry["transaction_id"], entry["position"]), answers[0])
	var refused []map[string]any
	for _, text := range answers[1:4] {
		var a map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &a))
		require.NotEmpty(t, a["detail"])
		delete(a, "detail")
		refused = append(refused, a)
	}
	require.Equal(t, []map[string]any{
		{"key": "b", "line": 4.0, "status": 402.0, "code": "insufficient-credits", "available": "6", "allowance": "10", "spendable": "16", "required": "100", "shortfall": "84"},
		{"key": "c", "line": 5.0, "status": 422.0, "code": "amount-invalid", "field": "amount", "value": "x"},
		{"key": "", "line": 6.0, "status": 400.0, "code": "body-invalid"},
	}, refused)
}

// A line and the single route are one request: whichever came first.
func TestBatchSharesKeysWithSingleRequests(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	single := r.must(post("service", "/v1/accounts/demo-1/deductions", "a", `{"amount":"1","service":"vm","description":"one"}`))
	line := r.batch(`{"account":"demo-1","key":"a","amount":1,"service":"vm","description":"one"}`)[0]
	require.True(t, *line.Replayed)
	require.EqualValues(t, single.Body["revision"], *line.Revision)

	line = r.batch(`{"account":"demo-1","key":"m","meter":"m","service":"vm","quantity":"2","unit_price":"0.5","final":true}`)[0]
	again := r.must(post("service", "/v1/accounts/demo-1/meters/m/readings", "m", `{"service":"vm","quantity":2.0,"unit_price":0.50,"final":true}`))
	require.Equal(t, "true", again.Header.Get("Idempotency-Replayed"))
	require.Equal(t, *line.TransactionId, again.Body["deduction"].(map[string]any)["id"])
	require.Equal(t, map[string]any{"id": "m", "status": "closed", "charged": "1"}, again.Body["meter"])
}

// TestAKeyIsTheSameInALineAndInAHeader, which loses the spaces around it: a line that
// is sent again as a single request would be charged twice.
func TestAKeyIsTheSameInALineAndInAHeader(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	for _, key := range []string{" job 1", "job 2 ", " "} {
		line := r.batch(fmt.Sprintf(`{"account":"demo-1","key":%q,"amount":"1","service":"vm"}`, key))[0]
		require.Equal(t, 422, line.Status, "%q", key)
		require.Equal(t, []string{"field-invalid", "key", key}, []string{*line.Code, *line.Field, *line.Value})
	}
	long := strings.Repeat("k", 9_000)
	line := r.batch(fmt.Sprintf(`{"account":"demo-1","key":%q,"amount":"1","service":"vm"}`, long))[0]
	require.Equal(t, []string{"key", long[:40] + "…", "9000", "255"}, []string{*line.Field, *line.Value, *line.Length, *line.Limit})
	require.Equal(t, 201, r.batch(`{"account":"demo-1","key":"job 3","amount":"1","service":"vm"}`)[0].Status)
	again := r.must(post("service", "/v1/accounts/demo-1/deductions", " job 3 ", `{"amount":"1","service":"vm"}`))
	require.Equal(t, "true", again.Header.Get("Idempotency-Replayed"))
	require.Equal(t, "9", r.balance("demo-1")["balance"])
}

func TestALargeBatch(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100000")
	r.fund("demo-2", "100000")
	const many = 6_000 // more than two groups
	var body strings.Builder
	for i := range many {
		fmt.Fprintf(&body, `{"account":"demo-%d","key":"k%d","amount":"0.000001","service":"inference"}`+"\n", 1+i%2, i)
	}
	answers := r.batch(body.String())
	require.Len(t, answers, many)
	last := map[int]int64{}
	for i, a := range answers {
		require.Equal(t, fmt.Sprint("k", i), a.Key, "answers come in the order of their lines")
		require.Equal(t, 201, a.Status)
		require.Greater(t, *a.Revision, last[i%2], "lines of one account are decided in order")
		last[i%2] = *a.Revision
	}
	require.Equal(t, "99999.997", r.balance("demo-1")["balance"])
	for _, a := range r.batch(body.String()) {
		require.True(t, *a.Replayed)
	}
	require.Equal(t, "99999.997", r.balance("demo-2")["balance"])
}

// keyDeadlines has until when each account's key was to be made.
type keyDeadlines struct {
	keyring.Keys
	mu    sync.Mutex
	until map[string]time.Time
}

func (k *keyDeadlines) Key(ctx context.Context, account string) (keyring.Key, error) {
	k.mu.Lock()
	k.until[account], _ = ctx.Deadline()
	k.mu.Unlock()
	return k.Keys.Key(ctx, account)
}

// TestEachGroupOfABatchHasItsTime: one that takes long must not leave those after it none.
func TestEachGroupOfABatchHasItsTime(t *testing.T) {
	file, err := keyring.Open(t.TempDir(), keyring.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	keys := &keyDeadlines{Keys: file, until: map[string]time.Time{}}
	r := newRig(t, func(p *parts) { p.server.Sealer = keyring.NewSealer(keys, 0) })
	line := `{"account":"%s","key":"%s","amount":"1","service":"vm"}` + "\n"
	first, last := fmt.Sprintf(line, "first", "a"), fmt.Sprintf(line, "last", "b")
	r.batch(first + strings.Repeat("{}\n", 2_000) + last)
	require.Greater(t, keys.until["last"], keys.until["first"])
}

func TestTooManyBatches(t *testing.T) {
	r := newRig(t, func(p *parts) { p.server.MaxBatchBytes = 100 })
	body := strings.Repeat(" ", 101)
	c := call{as: "service", method: "POST", path: "/v1/deductions/batch", body: body, header: http.Header{"Content-Type": {"application/x-ndjson"}}}
	require.NotEmpty(t, r.refused(503, "overloaded", c).Header.Get("Retry-After"))
	require.Len(t, r.batch(`{"account":"demo-1","key":"a","amount":"1","service":"vm"}`), 1, "the room is free again")
}

// A client tells by the key which of its lines was refused.
func TestARefusedLineHasItsKey(t *testing.T) {
	r := newRig(t, nil)
	long := strings.Repeat("k", 255)
	for line, key := range map[string]string{
		`{"account":"demo-1","key":"` + long + `","amount":"x","service":"vm"}`:            long,
		`{"account":"demo-1","key":"` + long + `k","amount":"1","service":"vm"}`:           long + "…",
		`{"account":"demo-1","key":"a","amount":"1","service":"vm","currency":"USD"}`:      "a",
		`{"colour":{"key":"no"},"account":"demo-1","key":"\u0062","amount":"1"}`:           "b",
		`{"account":"demo-1","key":"c","amount":"1","amount":"2","service":"vm"}`:          "c",
		`{"account":"demo-1","key":"d","amount":"1","serv`:                                 "d",
		`{"account":"demo-1","key":"e","amount":[],"service":"vm"}`:                        "e",
		`{"account":"demo-1","key":"f","key":"f","amount":"1","service":"vm"}`:             "f",
		`{"account":"demo-1","key":"g","key":"h","amount":"1","service":"vm"}`:             "",
		`{"account":"demo-1","key":7,"amount":"1","service":"vm"}`:                         "",
		`[{"account":"demo-1","key":"i"}]`:                                                 "",
		`{"account":"demo-1","k`:                                                           "",
		"{\"account\":\"demo-1\",\"key\":\"j\",\"amount\":\"1\",\"description\":\"\xff\"}": "j",
	} {
		a := r.batch(line)[0]
		require.NotNil(t, a.Code, line)
		require.Equal(t, key, a.Key, line)
	}
}

// Small batches of unknown length take the room of small batches.
func TestBatchesOfUnknownLengthTakeWhatTheySend(t *testing.T) {
	const line = `{"account":"demo-1","key":"a","amount":"1","service":"vm"}`
	r := newRig(t, func(p *parts) { p.server.MaxBatchBytes = 1000 })
	r.fund("demo-1", "10")
	send := func(body io.Reader) answer {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.http.URL+"/v1/deductions/batch", body)
		require.NoError(t, err)
		request.Header.Set("X-Api-Key", "service")
		response, err := r.http.Client().Do(request)
		require.NoError(t, err)
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return answer{Status: response.StatusCode, Text: string(text)}
	}
	unknown := func(text string) io.Reader { return io.MultiReader(strings.NewReader(text)) }
	for range 3 {
		a := send(unknown(line))
		require.Equal(t, 200, a.Status, a.Text)
		require.Contains(t, a.Text, `"key":"a","status":201`)
	}
	a := send(unknown(strings.Repeat(line+"\n", 20)))
	require.Equal(t, 503, a.Status, a.Text)
	require.Contains(t, a.Text, "overloaded")
	require.Len(t, r.batch(line), 1, "the room is free again")
}
