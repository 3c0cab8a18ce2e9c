package ledger_test

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/storetest"
)

// twoEngines are ledgers on one log, both with the same read model.
func twoEngines(t *testing.T) (*rig, *ledger.Ledger) {
	t.Helper()
	r := newRig(t, func(o *ledger.Options) { o.Shared = true })
	other := ledger.New(r.opts)
	t.Cleanup(func() { _ = other.Close(context.Background()) })
	return r, other
}

// What one engine has in memory may be old. No answer rests on it: not a refusal,
// not a strong read, not a replay, and not a key that only the read model knows.
func TestAnEngineThatIsLeftBehind(t *testing.T) {
	r, other := twoEngines(t)
	ctx := context.Background()
	fund := func(on *ledger.Ledger, key string) ledger.Result {
		t.Helper()
		result, err := on.Execute(ctx, command("a", key, grant(10)))
		require.NoError(t, err)
		return result
	}
	advance := func() {
		t.Helper()
		head, err := r.store.Head(ctx)
		require.NoError(t, err)
		r.names.advance(head)
	}
	fund(r.Ledger, "k1")
	require.EqualValues(t, 10, credits(t, other, "a"))
	fund(r.Ledger, "k2")
	require.EqualValues(t, 20, credits(t, other, "a"), "a strong read")
	spent, err := other.Execute(ctx, command("a", "k3", spend(15)))
	require.NoError(t, err)
	_, err = r.Execute(ctx, command("a", "k4", spend(15)))
	require.True(t, domain.IsCode(err, domain.CodeInsufficientCredits), "%v", err)
	fund(other, "k5")
	_, err = r.Execute(ctx, command("a", "k4", spend(15)))
	require.NoError(t, err, "a refusal on an old book")

	fund(other, "k6")
	advance()
	again, err := r.Execute(ctx, command("a", "k3", spend(15)))
	require.NoError(t, err)
	require.True(t, again.Replayed)
	require.Equal(t, spent.Facts[0].ID, again.Facts[0].ID)
	require.NotZero(t, fund(other, "k7").Revision)
	advance()
	again, err = r.Execute(ctx, command("a", "k7", grant(10)))
	require.NoError(t, err, "the read model knows more than the book")
	require.True(t, again.Replayed)
}

// TestWhatAnotherEngineWroteIsAcknowledgedHere once an answer rests on it.
func TestWhatAnotherEngineWroteIsAcknowledgedHere(t *testing.T) {
	r, other := twoEngines(t)
	written, err := other.Execute(t.Context(), command("a", "k", grant(10)))
	require.NoError(t, err)
	require.Zero(t, r.AckedAny())
	require.EqualValues(t, 10, credits(t, r.Ledger, "a"))
	require.Equal(t, written.Position, r.Acked("a"))
	require.Equal(t, written.Position, r.AckedAny())
}

// Both engines at once, each key on both: one effect each.
func TestTwoEnginesRace(t *testing.T) {
	r, other := twoEngines(t)
	ctx := context.Background()
	_, err := r.Execute(ctx, command("a", "fund", grant(1000)))
	require.NoError(t, err)
	const keys = 60
	var wg sync.WaitGroup
	for _, on := range []*ledger.Ledger{r.Ledger, other} {
		for n := range keys {
			wg.Go(func() {
				for {
					_, err := on.Execute(ctx, command("a", string(rune('A'+n)), spend(1)))
					if err == nil {
						return
					}
					if !domain.IsCode(err, domain.CodeConflict) {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	require.EqualValues(t, 1000-keys, credits(t, r.Ledger, "a"))
	require.EqualValues(t, 1000-keys, credits(t, other, "a"))
	require.Len(t, r.facts("a"), 1+keys)
}

// TestAKeyAtAPlaceThatAnotherCommandHas: the read model knows of a key at a
// revision which, in the group that is being decided, is the middle of another
// command that asked for the same. It is a conflict, and then a replay.
func TestAKeyAtAPlaceThatAnotherCommandHas(t *testing.T) {
	var meanwhile atomic.Pointer[func()]
	r := newRig(t, func(o *ledger.Options) {
		o.Shared = true
		now := o.Clock
		o.Clock = func() time.Time {
			if f := meanwhile.Swap(nil); f != nil {
				(*f)()
			}
			return now()
		}
	})
	other := ledger.New(r.opts)
	t.Cleanup(func() { _ = other.Close(context.Background()) })
	ctx := context.Background()
	same := func(key string, do account.Action) ledger.Request {
		req := command("a", key, do)
		req.Fingerprint = "same"
		return req
	}
	first := command("a", "k1", grant(10))
	entered, queued := make(chan struct{}), make(chan struct{})
	let := sync.OnceFunc(func() { close(queued) })
	t.Cleanup(let) // a test that fails ends, too
	first.Inspect = func(*account.State, []eventstore.Fact) { close(entered); <-queued }
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = r.Execute(ctx, first) })
	<-entered
	deploy := same("k2", account.StartDeployment{Deployment: "d", Service: domain.ServiceRay, HourlyPrice: rate(t, "1"), Hours: 1})
	again := same("k4", spend(1))
	again.Inspect = func(*account.State, []eventstore.Fact) {}
	var out []ledger.Outcome
	wg.Go(func() { out = r.ExecuteBatch(ctx, []ledger.Request{deploy, again}) })
	require.Eventually(t, func() bool { return r.QueueDepth() == 3 }, patience, time.Millisecond)
	write := func() {
		for _, req := range []ledger.Request{command("a", "k3", spend(1)), same("k4", spend(1))} {
			_, err := other.Execute(ctx, req)
			assert.NoError(t, err)
		}
		head, err := r.store.Head(ctx)
		assert.NoError(t, err)
		r.names.advance(head)
	}
	meanwhile.Store(&write) // runs while the deployment is being decided
	let()
	wg.Wait()
	require.NoError(t, out[0].Err)
	require.NoError(t, out[1].Err)
	require.True(t, out[1].Result.Replayed)
	require.EqualValues(t, 2, out[1].Result.Revision, "the other engine's")
	require.EqualValues(t, 7, credits(t, r.Ledger, "a"))
}

// blindStore can't read the ends of streams while it is so.
type blindStore struct {
	eventstore.Store
	blind atomic.Bool
}

func (s *blindStore) ReadStream(ctx context.Context, stream string, from int64, d eventstore.Direction, limit int) iter.Seq2[eventstore.Recorded, error] {
	if d == eventstore.Backwards && s.blind.Load() {
		return func(yield func(eventstore.Recorded, error) bool) {
			yield(eventstore.Recorded{}, errors.New("connection lost"))
		}
	}
	return s.Store.ReadStream(ctx, stream, from, d, limit)
}

// TestAnEndThatCannotBeRead: an answer that rests on no append has none, and nobody is
// told of a write that there wasn't.
func TestAnEndThatCannotBeRead(t *testing.T) {
	store, log := new(blindStore), new(storetest.Buffer)
	r := newRig(t, func(o *ledger.Options) {
		store.Store, o.Store = o.Store, store
		o.Shared, o.Logger = true, slog.New(slog.NewTextHandler(log, nil))
	})
	r.do("a", "1", grant(10))
	store.blind.Store(true)
	require.Contains(t, r.refused(domain.CodeUnavailable, command("a", "2", spend(50))).Detail, "can't be read now; nothing was written")
	_, err := r.Read(t.Context(), "a")
	require.True(t, domain.IsCode(err, domain.CodeUnavailable), "%v", err)
	require.Contains(t, log.String(), "connection lost")
	require.NotContains(t, log.String(), "append")
	r.do("a", "3", spend(1)) // an append is a look of its own
	store.blind.Store(false)
	_ = r.refused(domain.CodeInsufficientCredits, command("a", "2", spend(50)))
}

func rate(t *testing.T, text string) domain.Rate {
	t.Helper()
	parsed, err := domain.ParseRate("hourly_price", text)
	require.NoError(t, err)
	return parsed
}

func credits(t *testing.T, on *ledger.Ledger, acct string) int64 {
	t.Helper()
	view, err := on.Read(context.Background(), acct)
	require.NoError(t, err)
	return int64(view.Balance.Balance) / 1_000_000
}

func grant(n int64) account.Action {
	return account.GrantIncentive{Amount: domain.Amount(n * 1_000_000), Campaign: "c"}
}

func spend(n int64) account.Action {
	return account.Deduct{Amount: domain.Amount(n * 1_000_000), Service: domain.ServiceRay, Reference: "r"}
}
