package audit_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"iter"
	"log/slog"
	"math"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/pebblestore"
	"iocredits/eventstore/transparency"
	"iocredits/projections"
	"iocredits/projections/audit"
)

const credit = domain.Credit

var (
	codec = eventstore.NewCodec(account.EventTypes()...)
	bg    = context.Background()
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// company is an engine with a past: log, views and signed checkpoints in folders.
type company struct {
	t     *testing.T
	dir   string
	store *pebblestore.Store
	views *projections.Views
	now   time.Time
	calls int
	*ledger.Ledger

	file     *transparency.File
	notary   *transparency.Notary
	verifier note.Verifier
}

func newCompany(t *testing.T) *company {
	t.Helper()
	c := &company{t: t, dir: t.TempDir(), now: start}
	var err error
	c.store, err = pebblestore.Open(filepath.Join(c.dir, "log"), pebblestore.Options{Logger: quiet()})
	require.NoError(t, err)
	c.views, err = projections.Open(bg, filepath.Join(c.dir, "views"), projections.Options{Store: c.store, Codec: codec, Logger: quiet()})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(bg)
	ran := make(chan struct{})
	go func() { defer close(ran); c.views.Run(ctx) }()
	c.Ledger = ledger.New(ledger.Options{
		Store: c.store, Snapshots: c.store, Codec: codec, Names: c.views, Clock: func() time.Time { return c.now }, Logger: quiet(),
		SnapshotEvery: 7, // so that what is played is compared with its snapshots, too
	})
	c.openNotary()
	t.Cleanup(func() {
		_ = c.Close(bg)
		stop()
		<-ran
		_, _, _ = c.views.Close(), c.store.Close(), c.file.Close()
	})
	return c
}

func (c *company) openNotary() {
	private, public, err := transparency.GenerateKey(rand.Reader, "example.org/credits")
	require.NoError(c.t, err)
	signer, err := note.NewSigner(private)
	require.NoError(c.t, err)
	c.verifier, err = note.NewVerifier(public)
	require.NoError(c.t, err)
	c.file, err = transparency.OpenFile(filepath.Join(c.dir, "checkpoints"))
	require.NoError(c.t, err)
	c.notary = transparency.NewNotary(transparency.Options{
		Store: c.store, Tree: c.views, File: c.file, Signer: signer, Verifier: c.verifier, Logger: quiet(),
	})
}

func (c *company) do(acct string, do account.Action) (ledger.Result, error) {
	c.calls++
	actor := []string{"tester", "second", "third"}[c.calls%3]
	if c.calls < 40 {
		actor = "tester"
	}
	return c.Execute(bg, ledger.Request{Account: acct, Do: do, Actor: actor, Role: "service", Key: "key-1"})
}

func (c *company) must(acct string, do account.Action) ledger.Result {
	c.t.Helper()
	result, err := c.do(acct, do)
	require.NoError(c.t, err)
	return result
}

func (c *company) sign() transparency.Signed {
	c.t.Helper()
	signed, err := c.notary.Sign(bg, c.AckedAny())
	require.NoError(c.t, err)
	return signed
}

// accounts is how many play: "a:0" and so on.
const accounts = 4

// play sends random commands to a few accounts; a refusal is part of the game.
func (c *company) play(rng *mathrand.Rand, commands int) {
	c.t.Helper()
	charges := map[string][]domain.TransactionID{}
	for range commands {
		acct := fmt.Sprint("a:", rng.IntN(accounts))
		c.now = c.now.Add(time.Duration(rng.IntN(7200)) * time.Second)
		result, err := c.do(acct, c.action(rng, charges[acct]))
		_, refused := domain.AsError(err)
		require.True(c.t, err == nil || refused, "%v", err)
		for _, f := range result.Facts {
			if f.Type == "deducted" || f.Type == "reservation-captured" {
				charges[acct] = append(charges[acct], f.ID)
			}
		}
	}
}

func (c *company) action(rng *mathrand.Rand, charges []domain.TransactionID) account.Action {
	amount := domain.Amount(1 + rng.Int64N(int64(20*credit)))
	name := fmt.Sprint("n", rng.IntN(9))
	expires := c.now.Add(time.Duration(1+rng.IntN(100)) * time.Hour)
	service := []domain.Service{domain.ServiceRay, domain.ServiceVM, domain.ServiceInference}[rng.IntN(3)]
	if rng.IntN(3) == 0 {
		return c.newerAction(rng, amount, fmt.Sprint("m", rng.IntN(30)), service)
	}
	switch rng.IntN(14) {
	case 0, 1:
		return account.RecordPurchase{Purchase: name, Amount: amount}
	case 2, 3:
		return account.GrantIncentive{Amount: amount, ExpiresAt: expires}
	case 4, 5, 6:
		return account.Deduct{Amount: amount / 3, Service: service, EffectiveAt: c.now.Add(-time.Duration(rng.IntN(9000)) * time.Second)}
	case 7:
		return account.Reserve{Reservation: name, Amount: amount / 2, Service: service, ExpiresAt: expires}
	case 8:
		return account.Capture{Reservation: name, Amount: amount / 4, Final: rng.IntN(2) == 0}
	case 9:
		return account.Release{Reservation: name}
	case 10:
		return account.ReversePurchase{Purchase: name, Kind: account.ReversalChargeback}
	case 11:
		return account.RequestAdjustment{Adjustment: name, Amount: amount - 8*credit}
	case 12:
		return account.ApproveAdjustment{Adjustment: name}
	default:
		if len(charges) > 0 {
			return account.Refund{Transaction: charges[rng.IntN(len(charges))]}
		}
		return account.Unfreeze{}
	}
}

// newerAction buys through the provider, deploys, and asks for credits.
func (c *company) newerAction(rng *mathrand.Rand, amount domain.Amount, name string, service domain.Service) account.Action {
	price, err := domain.ParseRate("hourly_price", fmt.Sprint("0.", 1+rng.IntN(99)))
	require.NoError(c.t, err)
	used := rng.IntN(90)
	switch rng.IntN(13) {
	case 0:
		return account.StartPurchase{Purchase: name, Amount: amount + credit}
	case 1, 2:
		return account.RecordPayment{Payment: fmt.Sprint("pay", c.calls), Purchase: name, Amount: amount + credit}
	case 3, 4:
		return account.StartDeployment{Deployment: name, Service: service, HourlyPrice: price, Hours: 1 + rng.IntN(30)}
	case 5, 6:
		return account.RecordUsage{Deployment: name, Amount: amount / 8}
	case 7:
		return account.StopDeployment{Deployment: name, UsedMinutes: &used}
	case 8:
		return account.CancelDeployment{Deployment: name}
	case 9:
		return account.FailDeployment{Deployment: name, UsedMinutes: &used}
	case 10:
		return account.RequestCredit{Request: name, Amount: amount}
	case 11:
		return account.ApproveCreditRequest{Request: name, Terms: account.CreditTerms{Amount: amount, Promotional: rng.IntN(2) == 0}}
	default:
		return account.ExtendDeployment{Deployment: name, Hours: 1 + rng.IntN(5)}
	}
}

// log reads everything.
func (c *company) log() []eventstore.Recorded {
	c.t.Helper()
	var all []eventstore.Recorded
	for r, err := range c.store.ReadAll(bg, 0, eventstore.Forwards, math.MaxInt) {
		require.NoError(c.t, err)
		all = append(all, r)
	}
	return all
}

// rewritten is a log that an operator with every right has written anew.
func rewritten(t *testing.T, events []eventstore.Recorded) *pebblestore.Store {
	t.Helper()
	store, err := pebblestore.Open("log", pebblestore.Options{FS: vfs.NewMem(), Logger: quiet()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	last := map[string]int64{}
	for _, r := range events {
		expected, known := last[r.Stream]
		if !known {
			expected = eventstore.NoStream
		}
		_, err := store.Append(bg, r.Stream, expected, []eventstore.Event{r.Event})
		require.NoError(t, err)
		last[r.Stream] = expected + 1
	}
	return store
}

func (c *company) checkpoints() iter.Seq2[transparency.Signed, error] {
	return audit.Checkpoints(filepath.Join(c.dir, "checkpoints"))
}

// copied is an image of the views as they are now.
func (c *company) copied() *projections.Image {
	c.t.Helper()
	require.NoError(c.t, c.views.WaitThrough(bg, c.AckedAny()))
	dir := filepath.Join(c.t.TempDir(), "views")
	require.NoError(c.t, c.views.Copy(dir))
	return openImage(c.t, dir, c.store)
}

func openImage(t *testing.T, dir string, store eventstore.Store) *projections.Image {
	t.Helper()
	image, found, err := projections.OpenImage(dir, projections.Options{Store: store, Codec: codec, Logger: quiet()})
	require.NoError(t, err)
	require.True(t, found)
	t.Cleanup(func() { _ = image.Close() })
	return image
}

// verify runs Verify and gives its findings.
func verify(t *testing.T, source audit.Source, change func(*audit.Options)) (audit.Summary, []audit.Finding) {
	t.Helper()
	var found []audit.Finding
	opts := audit.Options{Logger: quiet(), Report: func(f audit.Finding) { found = append(found, f) }}
	if source.Views != nil {
		opts.Scratch = filepath.Join(t.TempDir(), "scratch")
		require.NoError(t, os.MkdirAll(opts.Scratch, 0o700))
	}
	if change != nil {
		change(&opts)
	}
	source.Codec = codec
	summary, err := audit.Verify(bg, source, opts)
	require.NoError(t, err)
	require.Equal(t, len(found), summary.Findings)
	return summary, found
}

// requests are n small deductions.
func requests(acct string, n int) []ledger.Request {
	reqs := make([]ledger.Request, n)
	for i := range reqs {
		reqs[i] = ledger.Request{
			Account: acct, Actor: "tester", Role: "service",
			Do: account.Deduct{Amount: 1, Service: domain.ServiceRay},
		}
	}
	return reqs
}

func amount(t *testing.T, text string) domain.Amount {
	t.Helper()
	a, err := domain.ParseSignedAmount("amount", text)
	require.NoError(t, err)
	return a
}
