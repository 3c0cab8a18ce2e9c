package ledger_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
)

func opening(grace int) *account.Policy {
	p := account.DefaultPolicy()
	p.GraceMinutes, p.Allowance = grace, 3*credit
	return &p
}

// types are those of an account's events.
func (r *rig) types(acct string) (names []string) {
	r.t.Helper()
	for _, f := range r.facts(acct) {
		names = append(names, f.Type)
	}
	return names
}

// TestOpeningPolicy: it comes with the first command that does anything, belongs to
// that command, and is in no later one.
func TestOpeningPolicy(t *testing.T) {
	r := newRig(t, func(o *ledger.Options) { o.Opening = opening(30) })
	ctx := context.Background()
	_ = r.refused(domain.CodeInsufficientCredits, command("a", "k0", deduct(1)))
	ticked, err := r.Execute(ctx, ledger.Request{Account: "a", Do: account.Tick{}, Actor: "engine", Role: "engine"})
	require.NoError(t, err)
	require.Empty(t, ticked.Facts)
	require.Empty(t, r.facts("a"))
	view, err := r.Read(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, *opening(30), view.Policy, "what it would begin with")
	require.EqualValues(t, -1, view.Revision)

	first := r.do("a", "k1", purchase("p", 5))
	require.EqualValues(t, 1, first.Revision)
	require.Equal(t, []domain.Amount{0, 5 * credit}, first.Balances)
	require.Equal(t, 8*credit, first.Balance.Spendable, "its allowance is the policy's")
	r.do("a", "k2", deduct(8))
	_ = r.refused(domain.CodeInsufficientCredits, command("a", "k3", deduct(1)))
	require.Equal(t, []string{"policy-set", "purchase-settled", "deducted"}, r.types("a"))
	for i, f := range r.facts("a")[:2] {
		require.Equal(t, eventstore.Command{ID: "k1", Fingerprint: f.Meta.Command.Fingerprint, Index: i, Count: 2}, f.Meta.Command)
	}
	by := func(acct string, revision int) [3]string {
		meta := r.facts(acct)[revision].Meta
		return [3]string{meta.Actor, meta.Role, meta.Key}
	}
	require.Equal(t, [3]string{"operator", "admin", ""}, by("a", 0), "nobody else chose it")
	asked := command("a", "k1", purchase("p", 5))
	require.Equal(t, [3]string{asked.Actor, asked.Role, asked.Key}, by("a", 1))
}

// TestOpeningPolicyIsReplayed with the command that it came with, also where the
// operator wants something else by now.
func TestOpeningPolicyIsReplayed(t *testing.T) {
	r := newRig(t, func(o *ledger.Options) { o.Opening = opening(30) })
	first := r.do("a", "k", purchase("p", 5))
	for _, grace := range []int{30, 45} {
		r.names.advance(r.AckedAny())
		r.opts.Opening = opening(grace)
		r.restart()
		again := r.do("a", "k", purchase("p", 5))
		require.True(t, again.Replayed)
		require.Len(t, again.Facts, 2)
		require.Equal(t, first.Facts[1].ID, again.Facts[1].ID)
		require.Equal(t, first.Revision, again.Revision)
	}
	_ = r.refused(domain.CodeIdempotencyKeyReused, command("a", "k", purchase("p", 6)))
	view, err := r.Read(context.Background(), "a")
	require.NoError(t, err)
	require.Equal(t, *opening(30), view.Policy, "an account keeps what it began with")
	r.do("b", "k", purchase("p", 5))
	view, err = r.Read(context.Background(), "b")
	require.NoError(t, err)
	require.Equal(t, *opening(45), view.Policy)
}

// TestOpeningPolicyInAGroup: of many first commands the first that is accepted has it.
func TestOpeningPolicyInAGroup(t *testing.T) {
	r := newRig(t, func(o *ledger.Options) { o.Opening = opening(30) })
	answers := r.ExecuteBatch(context.Background(), []ledger.Request{
		command("a", "k1", deduct(1)), command("a", "k2", purchase("p", 5)), command("a", "k3", deduct(2)), command("b", "k1", purchase("p", 1)),
	})
	require.True(t, domain.IsCode(answers[0].Err, domain.CodeInsufficientCredits), "%v", answers[0].Err)
	for i, want := range []int{2, 1, 2} {
		require.NoError(t, answers[1+i].Err)
		require.Len(t, answers[1+i].Result.Facts, want)
	}
	require.Equal(t, []string{"policy-set", "purchase-settled", "deducted"}, r.types("a"))
	require.Equal(t, []string{"policy-set", "purchase-settled"}, r.types("b"))
}

// TestOpeningPolicyOfWhoeverIsFirst: an engine that has the account in memory as one
// without events, while another engine opens it.
func TestOpeningPolicyOfWhoeverIsFirst(t *testing.T) {
	r := newRig(t, func(o *ledger.Options) { o.Shared, o.Opening = true, opening(30) })
	r.opts.Opening = opening(45)
	other := ledger.New(r.opts)
	t.Cleanup(func() { _ = other.Close(context.Background()) })
	_ = r.refused(domain.CodeInsufficientCredits, command("a", "k0", deduct(1)))
	_, err := other.Execute(context.Background(), command("a", "k1", purchase("p", 5)))
	require.NoError(t, err)
	result := r.do("a", "k2", purchase("q", 5))
	require.Len(t, result.Facts, 1, "decided again, on an account that has begun")
	require.Equal(t, []string{"policy-set", "purchase-settled", "purchase-settled"}, r.types("a"))
	view, err := r.Read(context.Background(), "a")
	require.NoError(t, err)
	require.Equal(t, *opening(45), view.Policy)
}
