package httpapi_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"iocredits/domain"
	"iocredits/eventstore/storetest"
	"iocredits/eventstore/transparency"
	"iocredits/httpapi"
	"iocredits/projections"
)

// newAudit gives a rig a signer.
func (r *rig) newAudit(logger *slog.Logger) *httpapi.Audit {
	r.t.Helper()
	private, public, err := transparency.GenerateKey(rand.Reader, "example.org/credits")
	require.NoError(r.t, err)
	signer, err := note.NewSigner(private)
	require.NoError(r.t, err)
	r.verifier, err = note.NewVerifier(public)
	require.NoError(r.t, err)
	file, err := transparency.OpenFile(r.t.TempDir())
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = file.Close() })
	return &httpapi.Audit{
		Checkpoints: file, PublicKey: public,
		Notary: transparency.NewNotary(transparency.Options{
			Store: r.store, Tree: r.views, File: file, Signer: signer, Verifier: r.verifier, Clock: r.clock.Now, Logger: logger,
		}),
	}
}

// trade gives an account some past.
func (r *rig) trade(acct string) {
	r.t.Helper()
	r.fund(acct, "100")
	for i := range 6 {
		r.must(post("service", "/v1/accounts/"+acct+"/deductions", "d"+strconv.Itoa(i), `{"amount":"3","service":"vm","reference":"r","description":"a note"}`))
	}
}

func (r *rig) checkpoint() (transparency.Head, map[string]any) {
	r.t.Helper()
	body := r.must(get("auditor", "/v1/audit/checkpoint")).Body
	head, err := transparency.OpenCheckpoint(body["checkpoint"].(string), r.verifier)
	require.NoError(r.t, err)
	require.EqualValues(r.t, head.Size, body["size"])
	require.Equal(r.t, head.Root.String(), body["root"])
	return head, body
}

func TestCheckpointSignsAtOnce(t *testing.T) {
	r := newRig(t, nil)
	r.trade("demo-1")
	head, first := r.checkpoint()
	require.EqualValues(t, 7, head.Size)
	_, again := r.checkpoint()
	require.Equal(t, first, again, "one is enough while nothing happens")
	r.fund("demo-2", "1")
	head, _ = r.checkpoint()
	require.EqualValues(t, 8, head.Size)

	text := r.must(call{as: "auditor", method: "GET", path: "/v1/audit/checkpoint", header: http.Header{"Accept": {"text/plain"}}}).Text
	require.True(t, strings.HasPrefix(text, "example.org/credits\n8\n"), text)
}

// fullSigner signs nothing, as if its checkpoint found no room on the disk.
type fullSigner struct{ note.Signer }

func (fullSigner) Sign([]byte) ([]byte, error) { return nil, syscall.ENOSPC }

// TestNoRoomForACheckpoint is no fault of the engine, and passes.
func TestNoRoomForACheckpoint(t *testing.T) {
	r := newRig(t, func(p *parts) {
		private, public, err := transparency.GenerateKey(rand.Reader, "example.org/credits")
		require.NoError(t, err)
		signer, err := note.NewSigner(private)
		require.NoError(t, err)
		verifier, err := note.NewVerifier(public)
		require.NoError(t, err)
		p.server.Audit.Notary = transparency.NewNotary(transparency.Options{
			Store: p.server.Store, Tree: p.server.Views, File: p.server.Audit.Checkpoints, Signer: fullSigner{signer}, Verifier: verifier,
			Logger: slog.New(slog.DiscardHandler),
		})
	})
	r.trade("demo-1")
	for _, path := range []string{"/v1/audit/checkpoint", "/v1/audit/proofs/inclusion?account=demo-1&revision=4"} {
		refused := r.refused(503, "unavailable", get("auditor", path))
		require.Contains(t, refused.Text, "no room")
		require.NotEmpty(t, refused.Header.Get("Retry-After"))
	}
}

// TestReceiptFromTheAPI: what the route answers is the file that is checked offline.
func TestReceiptFromTheAPI(t *testing.T) {
	r := newRig(t, nil)
	r.trade("demo-1")
	text := r.must(get("auditor", "/v1/audit/proofs/inclusion?account=demo-1&revision=4")).Text
	receipt, err := transparency.ParseReceipt([]byte(text))
	require.NoError(t, err)
	head, err := receipt.Verify(r.verifier)
	require.NoError(t, err)
	require.EqualValues(t, 7, head.Size)
	id := receipt.ID.String()
	require.Equal(t, text, r.must(get("auditor", "/v1/audit/proofs/inclusion?account=demo-1&transaction_id="+id)).Text)
	r.fund("demo-2", "1")
	r.checkpoint()
	require.Equal(t, text, r.must(get("auditor", "/v1/audit/proofs/inclusion?account=demo-1&revision=4")).Text, "for ever the same")

	const path = "/v1/audit/proofs/inclusion?account=demo-1"
	r.refused(404, "unknown-transaction", get("auditor", path+"&revision=77"))
	r.refused(404, "unknown-transaction", get("auditor", "/v1/audit/proofs/inclusion?account=demo-2&transaction_id="+id))
	const nobody = "00000000-0000-0000-0000-000000000000"
	for _, other := range []string{nobody, id[:35] + otherDigit(id[35]), strings.ReplaceAll(id, "-", ""), "urn:uuid:" + id, "x"} {
		refused := r.refused(404, "unknown-transaction", get("auditor", path+"&transaction_id="+other))
		require.Equal(t, []any{"transaction_id", other}, []any{refused.Body["field"], refused.Body["value"]})
	}
	for _, of := range []string{"&transaction_id=" + id, "&revision=0", "&revision=4"} {
		refused := r.refused(404, "unknown-account", get("auditor", "/v1/audit/proofs/inclusion?account=nobody"+of))
		require.Equal(t, "nobody", refused.Body["account"])
	}
	r.refused(422, "id-invalid", call{as: "auditor", method: "GET", path: path + "&transaction_id=%7B" + id + "%7D", wrong: true})
	below := r.refused(422, "field-invalid", call{as: "auditor", method: "GET", path: path + "&revision=-5", wrong: true})
	require.Equal(t, "revision", below.Body["field"])
	r.refused(422, "field-invalid", get("auditor", path))
	r.refused(422, "field-invalid", get("auditor", path+"&revision=1&transaction_id="+id))
}

// otherDigit is a hexadecimal digit that isn't this one.
func otherDigit(digit byte) string {
	if digit == '0' {
		return "1"
	}
	return "0"
}

func TestConsistencyProof(t *testing.T) {
	r := newRig(t, nil)
	r.trade("demo-1")
	earlier, _ := r.checkpoint()
	r.trade("demo-2")
	later, _ := r.checkpoint()
	body := r.must(get("auditor", "/v1/audit/proofs/consistency?from=7")).Body
	var hashes []transparency.Node
	for _, text := range body["proof"].([]any) {
		var n transparency.Node
		require.NoError(t, n.UnmarshalText([]byte(text.(string))))
		hashes = append(hashes, n)
	}
	require.NoError(t, transparency.VerifyConsistency(earlier, later, hashes))
	require.Equal(t, earlier.Root.String(), body["from"].(map[string]any)["root"])
	require.Equal(t, later.Root.String(), body["to"].(map[string]any)["root"])
	earlier.Root[0] ^= 1
	require.Error(t, transparency.VerifyConsistency(earlier, later, hashes))
	r.refused(422, "field-invalid", get("auditor", "/v1/audit/proofs/consistency?from=7&to=99"))
	r.refused(422, "field-invalid", get("auditor", "/v1/audit/proofs/consistency?from=9&to=8"))
}

// TestConsistencyWithTheFirstCheckpoint: who asks for the newest before any was signed gets
// one that is signed now.
func TestConsistencyWithTheFirstCheckpoint(t *testing.T) {
	r := newRig(t, nil)
	r.trade("demo-1")
	body := r.must(get("auditor", "/v1/audit/proofs/consistency?from=3")).Body
	require.Equal(t, 7.0, body["to"].(map[string]any)["size"])
	head, _ := r.checkpoint()
	require.Equal(t, head.Root.String(), body["to"].(map[string]any)["root"])
}

func TestTrialBalanceRoute(t *testing.T) {
	r := newRig(t, nil)
	r.trade("demo-1")
	r.trade("demo-2")
	body := r.must(get("auditor", "/v1/audit/trial-balance")).Body
	require.Equal(t, body["debit"], body["credit"])
	require.Equal(t, "200", body["debit"])
	require.Equal(t, "164", body["customers"])
	accounts := map[string]any{}
	for _, line := range body["accounts"].([]any) {
		l := line.(map[string]any)
		accounts[l["account"].(string)] = l["debit"].(string) + " " + l["credit"].(string)
	}
	require.Equal(t, "0 36", accounts["revenue:vm"])
	require.Equal(t, "200 0", accounts["assets:clearing:provider"])
}

func TestJournalPages(t *testing.T) {
	r := newRig(t, nil)
	r.trade("demo-1")
	var positions []float64
	path := "/v1/audit/journal?limit=3"
	for path != "" {
		body := r.must(get("auditor", path)).Body
		for _, item := range body["items"].([]any) {
			entry := item.(map[string]any)
			positions = append(positions, entry["position"].(float64))
			sum := domain.Amount(0)
			for _, p := range entry["postings"].([]any) {
				amount, err := domain.ParseSignedAmount("amount", p.(map[string]any)["amount"].(string))
				require.NoError(t, err)
				sum += amount
			}
			require.Zero(t, sum)
		}
		next, _ := body["next_cursor"].(string)
		if path = ""; next != "" {
			path = "/v1/audit/journal?limit=3&cursor=" + next
		}
	}
	require.Equal(t, []float64{1, 2, 3, 4, 5, 6, 7}, positions)
	r.fund("demo-2", "1")
	later := r.must(get("auditor", "/v1/audit/journal?from=8")).Body["items"].([]any)
	require.Len(t, later, 1, "what came later is behind the last position")
	r.refused(422, "field-invalid", get("auditor", "/v1/audit/journal?cursor=x"))
}

// TestTheJournalOfACluster: its log can be read from its events alone, and whoever asks names
// any position.
func TestTheJournalOfACluster(t *testing.T) {
	r := newRig(t, func(p *parts) {
		store := storetest.Spaced{Store: p.server.Store}
		views, err := projections.Open(t.Context(), "views", projections.Options{FS: vfs.NewMem(), Store: store, Codec: codec, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan struct{})
		go func() { defer close(ran); views.Run(ctx) }()
		t.Cleanup(func() { cancel(); <-ran; require.NoError(t, views.Close()) })
		p.ledger.Store, p.ledger.Names, p.server.Store, p.server.Views = store, views, store, views
	})
	positions := func(query string) []float64 {
		t.Helper()
		all := []float64{}
		for path := "/v1/audit/journal?limit=3" + query; path != ""; {
			body := r.must(get("auditor", path)).Body
			for _, item := range body["items"].([]any) {
				all = append(all, item.(map[string]any)["position"].(float64))
			}
			next, _ := body["next_cursor"].(string)
			if path = ""; next != "" {
				path = "/v1/audit/journal?limit=3&cursor=" + next
			}
		}
		return all
	}
	require.Empty(t, positions("&from=5"), "nothing is there yet")
	r.trade("demo-1")
	all := positions("")
	require.Len(t, all, 7)
	for i, at := range all {
		for before := range 3 {
			require.Equal(t, all[i:], positions(fmt.Sprintf("&from=%d", int(at)-before)))
		}
		require.Equal(t, all[i+1:], positions(fmt.Sprintf("&from=%d", int(at)+1)), "from behind it")
	}
}

func TestVerifyRoute(t *testing.T) {
	r := newRig(t, nil)
	r.trade("demo-1")
	body := r.must(get("auditor", "/v1/audit/verify/demo-1")).Body
	require.Empty(t, body["findings"])
	require.EqualValues(t, 7, body["events"])
	require.Greater(t, body["rows"], 7.0)
	r.refused(404, "unknown-account", get("auditor", "/v1/audit/verify/nobody"))
}

// TestVerifyIsBounded: one account at a time, and none that is too large to be
// built in memory.
func TestVerifyIsBounded(t *testing.T) {
	var p *parts
	r := newRig(t, func(of *parts) { p = of; of.server.MaxVerifiedEvents = 8 })
	r.trade("demo-1")
	verify := get("auditor", "/v1/audit/verify/demo-1")
	require.EqualValues(t, 7, r.must(verify).Body["events"])

	var once sync.Once
	var beside *httptest.ResponseRecorder
	var h http.Handler
	opts := p.server
	opts.Metrics = nil
	opts.Store = &countedStore{Store: r.store, onRead: func(int) {
		once.Do(func() { beside = r.serve(h, t.Context(), verify) })
	}}
	other, err := httpapi.New(opts)
	require.NoError(t, err)
	h = other.Handler()
	require.Equal(t, 200, r.serve(h, t.Context(), verify).Code)
	require.Equal(t, 503, beside.Code)
	require.Equal(t, "1", beside.Header().Get("Retry-After"))
	require.Contains(t, beside.Body.String(), `"code":"overloaded"`)
	require.Equal(t, 200, r.serve(h, t.Context(), verify).Code, "it is given back")

	r.must(post("service", demo+"/deductions", "one more", `{"amount":"1","service":"vm"}`))
	notice := r.notices("")[0].(map[string]any)["id"].(string)
	r.must(post("customer:demo-1", notifications+"/"+notice+"/seen", "", `{}`))
	large := r.refused(422, "limit-exceeded", verify)
	require.Equal(t, "9", large.Body["value"])
	require.Equal(t, "8", large.Body["limit"])
	require.Contains(t, large.Body["detail"], "iocredits diff demo-1")
}

func TestWithoutASignerNothingIsSigned(t *testing.T) {
	r := newRig(t, func(p *parts) { p.server.Audit = nil })
	r.trade("demo-1")
	r.refused(503, "unavailable", get("auditor", "/v1/audit/checkpoint"))
	r.refused(503, "unavailable", get("auditor", "/v1/audit/proofs/inclusion?account=demo-1&revision=0"))
	require.Equal(t, 200, r.do(get("auditor", "/v1/audit/verify/demo-1")).Status)
}

// TestSigningIsSeen by who watches the figures: that it goes on, and that it has stopped.
func TestSigningIsSeen(t *testing.T) {
	var audit *httpapi.Audit
	r := newRig(t, func(p *parts) { audit = p.server.Audit })
	gauges := func() []string {
		r.balance("demo-1") // which waits for the read models
		r.balance("demo-2")
		return r.gauges("iocredits_signing", "iocredits_checkpoint_timestamp_seconds", "iocredits_unsigned_events")
	}
	r.trade("demo-1")
	require.Equal(t, []string{"0", "0", "7"}, gauges(), "it has yet to look")
	require.NoError(t, audit.Notary.Step(t.Context()))
	require.Equal(t, []string{"1", "0", "7"}, gauges(), "nothing is due")
	r.clock.Move(time.Minute)
	require.NoError(t, audit.Notary.Step(t.Context()))
	require.Equal(t, []string{"1", "1.77236646e+09", "0"}, gauges())

	require.NoError(t, audit.Checkpoints.Close())
	r.fund("demo-2", "1")
	require.Equal(t, []string{"1", "1.77236646e+09", "1"}, gauges())
	require.NoError(t, audit.Notary.Step(t.Context()))
	r.clock.Move(time.Minute)
	require.Error(t, audit.Notary.Step(t.Context()))
	require.Equal(t, []string{"0", "1.77236646e+09", "1"}, gauges())

	r = newRig(t, func(p *parts) { p.server.Audit = nil })
	require.Equal(t, []string{"0", "0", "0"}, gauges(), "nothing is signed without a signer")
}

// TestPastBalance: both times in one query, and what neither of them changes.
func TestPastBalance(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	r.clock.Move(time.Hour)
	r.must(post("service", "/v1/accounts/demo-1/deductions", "d", `{"amount":"10","service":"vm"}`))
	r.clock.Move(time.Hour)
	r.must(post("service", "/v1/accounts/demo-1/deductions", "late", `{"amount":"5","service":"vm","effective_at":"2026-03-01T12:30:00Z"}`))
	const path = "/v1/accounts/demo-1/balance?"
	for query, want := range map[string]string{
		"known_at=2026-03-01T13:30:00Z":                               "90",
		"as_of=2026-03-01T13:30:00Z":                                  "85",
		"as_of=2026-03-01T12:45:00Z":                                  "95",
		"as_of=2026-03-01T12:45:00Z&known_at=2026-03-01T13:30:00Z":    "100",
		"as_of=2026-03-01T11:00:00Z":                                  "0",
		"known_at=2026-03-01T11:00:00Z":                               "0",
		"as_of=2030-01-01T00:00:00Z&known_at=2026-03-01T13:59:59.99Z": "90",
	} {
		got := r.must(get("customer:demo-1", path+query)).Body
		require.Equal(t, want, got["balance"], query)
		if strings.HasPrefix(query, "as_of") {
			require.Equal(t, []any{2.0, 0.0}, []any{got["revision"], got["lag"]}, "how new what it was worked out from is")
		}
	}
	require.Equal(t, "100", r.must(get("customer:demo-1", path+"known_at=2026-03-01T12:59:00Z")).Body["balance"])
	r.refused(422, "field-invalid", get("customer:demo-1", path+"known_at=2026-03-01T12:59:00Z&consistency=strong"))
	items := r.must(get("customer:demo-1", "/v1/accounts/demo-1/transactions?as_of=2026-03-01T12:45:00Z")).Body["items"].([]any)
	require.Len(t, items, 2)
	items = r.must(get("customer:demo-1", "/v1/accounts/demo-1/transactions?as_of=2026-03-01T12:45:00Z&known_at=2026-03-01T13:30:00Z")).Body["items"].([]any)
	require.Len(t, items, 1)
}

// TestForgetRoute: text reads [erased], and the receipt of before still holds.
func TestForgetRoute(t *testing.T) {
	r := newRig(t, nil)
	r.trade("demo-1")
	receipt := r.must(get("auditor", "/v1/audit/proofs/inclusion?account=demo-1&revision=4")).Text
	events := r.must(get("auditor", "/v1/accounts/demo-1/events")).Text
	long := post("admin", "/v1/accounts/demo-1/forget", "", `{"reason":"`+strings.Repeat("x", 201)+`"}`)
	long.wrong = true
	r.refused(422, "field-invalid", long)
	r.refused(404, "unknown-account", post("admin", "/v1/accounts/nobody/forget", "", `{"reason":"case 7"}`))
	late := post("admin", "/v1/accounts/demo-1/forget", "", `{"reason":"case 7"}`)
	late.header = http.Header{"If-Match": {`"0"`}}
	require.Equal(t, fmt.Sprint(r.balance("demo-1")["revision"]), r.refused(412, "precondition-failed", late).Body["revision"])
	require.NotContains(t, r.must(get("support", "/v1/accounts/demo-1/transactions")).Text, "[erased]")
	r.must(post("admin", "/v1/accounts/demo-1/forget", "", `{"reason":"case 7"}`))
	text := r.must(get("support", "/v1/accounts/demo-1/transactions")).Text
	require.NotContains(t, text, "a note")
	require.Equal(t, 6, strings.Count(text, "[erased]"))
	after := r.must(get("auditor", "/v1/accounts/demo-1/events")).Text
	require.True(t, strings.HasPrefix(after, events[:strings.LastIndexByte(events, ']')]), "what was recorded stays byte for byte")
	require.Contains(t, after, `"type":"account-forgotten"`)
	parsed, err := transparency.ParseReceipt([]byte(receipt))
	require.NoError(t, err)
	_, err = parsed.Verify(r.verifier)
	require.NoError(t, err)
	require.Empty(t, r.must(get("auditor", "/v1/audit/verify/demo-1")).Body["findings"])
}

// Asked for again, it answers as it did and adds nothing, unless there is a new key.
func TestForgetRouteAgain(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "10")
	r.must(post("bd", demo+"/incentives", "i", `{"amount":"2","campaign":"c","expires_at":"2026-03-02T12:00:00Z"}`))
	r.must(post("service", demo+"/deductions", "d", `{"amount":"1","service":"vm","description":"a note"}`))
	r.clock.Move(48 * time.Hour) // the incentive's end is due, and in the answer
	forget := post("admin", demo+"/forget", "", `{"reason":"case 7"}`)
	first := r.must(forget)
	require.Len(t, first.Body["transactions"], 1)
	require.Empty(t, first.Header.Get("Idempotency-Replayed"))
	again := r.must(forget)
	require.Equal(t, first.Text, again.Text)
	require.Equal(t, "true", again.Header.Get("Idempotency-Replayed"))
	require.Equal(t, first.Body["revision"], r.balance("demo-1")["revision"])

	r.must(post("service", demo+"/deductions", "e", `{"amount":"1","service":"vm","description":"a new note"}`))
	third := r.must(forget)
	require.EqualValues(t, first.Body["revision"].(float64)+2, third.Body["revision"])
	require.NotContains(t, r.must(get("support", demo+"/transactions")).Text, "a new note")
	require.Equal(t, third.Text, r.must(forget).Text)

	// The key's end and its event come apart in a crash: the event is made up for.
	r.must(post("service", demo+"/deductions", "f", `{"amount":"1","service":"vm"}`))
	require.NoError(t, r.sealer.Destroy(t.Context(), "demo-1"))
	require.EqualValues(t, third.Body["revision"].(float64)+2, r.must(forget).Body["revision"])
}
