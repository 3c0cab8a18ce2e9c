package ledger_test

import (
	"context"
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

const credit = domain.Credit

func purchase(id string, credits domain.Amount) account.RecordPurchase {
	return account.RecordPurchase{Purchase: id, Amount: credits * credit}
}

func deduct(credits domain.Amount) account.Deduct {
	return account.Deduct{Amount: credits * credit, Service: domain.ServiceVM}
}

func TestExecuteRecordsWhoWhenAndWhy(t *testing.T) {
	r := newRig(t, nil)
	first := r.do("a", "k1", purchase("p", 100))
	require.EqualValues(t, 0, first.Revision)
	require.Equal(t, 100*credit, first.Balance.Balance)

	req := command("a", "k2", deduct(30))
	req.Key, req.RequestID = "key-1", "req-1"
	second, err := r.Execute(context.Background(), req)
	require.NoError(t, err)
	require.EqualValues(t, 1, second.Revision)
	require.Greater(t, second.Position, first.Position)
	require.Equal(t, []domain.Amount{70 * credit}, second.Balances)
	require.False(t, second.Replayed)
	require.Equal(t, second.Position, r.Acked("a"))

	facts := r.facts("a")
	require.Len(t, facts, 2)
	meta := facts[1].Meta
	require.Equal(t, second.Facts[0].ID, facts[1].ID)
	require.Equal(t, []string{"tester", "service", "key-1", "req-1", "k2"},
		[]string{meta.Actor, meta.Role, meta.Key, meta.RequestID, meta.Command.ID})
	require.Equal(t, r.clock.Now(), meta.RecordedAt)
}

// TestWhatWasAcknowledgedBeforeTheStart counts, though nobody remembers by which account.
func TestWhatWasAcknowledgedBeforeTheStart(t *testing.T) {
	r := newRig(t, nil)
	first := r.do("a", "k1", purchase("p", 100))
	last := r.do("b", "k1", purchase("p", 100))
	r.opts.Head = last.Position
	r.restart()
	require.Equal(t, last.Position, r.AckedAny())
	require.Equal(t, last.Position, r.Acked("a"))
	require.Equal(t, 100*credit, r.balance("a"))
	require.Less(t, first.Position, r.Acked("a"), "its notices may be behind its own events")
	next := r.do("a", "k2", deduct(1))
	require.Equal(t, next.Position, r.Acked("a"))
	require.Equal(t, next.Position, r.AckedAny())
	require.Equal(t, last.Position, r.Acked("b"))
}

func TestRefusalLeavesNothing(t *testing.T) {
	r := newRig(t, nil)
	_ = r.refused(domain.CodeInsufficientCredits, command("a", "k", deduct(1)))
	require.Empty(t, r.facts("a"))

	// It bound no key: the same key does something else now.
	r.do("a", "k", purchase("p", 5))
	require.Equal(t, 5*credit, r.balance("a"))
}

func TestReplayGivesTheFirstAnswer(t *testing.T) {
	for name, advance := range map[string]bool{"from the window": false, "from the read model": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			first := r.do("a", "k", purchase("p", 100))
			r.do("a", "other", deduct(1))
			if advance {
				r.names.advance(r.AckedAny())
				r.restart()
			}
			again := r.do("a", "k", purchase("p", 100))
			require.True(t, again.Replayed)
			require.Equal(t, first.Facts[0].ID, again.Facts[0].ID)
			require.Equal(t, []any{first.Revision, first.Position}, []any{again.Revision, again.Position})
			require.Equal(t, 99*credit, again.Balance.Balance, "balance is today's")
			_ = r.refused(domain.CodeIdempotencyKeyReused, command("a", "k", purchase("p", 101)))
			require.Len(t, r.facts("a"), 2)
		})
	}
}

func TestAThousandTimesAtOnceIsOnce(t *testing.T) {
	r := newRig(t, nil)
	r.do("a", "fund", purchase("p", 100))
	var wg sync.WaitGroup
	results := make([]ledger.Result, 1000)
	for i := range results {
		wg.Go(func() {
			var err error
			results[i], err = r.Execute(context.Background(), command("a", "once", deduct(1)))
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	fresh := 0
	for _, result := range results {
		require.Equal(t, results[0].Facts[0].ID, result.Facts[0].ID)
		require.Equal(t, results[0].Position, result.Position)
		if !result.Replayed {
			fresh++
		}
	}
	require.Equal(t, 1, fresh)
	require.Equal(t, 99*credit, r.balance("a"))
}

func TestBatchKeepsOrderAndAnswersEachLine(t *testing.T) {
	r := newRig(t, nil)
	out := r.ExecuteBatch(context.Background(), []ledger.Request{
		command("a", "1", deduct(1)),
		command("a", "2", purchase("p", 10)),
		command("a", "3", deduct(10)),
		command("a", "3", deduct(10)),
		command("b", "1", purchase("q", 1)),
		command("a", "4", deduct(11)),
	})
	require.True(t, domain.IsCode(out[0].Err, domain.CodeInsufficientCredits))
	require.NoError(t, out[1].Err)
	require.NoError(t, out[2].Err)
	require.True(t, out[3].Result.Replayed)
	require.Equal(t, out[2].Result.Position, out[3].Result.Position)
	require.NoError(t, out[4].Err)
	require.True(t, domain.IsCode(out[5].Err, domain.CodeInsufficientCredits))
}

func TestTimeNeverGoesBackInAStream(t *testing.T) {
	r := newRig(t, nil)
	r.do("a", "1", purchase("p", 10))
	r.clock.Move(-time.Hour)
	r.do("a", "2", deduct(1))
	r.restart()
	r.do("a", "3", deduct(1))
	facts := r.facts("a")
	for i := 1; i < len(facts); i++ {
		require.False(t, facts[i].Meta.RecordedAt.Before(facts[i-1].Meta.RecordedAt))
	}
}

func TestRefundReadsItsDeduction(t *testing.T) {
	r := newRig(t, nil)
	r.do("a", "1", purchase("p", 10))
	r.do("b", "1", purchase("p", 10))
	spent := r.do("a", "2", deduct(4)).Facts[0].ID
	other := r.do("b", "2", deduct(4)).Facts[0].ID
	r.restart()
	require.Equal(t, 8*credit, r.do("a", "3", account.Refund{Transaction: spent, Amount: 2 * credit}).Balance.Balance)
	for name, id := range map[string]uuid.UUID{
		"another account's": other, "random": uuid.New(), "beyond the end": domain.NewTransactionID(99, [32]byte{}),
	} {
		t.Run(name, func(t *testing.T) {
			_ = r.refused(domain.CodeUnknownTransaction, command("a", uuid.NewString(), account.Refund{Transaction: id}))
		})
	}
}

func TestANameIsTakenForEver(t *testing.T) {
	r := newRig(t, nil)
	reserve := account.Reserve{Reservation: "r1", Amount: credit, Service: domain.ServiceVM}
	r.do("a", "1", purchase("p", 10))
	r.do("a", "2", reserve)
	r.do("a", "3", account.Release{Reservation: "r1"})
	for _, lag := range []string{"read model behind", "read model there"} {
		_ = r.refused(domain.CodeDuplicateID, command("a", "4"+lag, reserve))
		_ = r.refused(domain.CodeReservationClosed, command("a", "5"+lag, account.Capture{Reservation: "r1", Amount: 1}))
		_ = r.refused(domain.CodeUnknownReservation, command("a", "6"+lag, account.Capture{Reservation: "r2", Amount: 1}))
		r.names.advance(r.AckedAny())
		r.restart()
	}
}

func TestInspectSeesTheAnswersState(t *testing.T) {
	r := newRig(t, nil)
	r.do("a", "1", purchase("p", 10))
	var left domain.Amount
	req := command("a", "2", account.Reserve{Reservation: "r", Amount: 3 * credit, Service: domain.ServiceVM})
	req.Inspect = func(s *account.State, _ []eventstore.Fact) { left = s.Reservations["r"].Left() }
	_, err := r.Execute(context.Background(), req)
	require.NoError(t, err)
	require.Equal(t, 3*credit, left)
}

// TestLookShowsTheState: as it is recorded, and writes nothing, not even what is due.
func TestLookShowsTheState(t *testing.T) {
	r := newRig(t, nil)
	r.do("a", "1", purchase("p", 10))
	r.do("a", "2", account.Reserve{Reservation: "r", Amount: 3 * credit, Service: domain.ServiceVM, ExpiresAt: r.clock.Now().Add(time.Hour)})
	r.clock.Move(2 * time.Hour)
	var left domain.Amount
	view, err := r.Look(context.Background(), "a", func(s *account.State, facts []eventstore.Fact) {
		left = s.Reservations["r"].Left()
		require.Empty(t, facts)
	})
	require.NoError(t, err)
	require.Equal(t, 3*credit, left)
	require.EqualValues(t, 1, view.Revision)
}

func TestTickWithNothingDueWritesNothing(t *testing.T) {
	r := newRig(t, nil)
	r.do("a", "1", account.GrantIncentive{Amount: credit, ExpiresAt: r.clock.Now().Add(time.Hour)})
	require.Empty(t, r.do("a", "", account.Tick{}).Facts)
	r.clock.Move(time.Hour)
	require.Len(t, r.do("a", "", account.Tick{}).Facts, 1)
	require.Empty(t, r.do("a", "", account.Tick{}).Facts)
	require.Zero(t, r.balance("a"))
}

func TestUnknownAccountReadsAsZeros(t *testing.T) {
	r := newRig(t, nil)
	view, err := r.Read(context.Background(), "nobody")
	require.NoError(t, err)
	require.Equal(t, eventstore.NoStream, view.Revision)
	require.Zero(t, view.Balance.Balance)
}

func TestOnlyAtIsCheckedWhereTheCommandIsDecided(t *testing.T) {
	r := newRig(t, nil)
	head := r.do("a", "1", purchase("p", 10)).Head
	require.EqualValues(t, 0, head.Revision)
	at := func(key string, revision int64) ledger.Request {
		req := command("a", key, deduct(1))
		req.OnlyAt = &revision
		return req
	}
	_, err := r.Execute(context.Background(), at("2", 0))
	require.NoError(t, err)
	_ = r.refused(domain.CodePreconditionFailed, at("3", 0))
	replayed, err := r.Execute(context.Background(), at("2", 0))
	require.NoError(t, err)
	require.True(t, replayed.Replayed, "a repeat is one whatever has happened since")
}

func TestHeadIsWhatTheBalanceCounts(t *testing.T) {
	r := newRig(t, nil)
	first := r.do("a", "1", purchase("p", 10))
	r.clock.Move(time.Hour)
	second := r.do("a", "2", deduct(4))
	again := r.do("a", "1", purchase("p", 10))
	require.Equal(t, first.Position, again.Position)
	require.Equal(t, second.Head, again.Head)
	require.Equal(t, 6*credit, again.Balance.Balance)
	require.Equal(t, r.clock.Now(), again.Head.RecordedAt)
	view, err := r.Read(context.Background(), "a")
	require.NoError(t, err)
	require.Equal(t, second.Head, view.Mark)
}
