package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const notifications = "/v1/accounts/demo-1/notifications"

func (r *rig) notices(query string) []any {
	r.t.Helper()
	return r.must(call{as: "customer:demo-1", method: "GET", path: notifications + query}).Body["items"].([]any)
}

// streamPatience bounds a stream that only a broken program would leave without an event.
const streamPatience = 30 * time.Second

// stream reads server-sent events as a client does, until the test ends.
func (r *rig) stream(lastEventID string) (next func() map[string]any) {
	r.t.Helper()
	request := r.request(call{as: "customer:demo-1", method: "GET", path: notifications + "/stream"})
	if lastEventID != "" {
		request.Header.Set("Last-Event-ID", lastEventID)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), streamPatience)
	response, err := r.http.Client().Do(request.WithContext(ctx))
	require.NoError(r.t, err)
	require.Equal(r.t, http.StatusOK, response.StatusCode)
	require.Equal(r.t, "text/event-stream", response.Header.Get("Content-Type"))
	r.t.Cleanup(func() { cancel(); _ = response.Body.Close() })
	lines := bufio.NewScanner(response.Body)
	require.True(r.t, lines.Scan(), "the stream begins at once")
	return func() map[string]any {
		r.t.Helper()
		id := ""
		for lines.Scan() {
			if text, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
				id = text
			}
			if data, ok := strings.CutPrefix(lines.Text(), "data:"); ok {
				var n map[string]any
				require.NoError(r.t, json.Unmarshal([]byte(data), &n))
				require.Equal(r.t, id, n["id"])
				return n
			}
		}
		r.t.Fatalf("the stream ended: %v", lines.Err())
		return nil
	}
}

// lines are those of a stream, but for its comments and the empty lines behind them.
func (r *rig) lines(lastEventID string) (next func() string) {
	r.t.Helper()
	request := r.request(call{as: "customer:demo-1", method: "GET", path: notifications + "/stream", header: http.Header{"Last-Event-Id": {lastEventID}}})
	ctx, cancel := context.WithTimeout(r.t.Context(), streamPatience)
	response, err := r.http.Client().Do(request.WithContext(ctx))
	require.NoError(r.t, err)
	require.Equal(r.t, http.StatusOK, response.StatusCode)
	r.t.Cleanup(func() { cancel(); _ = response.Body.Close() })
	lines := bufio.NewScanner(response.Body)
	return func() string {
		r.t.Helper()
		require.True(r.t, lines.Scan(), "the stream ended: %v", lines.Err())
		for strings.HasPrefix(lines.Text(), ":") {
			require.True(r.t, lines.Scan() && lines.Text() == "" && lines.Scan(), "the stream ended: %v", lines.Err())
		}
		return lines.Text()
	}
}

func TestNotifications(t *testing.T) {
	r := newRig(t, nil)
	require.Empty(t, r.notices(""))
	r.fund("demo-1", "20")
	r.must(call{as: "finance", method: "PUT", path: "/v1/accounts/demo-1/policy", body: `{"low_balance_at":"10"}`})
	for _, key := range []string{"d1", "d2", "d3"} {
		r.must(post("service", "/v1/accounts/demo-1/deductions", key, `{"amount":"6","service":"vm","reference":"vm-1"}`))
	}
	items := r.notices("")
	require.Len(t, items, 2, "crossing the line is told once")
	low, arrived := items[0].(map[string]any), items[1].(map[string]any)
	require.Equal(t, "low-balance", low["topic"])
	require.Equal(t, "Your balance is 8 credits, below the 10 credits at which you are told.", low["message"])
	require.Equal(t, "credits-arrived", arrived["topic"])
	require.Nil(t, arrived["seen_at"])

	first := r.must(call{as: "customer:demo-1", method: "GET", path: notifications + "?limit=1"}).Body
	second := r.must(call{as: "customer:demo-1", method: "GET", path: notifications + "?limit=1&cursor=" + first["next_cursor"].(string)}).Body
	require.Equal(t, []any{low, arrived}, append(first["items"].([]any), second["items"].([]any)...))
	require.Nil(t, second["next_cursor"])

	seen := notifications + "/" + arrived["id"].(string) + "/seen"
	mark := r.must(call{as: "customer:demo-1", method: "POST", path: seen}).Body
	at := object(mark, "notification")["seen_at"]
	require.NotNil(t, at)
	require.Equal(t, mark, r.must(call{as: "customer:demo-1", method: "POST", path: seen, body: "{}"}).Body, "the first time counts")
	require.NoError(t, r.views.Rebuild(t.Context(), nil))
	require.Equal(t, at, r.notices("")[1].(map[string]any)["seen_at"], "a rebuild keeps what was seen")

	unknown := r.refused(404, "unknown-notification", call{as: "customer:demo-1", method: "POST", path: notifications + "/a99.0/seen"}).Body
	require.Equal(t, []any{"notification_id", "a99.0"}, []any{unknown["field"], unknown["value"]})
	long := strings.Repeat("x", 9_000) // what no id can be is not told back
	refused := r.refused(422, "id-invalid", call{as: "customer:demo-1", method: "POST", path: notifications + "/" + long + "/seen"}).Body
	require.NotContains(t, refused["detail"], "xx")
	require.Equal(t, "notification_id", refused["field"])
	require.Equal(t, long[:40]+"…", refused["value"])
	for given, value := range map[string]string{"n1.0": "n1.0", "a%20b": "a b", long: long[:64] + "…"} {
		refused := r.refused(422, "field-invalid", call{as: "customer:demo-1", method: "GET", path: notifications + "?cursor=" + given}).Body
		require.Equal(t, []any{"cursor", value}, []any{refused["field"], refused["value"]})
	}
	r.refused(403, "account-not-allowed", call{as: "customer:demo-2", method: "GET", path: notifications})
}

// leaver is a client that closes its stream as soon as it begins.
type leaver struct {
	*httptest.ResponseRecorder
	leave context.CancelFunc
}

func (l leaver) WriteHeader(status int) {
	l.leave()
	l.ResponseRecorder.WriteHeader(status)
}

// TestLeavingAStreamIsNoFault: it is how every stream ends, and the next look at the
// notices is the one that learns of it.
func TestLeavingAStreamIsNoFault(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "1")
	ctx, cancel := context.WithCancel(t.Context())
	left := leaver{httptest.NewRecorder(), cancel}
	request := r.request(get(customer, notifications+"/stream")).WithContext(ctx)
	require.NotPanics(t, func() { r.server.Handler().ServeHTTP(left, request) })
	require.Equal(t, http.StatusOK, left.Code)
	require.NotContains(t, r.log.String(), "level=ERROR")
}

// TestSeenIsWrittenOnce: what is asked for again while the read models stand still adds
// nothing to a stream that is kept for ever.
func TestSeenIsWrittenOnce(t *testing.T) {
	r := newRig(t, func(p *parts) { p.stillViews, p.server.ReadPatience = true, time.Nanosecond })
	r.fund("demo-1", "20")
	require.NoError(t, r.views.RunToEnd(t.Context(), nil))
	id := r.notices("")[0].(map[string]any)["id"].(string)
	seen := call{as: "customer:demo-1", method: "POST", path: notifications + "/" + id + "/seen"}
	r.refused(503, "read-behind", seen)
	head, err := r.store.Head(t.Context())
	require.NoError(t, err)
	for range 3 {
		r.refused(503, "read-behind", seen)
	}
	again, err := r.store.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, head, again)
	require.NoError(t, r.views.RunToEnd(t.Context(), nil))
	require.NotNil(t, object(r.must(seen).Body, "notification")["seen_at"])
}

func TestNotificationStream(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "1")
	next := r.stream("")
	r.fund("demo-1", "2")
	require.Equal(t, "2 credits arrived from your purchase.", next()["message"], "it begins with what comes")
	r.fund("demo-2", "7")
	r.fund("demo-1", "3")
	require.Equal(t, "3 credits arrived from your purchase.", next()["message"], "others' notices are theirs")

	all := r.notices("")
	oldest := all[len(all)-1].(map[string]any)["id"].(string)
	resumed := r.stream(oldest)
	require.Equal(t, "2 credits arrived from your purchase.", resumed()["message"])
	require.Equal(t, "3 credits arrived from your purchase.", resumed()["message"])
	c := call{as: "customer:demo-1", method: "GET", path: notifications + "/stream", header: http.Header{"Last-Event-Id": {"a b"}}}
	refused := r.do(c).Body
	require.Equal(t, []any{"id-invalid", "Last-Event-ID"}, []any{refused["code"], refused["field"]})
	require.Contains(t, refused["detail"], `"a b"`)
}

// TestAStreamGoesOnBehindAnIDOfElsewhere: an EventSource that isn't answered with 200
// ends for good, and one that is closed later comes again with the id that it had. So
// an id that isn't known is as none, and the client is given one that is.
func TestAStreamGoesOnBehindAnIDOfElsewhere(t *testing.T) {
	r := newRig(t, nil)
	first := r.lines("a99.0")
	require.Equal(t, []string{"id:", ""}, []string{first(), first()}, "nothing has been told: the client has no id any more")
	r.fund("demo-1", "1")
	newest := r.notices("")[0].(map[string]any)["id"].(string)
	next := r.lines("a99.0")
	require.Equal(t, []string{"id: " + newest, ""}, []string{next(), next()}, "without data it is no event to a client")
	r.fund("demo-1", "2")
	for _, lines := range []func() string{first, next} {
		message := ""
		for !strings.Contains(message, "2 credits arrived") {
			message = lines()
		}
	}
	known := r.lines(newest)
	require.Regexp(t, `^id: a\d+\.0$`, known(), "an id that is known isn't told back")
	require.Equal(t, "event: notification", known())
}

// TestAStreamBehindAnIDThatIsNotThereYet: another engine gave it, whose read models were
// ahead. Nothing of what comes is left out.
func TestAStreamBehindAnIDThatIsNotThereYet(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "1")
	next := r.stream("a1.0")
	for _, amount := range []string{"2", "3"} {
		r.fund("demo-1", amount)
		got := next()
		require.Equal(t, amount+" credits arrived from your purchase.", got["message"])
		require.Equal(t, amount == "2", got["id"] == "a1.0")
	}
}

// TestAStreamAfterARestart tells nothing twice: it begins once the read models have all
// that was told before, whatever id the client comes with, and leaves out nothing that
// comes meanwhile.
func TestAStreamAfterARestart(t *testing.T) {
	r := impatient(t)
	for _, amount := range []string{"1", "2", "3"} {
		r.fund("demo-1", amount)
	}
	r.restart()
	fresh, resumed, elsewhere := r.stream(""), r.stream("a2.0"), r.lines("a99.0")
	r.fund("demo-1", "4")
	r.catchUp()
	for _, next := range []func() map[string]any{fresh, resumed} {
		require.Equal(t, "4 credits arrived from your purchase.", next()["message"])
	}
	require.Equal(t, "id: a2.0", elsewhere(), "it isn't told back before it is known to be of elsewhere")
	missed := r.stream("a1.0")
	require.Equal(t, "3 credits arrived from your purchase.", missed()["message"], "what the client lacks comes")
}

// TestAStreamWhileTheLogIsAway opens all the same: an EventSource that is refused doesn't
// come again.
func TestAStreamWhileTheLogIsAway(t *testing.T) {
	r := impatient(t)
	r.fund("demo-1", "1")
	r.restart()
	r.store.away.Store(true)
	next := r.stream("")
	r.store.away.Store(false)
	r.fund("demo-1", "2")
	r.catchUp()
	require.Equal(t, "2 credits arrived from your purchase.", next()["message"])
}

// TestAStreamGoesOnInTheMiddle: where the read models have the client's id, what is behind
// it is news to the client, and doesn't wait for all the rest.
func TestAStreamGoesOnInTheMiddle(t *testing.T) {
	r := impatient(t)
	r.fund("demo-1", "1")
	r.fund("demo-1", "2")
	require.NoError(t, r.views.RunToEnd(t.Context(), nil))
	r.fund("demo-1", "3")
	r.restart()
	next := r.stream("a0.0")
	require.Equal(t, "2 credits arrived from your purchase.", next()["message"])
	r.followLog()
	require.Equal(t, "3 credits arrived from your purchase.", next()["message"])
}

// TestAStreamOfStoppedReadModelsEnds, so that its client comes again.
func TestAStreamOfStoppedReadModelsEnds(t *testing.T) {
	r := impatient(t)
	r.fund("demo-1", "1")
	r.restart()
	r.store.damaged.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), streamPatience)
	defer cancel()
	response, err := r.http.Client().Do(r.request(get(customer, notifications+"/stream")).WithContext(ctx))
	require.NoError(t, err)
	r.followLog()
	var sent strings.Builder
	require.NoError(t, response.Write(&sent), "it ends as a whole answer does")
	require.NotContains(t, sent.String(), "event:")
}

// TestStreamsOfAKeyAreBounded: one that ends makes room; other keys have their own.
func TestStreamsOfAKeyAreBounded(t *testing.T) {
	r := newRig(t, func(p *parts) { p.server.MaxStreams = 2 })
	open := func(account string) (status int, end func()) {
		ctx, cancel := context.WithCancel(t.Context())
		request := r.request(call{as: "customer:" + account, method: "GET", path: "/v1/accounts/" + account + "/notifications/stream"})
		response, err := r.http.Client().Do(request.WithContext(ctx))
		require.NoError(t, err)
		end = func() { cancel(); _ = response.Body.Close() }
		t.Cleanup(end)
		return response.StatusCode, end
	}
	status, end := open("demo-1")
	require.Equal(t, http.StatusOK, status)
	status, _ = open("demo-1")
	require.Equal(t, http.StatusOK, status)
	full := r.refused(503, "overloaded", call{as: "customer:demo-1", method: "GET", path: notifications + "/stream"})
	require.Equal(t, "1", full.Header.Get("Retry-After"))
	require.Contains(t, full.Text, "2 streams of this key are open")
	status, _ = open("demo-2")
	require.Equal(t, http.StatusOK, status)
	require.Empty(t, r.notices(""), "the key is not held up elsewhere")
	end()
	require.Eventually(t, func() bool {
		status, end := open("demo-1")
		if status != http.StatusOK {
			end()
		}
		return status == http.StatusOK
	}, 10*time.Second, time.Millisecond, "a stream that ended makes room")
	// What is refused before it begins counts no longer.
	for range 3 {
		r.refused(422, "id-invalid", call{
			as: "customer:demo-2", method: "GET", path: "/v1/accounts/demo-2/notifications/stream", header: http.Header{"Last-Event-Id": {"a b"}},
		})
	}
	status, _ = open("demo-2")
	require.Equal(t, http.StatusOK, status)
}

// TestNoticeOfAnotherAmount: the event has what was granted, the object what was asked for.
func TestNoticeOfAnotherAmount(t *testing.T) {
	r := newRig(t, nil)
	asked := part(r.must(post("customer:demo-1", demo+"/credit-requests", "a", `{"amount":"5"}`)), "credit_request")["id"].(string)
	r.must(post("bd", demo+"/credit-requests/"+asked+"/approve", "b", `{"approved_amount":"50","promotional":true}`))
	require.Equal(t, "50 credits were approved; you had asked for 5.", r.notices("")[0].(map[string]any)["message"])
}

// TestNoticeOfUsageOnTop: the event has what the booking cost, the object what was
// charged on top.
func TestNoticeOfUsageOnTop(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	r.must(post("service", demo+"/deployments", "a", `{"deployment_id":"d","service":"ray","payment_method":"credits","hourly_price":"6","duration_hours":2}`))
	r.must(post("service", demo+"/deployments/d/usage", "b", `{"amount":"27.5"}`))
	r.must(post("service", demo+"/deployments/d/stop", "c", `{"used_minutes":60}`))
	require.Equal(t, "Deployment d is stopped. It cost 6 credits, and 27.5 credits for usage on top. What was not used came back: 6 credits.",
		r.notices("")[0].(map[string]any)["message"])
}
