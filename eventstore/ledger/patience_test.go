package ledger_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/eventstore/ledger"
)

// TestACallerMayLeaveWhileNamesAreBehind: an account whose window is full waits for the
// read models. Its caller doesn't have to, nor do the other accounts of a batch.
func TestACallerMayLeaveWhileNamesAreBehind(t *testing.T) {
	r := newRig(t, func(o *ledger.Options) { o.MaxRecentNames, o.NamesPatience = 2, time.Hour })
	r.do("a", "1", purchase("p", 10))
	r.do("b", "1", purchase("p", 10))
	t.Cleanup(func() { r.names.advance(r.AckedAny()) })

	ctx, leave := context.WithCancel(context.Background())
	first, both := make(chan error, 1), make(chan []ledger.Outcome, 1)
	go func() {
		_, err := r.Execute(ctx, command("a", "2", deduct(1)))
		first <- err
	}()
	go func() {
		both <- r.ExecuteBatch(ctx, []ledger.Request{command("b", "2", deduct(1)), command("c", "2", purchase("p", 1))})
	}()
	require.Eventually(t, func() bool { return r.Acked("c") > 0 }, patience, time.Millisecond, "it waits for no other account")
	leave()
	select {
	case err := <-first:
		require.ErrorIs(t, err, context.Canceled)
	case <-within(t).Done():
		t.Fatal("the caller of one can't leave")
	}
	select {
	case out := <-both:
		require.ErrorIs(t, out[0].Err, context.Canceled)
	case <-within(t).Done():
		t.Fatal("the caller of a batch can't leave")
	}
}

// TestAccountsThatWaitForNamesStopNoOther: they take half of those who decide at most. What
// comes beyond that is refused, and an account that has nothing to wait for goes on.
func TestAccountsThatWaitForNamesStopNoOther(t *testing.T) {
	const deciders = 4
	r := newRig(t, func(o *ledger.Options) { o.MaxRecentNames, o.NamesPatience, o.Deciders = 2, time.Hour, deciders })
	busy := func(n int) string { return fmt.Sprint("busy", n) }
	for n := range deciders {
		r.do(busy(n), "1", purchase("p", 10))
	}
	t.Cleanup(func() { r.names.advance(r.AckedAny()) })
	outcomes := make(chan error, deciders)
	for n := range deciders {
		go func() {
			_, err := r.Execute(context.Background(), command(busy(n), "2", deduct(1)))
			outcomes <- err
		}()
	}
	next := func() error {
		select {
		case err := <-outcomes:
			return err
		case <-within(t).Done():
			t.Fatal("they all wait")
			return nil
		}
	}
	for range deciders / 2 {
		err := next()
		require.True(t, domain.IsCode(err, domain.CodeOverloaded), "%v", err)
	}
	_, err := r.Execute(within(t), command("cold", "1", purchase("p", 1)))
	require.NoError(t, err)
	r.names.advance(r.AckedAny())
	for range deciders / 2 {
		require.NoError(t, next())
	}
}
