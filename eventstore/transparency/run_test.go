package transparency_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"iocredits/eventstore"
	"iocredits/eventstore/transparency"
)

// asked is a log that says when it was asked for its end, and then that it has none.
type asked struct {
	eventstore.Store
	first time.Time
}

func (a *asked) Head(context.Context) (eventstore.Position, error) {
	if a.first.IsZero() {
		a.first = time.Now()
	}
	return 0, eventstore.ErrClosed
}

// slow is a log that doesn't say where it ends until it is let go.
type slow struct {
	eventstore.Store
	began, letGo chan struct{}
}

func (s slow) Head(context.Context) (eventstore.Position, error) {
	close(s.began)
	<-s.letGo
	return 0, eventstore.ErrClosed
}

// upToDate is a tree that has everything.
type upToDate struct{ transparency.Tree }

func (upToDate) WaitThrough(context.Context, eventstore.Position) error { return nil }

// TestWhoWaitsForTheCheckHasATimeOfItsOwn: the log may be slow when it is looked at first.
func TestWhoWaitsForTheCheckHasATimeOfItsOwn(t *testing.T) {
	file, err := transparency.OpenFile(t.TempDir() + "/checkpoints")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	synctest.Test(t, func(t *testing.T) {
		log := slow{began: make(chan struct{}), letGo: make(chan struct{})}
		n := transparency.NewNotary(transparency.Options{Store: log, Tree: upToDate{}, File: file})
		first := make(chan error, 1)
		go func() { first <- n.Check(t.Context()) }()
		<-log.began
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, ask := range []func() error{
			func() error { return n.Check(ctx) },
			func() error { _, err := n.Sign(ctx, 0); return err },
			func() error { return n.Step(ctx) },
		} {
			require.ErrorIs(t, ask(), context.DeadlineExceeded)
		}
		close(log.letGo)
		require.ErrorIs(t, <-first, eventstore.ErrClosed)
	})
}

// A start's first commands have the processors for themselves.
func TestANotaryLooksAfterAWhile(t *testing.T) {
	file, err := transparency.OpenFile(t.TempDir() + "/checkpoints")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	synctest.Test(t, func(t *testing.T) {
		log := &asked{}
		n := transparency.NewNotary(transparency.Options{Store: log, File: file, Look: time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		n.Run(ctx)
		require.Equal(t, time.Second, log.first.Sub(began))
	})
}

// lines counts what is logged.
type lines struct {
	slog.Handler
	n atomic.Int64
}

func (*lines) Enabled(context.Context, slog.Level) bool { return true }

func (l *lines) Handle(context.Context, slog.Record) error {
	l.n.Add(1)
	return nil
}

// unsteady is an empty tree that fails every other ten times.
type unsteady struct {
	upToDate
	asked int
}

func (u *unsteady) TreeHead(context.Context) (transparency.Head, eventstore.Position, error) {
	if u.asked++; u.asked/10%2 == 1 {
		return transparency.Head{}, 0, eventstore.ErrClosed
	}
	return transparency.Head{}, 0, nil
}

// nobody signs.
type nobody struct{ note.Verifier }

func (nobody) Name() string    { return "nobody" }
func (nobody) KeyHash() uint32 { return 0 }

// empty is a log that has nothing.
type empty struct{ eventstore.Store }

func (empty) Head(context.Context) (eventstore.Position, error) { return 0, nil }

// TestWhatGoesOnFailingIsToldOnce: it may for days, as of a log that was rolled back, and a
// line a second would drown the rest of what is logged.
func TestWhatGoesOnFailingIsToldOnce(t *testing.T) {
	for name, c := range map[string]struct {
		opts   transparency.Options
		signed []transparency.Signed
		lines  int
	}{
		"a log that can't be asked":      {opts: transparency.Options{Store: &asked{}}, lines: 1},
		"one that fails again and again": {opts: transparency.Options{Store: empty{}, Tree: &unsteady{}}, lines: 3},
		"a checkpoint that isn't signed": {
			opts:   transparency.Options{Store: empty{}, Tree: &unsteady{}, Verifier: nobody{}},
			signed: []transparency.Signed{{At: time.Unix(1, 0), Position: 1, Head: transparency.Head{Size: 1}, Checkpoint: "by nobody\n"}}, lines: 1,
		},
	} {
		file, err := transparency.OpenFile(t.TempDir() + "/checkpoints")
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, file.Close()) })
		for _, s := range c.signed {
			require.NoError(t, file.Append(s))
		}
		synctest.Test(t, func(t *testing.T) {
			told := &lines{}
			c.opts.File, c.opts.Look, c.opts.Logger = file, time.Second, slog.New(told)
			n := transparency.NewNotary(c.opts)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			n.Run(ctx)
			require.EqualValues(t, c.lines, told.n.Load(), name)
			require.Equal(t, len(c.signed) > 0, n.Refuses(), name)
		})
	}
}
