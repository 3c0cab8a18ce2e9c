package httpapi_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
)

func TestReadYourWrites(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "1000")
	for i := range 100 {
		r.must(post("service", "/v1/accounts/demo-1/deductions", fmt.Sprint(i), `{"amount":"1","service":"vm"}`))
		want := fmt.Sprint(999 - i)
		require.Equal(t, want, r.balance("demo-1")["balance"])
		require.Equal(t, want, r.must(get("service", "/v1/accounts/demo-1/transactions?limit=1")).Body["items"].([]any)[0].(map[string]any)["balance_after"])
	}
}

// While the read models stand still: what waits says so, what can't be promised
// is refused, and the write side knows better.
func TestLateReadModels(t *testing.T) {
	r := newRig(t, func(p *parts) {
		p.stillViews = true
		p.server.ReadPatience = time.Millisecond
	})
	funded := r.must(post("admin", "/dev/accounts/demo-1/purchases", "p", `{"amount":"10"}`))
	position := int64(funded.Body["position"].(float64))

	late := r.balance("demo-1")
	require.Equal(t, "0", late["balance"])
	require.Greater(t, late["lag"], 0.0, "an answer that is late says so")
	require.Equal(t, "0", r.must(get("service", "/credits/check?account=demo-1&amount=1")).Body["available"])

	behind := get("service", fmt.Sprintf("/v1/accounts/demo-1/balance?min_position=%d", position))
	require.NotEmpty(t, r.refused(503, "read-behind", behind).Header.Get("Retry-After"))
	refused := r.refused(503, "read-behind", get("service", "/v1/accounts/demo-1/balance?consistency=strong&min_position=1000000"))
	head, err := r.store.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint(head), refused.Body["through"])
	r.must(get("service", fmt.Sprintf("/v1/accounts/demo-1/balance?consistency=strong&min_position=%d", head)))
	strong := r.must(get("service", "/v1/accounts/demo-1/balance?consistency=strong"))
	require.Equal(t, "10", strong.Body["balance"])
	require.Equal(t, funded.Body["balance"].(map[string]any)["recorded_at"], strong.Body["recorded_at"])
	// An answer that was given once is given again all the same.
	repeat := post("admin", "/dev/accounts/demo-1/purchases", "p", `{"amount":"10"}`)
	require.Equal(t, funded.Body["transactions"], r.must(repeat).Body["transactions"])

	r.followLog()
	require.NoError(t, r.views.WaitThrough(t.Context(), eventstore.Position(position)))
	require.Equal(t, "10", r.must(behind).Body["balance"])
	require.Equal(t, funded.Body["transactions"], r.must(repeat).Body["transactions"])
}

// meanwhile is a store that does something at the first look into a stream.
type meanwhile struct {
	eventstore.Store
	do sync.Once
	it func()
}

func (m *meanwhile) ReadStream(ctx context.Context, stream string, from int64, d eventstore.Direction, count int) iter.Seq2[eventstore.Recorded, error] {
	m.do.Do(m.it)
	return m.Store.ReadStream(ctx, stream, from, d, count)
}

// TestLagIsOfWhatWasRead: read models that catch up while an answer is made of what they
// had before don't make it a new one.
func TestLagIsOfWhatWasRead(t *testing.T) {
	m := &meanwhile{}
	r := newRig(t, func(p *parts) {
		m.Store = p.server.Store
		p.stillViews, p.server.ReadPatience, p.server.Store = true, time.Nanosecond, m
	})
	deduct := func(key string) answer {
		return r.must(post("service", demo+"/deductions", key, `{"amount":"1","service":"vm"}`))
	}
	r.fund("demo-1", "10")
	first := deduct("a")
	require.NoError(t, r.views.RunToEnd(t.Context(), nil))
	deduct("b")
	m.it = func() { require.NoError(t, r.views.RunToEnd(context.Background(), nil)) }
	charge := part(first, "deduction")["id"].(string)
	got := r.must(get("support", demo+"/transactions/"+charge+"/explain")).Body
	require.Equal(t, first.Body["revision"], got["revision"], "the second charge isn't in it")
	require.NotZero(t, got["lag"])
	require.Zero(t, r.must(get("support", demo+"/transactions/"+charge+"/explain")).Body["lag"])
}

// TestWhatLateReadModelsLackIsNotDenied: this engine made it a moment ago.
func TestWhatLateReadModelsLackIsNotDenied(t *testing.T) {
	r := newRig(t, func(p *parts) { p.stillViews, p.server.ReadPatience = true, time.Nanosecond })
	r.fund("demo-1", "100")
	charge := part(r.must(post("service", demo+"/deductions", "d", `{"amount":"1","service":"vm"}`)), "deduction")["id"].(string)
	r.must(post("service", demo+"/reservations", "r", `{"reservation_id":"r","amount":"1","service":"vm"}`))
	r.must(post("service", demo+"/reservations/r/release", "s", ""))
	r.must(post("service", demo+"/deployments", "v", `{"deployment_id":"v","service":"vm","payment_method":"credits","hourly_price":"1","duration_hours":1}`))
	made := []call{
		get(customer, r.withdraw("w", "1")), get("service", demo+"/transactions/"+charge), get("support", demo+"/transactions/"+charge+"/explain"),
		get("service", demo+"/reservations/r"), get("service", demo+"/deployments/v"),
	}
	for _, c := range made {
		require.Equal(t, "1", r.refused(503, "read-behind", c).Header.Get("Retry-After"))
	}
	r.refused(503, "read-behind", post(customer, demo+"/notifications/a0.0/seen", "", ""))
	r.refused(404, "unknown-deployment", get("service", "/v1/accounts/demo-2/deployments/v"))
	r.followLog()
	require.NoError(t, r.views.WaitThrough(t.Context(), r.ledger.AckedAny()))
	for _, c := range made {
		r.must(c)
	}
	r.refused(404, "unknown-deployment", get("service", demo+"/deployments/none"))
}

func TestETag(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	path := "/v1/accounts/demo-1/balance"
	etag := r.must(get("service", path)).Header.Get("Etag")
	require.Equal(t, `"0"`, etag)
	for _, query := range []string{"", "?consistency=strong"} {
		for _, known := range []string{etag, "W/" + etag, `"7", ` + etag, "*"} {
			got := r.do(call{as: "service", method: "GET", path: path + query, header: http.Header{"If-None-Match": {known}}})
			require.Equal(t, 304, got.Status)
			require.Empty(t, got.Text)
		}
	}
	r.fund("demo-1", "1")
	got := r.do(call{as: "service", method: "GET", path: path, header: http.Header{"If-None-Match": {etag}}})
	require.Equal(t, 200, got.Status)
	require.Equal(t, `"1"`, got.Header.Get("Etag"))
}

func TestCheck(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	check := func(amount string) map[string]any {
		return r.must(get("customer:demo-1", "/credits/check?amount="+amount)).Body
	}
	got := check("20.000001")
	require.Equal(t, false, got["sufficient"])
	require.Equal(t, "0.000001", got["shortfall"], "10 and an allowance of 10")
	require.Equal(t, true, check("20")["sufficient"])
	require.Equal(t, "0", check("20")["shortfall"])
	r.must(post("admin", "/v1/accounts/demo-1/freeze", "", ""))
	require.Equal(t, false, check("1")["sufficient"], "a frozen account can't pay")
	require.Equal(t, true, check("1")["frozen"])
}

func TestPagesAndFilters(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	for i := range 5 {
		r.clock.Move(time.Hour)
		service := []string{"vm", "ray"}[i%2]
		r.must(post("service", "/v1/accounts/demo-1/deductions", fmt.Sprint(i), fmt.Sprintf(`{"amount":"1","service":%q,"reference":"job-%d"}`, service, i)))
	}
	path := "/v1/accounts/demo-1/transactions?"
	items := func(query string) []any { return r.must(get("support", path+query)).Body["items"].([]any) }
	require.Len(t, items("service=ray"), 2)
	require.Len(t, items("type=purchase"), 1)
	require.Len(t, items("reference=job-3"), 1)
	require.Len(t, items("from=2026-03-01T13:00:00Z&to=2026-03-01T15:00:00Z"), 2)
	require.Len(t, items("from=2026-03-01T14:00:00%2B01:00&to=2026-03-01T15:00:00Z"), 2)

	var seen []any
	page := r.must(get("support", path+"limit=2")).Body
	for i := 0; ; i++ {
		for _, item := range page["items"].([]any) {
			seen = append(seen, item.(map[string]any)["revision"])
		}
		if page["next_cursor"] == nil {
			break
		}
		// What is written between the pages moves none of them.
		r.must(post("service", "/v1/accounts/demo-1/deductions", fmt.Sprint("later", i), `{"amount":"1","service":"vm"}`))
		page = r.must(get("support", path+"limit=2&cursor="+page["next_cursor"].(string))).Body
	}
	require.Equal(t, []any{5.0, 4.0, 3.0, 2.0, 1.0, 0.0}, seen)
}

func TestCSV(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	for i, text := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\tx", "plain, with \"quotes\""} {
		body, err := json.Marshal(map[string]string{"amount": "1", "service": "vm", "description": text, "reference": strings.Trim(text, "\t")})
		require.NoError(t, err)
		r.must(post("service", "/v1/accounts/demo-1/deductions", fmt.Sprint(i), string(body)))
	}
	got := r.do(call{as: "customer:demo-1", method: "GET", path: "/v1/accounts/demo-1/transactions?type=deduction",
		header: http.Header{"Accept": {"text/csv"}}})
	require.Equal(t, 200, got.Status)
	require.Contains(t, got.Header.Get("Content-Type"), "text/csv")
	require.Contains(t, got.Header.Get("Content-Disposition"), "transactions-demo-1.csv")
	rows, err := csv.NewReader(strings.NewReader(got.Text)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 7)
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	var texts []string
	for _, row := range rows[1:] {
		require.Equal(t, "-1", row[column["amount"]], "a figure stays a figure")
		require.Equal(t, "0:purchased:1", row[column["lots"]])
		texts = append(texts, row[column["description"]])
	}
	require.Equal(t, []string{"plain, with \"quotes\"", "'\tx", "'@SUM(A1)", "'-1", "'+1", "'=1+1"}, texts)
	require.Equal(t, "'=1+1", rows[6][column["reference"]])
}

// The chain in GET events is verified with nothing but what the answer has.
func TestEventsReplay(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	r.must(post("service", "/v1/accounts/demo-1/reservations", "a", `{"reservation_id":"x","amount":"3","service":"vm"}`))
	r.must(post("service", "/v1/accounts/demo-1/reservations/x/capture", "b", `{"amount":"1","final":true}`))
	r.must(post("service", "/v1/accounts/demo-1/deductions", "c", `{"amount":"14","service":"vm","description":"secret words"}`))
	r.must(post("bd", "/v1/accounts/demo-1/incentives", "d", `{"amount":"2"}`))

	var all []event
	path := "/v1/accounts/demo-1/events?with=balance&limit=2"
	for cursor := ""; ; {
		got := r.must(get("auditor", path+cursor))
		require.NotContains(t, got.Text, "secret words")
		var page struct {
			Items      []event
			NextCursor *string `json:"next_cursor"`
		}
		require.NoError(t, json.Unmarshal([]byte(got.Text), &page))
		all = append(all, page.Items...)
		if page.NextCursor == nil {
			break
		}
		cursor = "&cursor=" + *page.NextCursor
	}
	previous, balances := eventstore.Hash{}, []string{}
	for i, e := range all {
		require.EqualValues(t, i, e.Revision)
		require.Equal(t, previous.String(), e.PreviousHash)
		require.True(t, bytes.Contains(e.Metadata, []byte(e.PreviousHash)))
		previous = eventstore.ChainHash("account-demo-1", e.Revision, eventstore.Event{ID: e.ID, Type: e.Type, Data: e.Data, Metadata: e.Metadata}, previous)
		require.Equal(t, hex.EncodeToString(previous[:]), e.Hash)
		balances = append(balances, e.BalanceAfter)
	}
	require.Equal(t, []string{"10", "10", "9", "9", "-5", "-3", "-3"}, balances)
	require.Equal(t, r.balance("demo-1")["balance"], balances[len(balances)-1])

	from := r.must(get("auditor", "/v1/accounts/demo-1/events?with=balance&from=3")).Body["items"].([]any)
	require.Len(t, from, len(all)-3)
	require.Equal(t, "9", from[0].(map[string]any)["balance_after"])
	// A cursor belongs to its own question.
	page := r.must(get("auditor", "/v1/accounts/demo-1/events?limit=1")).Body
	r.refused(422, "field-invalid", call{as: "auditor", method: "GET", path: path + "&cursor=" + page["next_cursor"].(string)})
}

type event struct {
	Revision     int64
	ID           uuid.UUID
	Type         string
	Data         json.RawMessage
	Metadata     json.RawMessage
	Hash         string
	PreviousHash string `json:"previous_hash"`
	BalanceAfter string `json:"balance_after"`
}

func TestSealedText(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	r.must(post("service", "/v1/accounts/demo-1/deductions", "k", `{"amount":"1","service":"vm","description":"secret words"}`))
	list := get("support", "/v1/accounts/demo-1/transactions?type=deduction")
	require.Contains(t, r.must(list).Text, "secret words")
	for rec, err := range r.store.ReadAll(t.Context(), eventstore.BeforeFirst, eventstore.Forwards, 100) {
		require.NoError(t, err)
		require.NotContains(t, string(rec.Data)+string(rec.Metadata), "secret")
	}
	require.NoError(t, r.sealer.Destroy(t.Context(), "demo-1"))
	require.Contains(t, r.must(list).Text, "[erased]")
	require.Equal(t, "9", r.balance("demo-1")["balance"])
}

// A text that doesn't open hides no figure; a file that breaks off is cut, so
// that it can't pass for a whole one.
func TestTextsThatDoNotOpen(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	_, err := r.ledger.Execute(t.Context(), ledger.Request{
		Account: "demo-1", Actor: "test", Do: account.Deduct{Amount: domain.Credit, Service: domain.ServiceVM, Description: "s1.1.AAAA"},
	})
	require.NoError(t, err)
	list := get("support", "/v1/accounts/demo-1/transactions")
	entry := r.must(list).Body["items"].([]any)[0].(map[string]any)
	require.Equal(t, "[unreadable]", entry["description"])
	require.Equal(t, "-1", entry["amount"])

	r.sealer.Forget("demo-1")
	require.NoError(t, r.keys.Close())
	r.refused(503, "unavailable", list)
	list.header = http.Header{"Accept": {"text/csv"}}
	response, err := r.http.Client().Do(r.request(list))
	if err == nil {
		_, err = io.ReadAll(response.Body)
		_ = response.Body.Close()
	}
	require.Error(t, err)
}

// The short ways of lean.go and the generated code answer alike: an escape in a
// request, or a parameter more, makes it go the general way.
func TestShortAndGeneralWaysAreEqual(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	for _, path := range [][2]string{
		{"/credits/check?account=demo-1&amount=2", "/credits/check?account=demo%2D1&amount=2"},
		{"/credits/check?account=demo-1&amount=x", "/credits/check?account=demo%2D1&amount=x"},
		{"/credits/check?account=no!&amount=2", "/credits/check?account=no%21&amount=2"},
		{"/v1/accounts/demo-1/balance", "/v1/accounts/demo-1/balance?min_position=0"},
	} {
		short, general := r.do(call{as: "service", method: "GET", path: path[0], wrong: true}), r.do(call{as: "service", method: "GET", path: path[1], wrong: true})
		delete(short.Body, "request_id")
		delete(general.Body, "request_id")
		require.Equal(t, general.Status, short.Status, path)
		require.Equal(t, general.Body, short.Body, path)
		require.Equal(t, general.Header.Get("Etag"), short.Header.Get("Etag"))
	}
	body := `{"amount":"1","service":"vm","reference":"r","description":"d"}`
	first := r.must(post("service", "/v1/accounts/demo-1/deductions", "k", body))
	for _, again := range []call{
		post("service", "/v1/accounts/demo-1/deductions", "k", `{"amount":1.0,"service":"vm","reference":"\u0072","description":"d"}`),
		{as: "service", method: "POST", path: "/v1/accounts/demo-1/deductions", key: "k", body: body, header: http.Header{"If-Match": {`"0"`}}},
	} {
		got := r.must(again)
		require.Equal(t, "true", got.Header.Get("Idempotency-Replayed"))
		require.Equal(t, first.Body, got.Body)
	}
}

// Answers are somebody's own: no cache may keep one, whatever its form.
func TestNoAnswerIsCached(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "1")
	tag := r.must(get(customer, demo+"/balance")).Header.Get("Etag")
	for name, c := range map[string]call{
		"file":      {as: customer, method: "GET", path: demo + "/transactions", header: http.Header{"Accept": {"text/csv"}}},
		"statement": get(customer, demo+"/statement?month=2026-03"),
		"receipt":   get("auditor", "/v1/audit/proofs/inclusion?account=demo-1&revision=0"),
		"balance":   get(customer, demo+"/balance"),
		"unchanged": {as: customer, method: "GET", path: demo + "/balance", header: http.Header{"If-None-Match": {tag}}},
		"batch": {as: "service", method: "POST", path: "/v1/deductions/batch", body: `{"account":"demo-1","key":"a","amount":"1","service":"vm"}`,
			header: http.Header{"Content-Type": {"application/x-ndjson"}}},
		"problem":  get("service", demo+"/transactions/none"),
		"no route": get("", "/none"),
	} {
		require.Equal(t, "private, no-cache", r.do(c).Header.Get("Cache-Control"), name)
	}
}

// HEAD answers as GET does, but for the body.
func TestHead(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "1")
	for path, as := range map[string]string{
		"/healthz": "", "/readyz": "", "/openapi.json": "", "/docs": "", "/docs/clients": "",
		demo + "/balance": customer, demo + "/transactions?limit=1": "service", "/v1/accounts/@unmatched/balance": "auditor",
	} {
		full := r.must(get(as, path))
		response, err := r.http.Client().Do(r.request(call{as: as, method: http.MethodHead, path: path}))
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, full.Status, response.StatusCode, path)
		for _, name := range []string{"Content-Length", "Content-Type", "Etag"} {
			require.Equal(t, full.Header.Get(name), response.Header.Get(name), "%s %s", path, name)
		}
	}
	for path, status := range map[string]int{
		"/":               200, // through its redirect to /docs
		demo + "/balance": 401, demo + "/notifications/stream": 405, demo + "/deductions": 405,
	} {
		response, err := r.http.Client().Do(r.request(call{method: http.MethodHead, path: path}))
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, status, response.StatusCode, path)
	}
}
