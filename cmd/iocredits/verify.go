package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"iocredits/eventstore"
	"iocredits/projections"
	"iocredits/projections/audit"
)

type verifyCmd struct {
	sourceFlags
	Key     string `help:"Public key of the signer, or its file; get it from somebody else than the engine. Without it the one that --dev left in --data is taken, and with neither no signature is checked." env:"IOCREDITS_PUBLIC_KEY" placeholder:"KEY"`
	Scratch string `help:"Where the read models are built anew, to be compared; needs as much room as they have, and 512 MiB that stay free. A temporary folder without it." placeholder:"DIR"`
	NoViews bool   `help:"Leave out the read models."`
}

// Run checks the whole log.
func (c *verifyCmd) Run(ctx context.Context, parsed *kong.Context, m *Main) (err error) {
	if isEmpty(parsed, "key", c.Key) {
		return usagef("%s is empty: name a public key, or leave it out", sourceOf(parsed, "key"))
	}
	keys := watchShared()
	if c.EventStore == "" {
		// Before watchKeys, which takes a folder that isn't there for one without a keyring.
		if err := dataDir(c.Data).checkLog(orOnCluster); err != nil {
			return err
		}
		if keys, err = watchKeys(dataDir(c.Data)); err != nil {
			return err
		}
	}
	s, err := c.open(ctx, m)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := c.verifier(s, sourceOf(parsed, "key")); err != nil {
		return err
	}
	opts := audit.Options{
		Logger: slog.New(slog.DiscardHandler), // what it would say are findings
		Report: func(f audit.Finding) { fmt.Fprintln(m.Stdout, f) },

		MustBeSigned: c.Key != "", Seen: keys.see,
	}
	if c.NoViews {
		s.Views, s.ViewsDamage = nil, nil
	}
	if opts.Scratch, err = os.MkdirTemp(c.Scratch, "iocredits-verify-*"); err != nil {
		return usagef("--scratch: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(opts.Scratch)) }()
	phase, bar := "", newBar(m.Stderr, 1, "")
	opts.Progress = func(now string, through, head eventstore.Position) {
		if now != phase {
			_ = bar.Exit()
			phase, bar = now, newBar(m.Stderr, int(head), now)
		}
		_ = bar.Set(int(through))
	}
	began := time.Now()
	summary, err := audit.Verify(ctx, s.Source, opts)
	_ = bar.Exit()
	if err == nil {
		var more int
		more, err = keys.finish(ctx, s.Store, opts.Report)
		summary.Findings += more
	}
	if err != nil {
		return otherScratch(err, ", or leave the read models out with --no-views")
	}
	c.print(m, s, summary, keys.absent, time.Since(began))
	if summary.Findings > 0 {
		return foundSome(summary.Findings)
	}
	return nil
}

// otherScratch says what helps where there is too little room; other errors stay.
func otherScratch(err error, or string) error {
	if errors.Is(err, projections.ErrNoRoom) {
		err = fmt.Errorf("%w: name a folder on another disk with --scratch%s", err, or)
	}
	return err
}

// foundSome ends a check by how much it found.
func foundSome(findings int) error {
	if findings == 1 {
		return fmt.Errorf("%w: 1 finding", errFindings)
	}
	return fmt.Errorf("%w: %d findings", errFindings, findings)
}

// verifier takes the key that was given, or the one that an engine with --dev made.
func (c *verifyCmd) verifier(s *evidence, from string) (err error) {
	key := c.Key
	if key == "" {
		key = s.dir.devSigner() + ".pub"
		if _, err := os.Stat(key); err != nil {
			return nil //nolint:nilerr // then signatures aren't checked, and print says so
		}
	}
	s.Verifier, err = readVerifier(key, from)
	return err
}

func (c *verifyCmd) print(m *Main, s *evidence, sum audit.Summary, noKeys string, took time.Duration) {
	fmt.Fprintf(m.Stdout, "%d events of %d accounts up to position %d in %s, %.0f a second\n",
		sum.Events, sum.Accounts, sum.Position, took.Round(time.Millisecond), float64(sum.Events)/took.Seconds())
	fmt.Fprintf(m.Stdout, "tree         size %d root %s\n", sum.Head.Size, sum.Head.Root)
	fmt.Fprintf(m.Stdout, "checkpoints  %d, %s\n", sum.Checkpoints, c.signatures(sum))
	if sum.ViewsCompared {
		fmt.Fprintf(m.Stdout, "read models  %d rows compared, up to position %d\n", sum.Rows, s.Views.Position())
	} else {
		fmt.Fprintf(m.Stdout, "read models  NOT COMPARED: %s\n", s.whyNotCompared(c.NoViews))
	}
	if !sum.IndexCompared {
		fmt.Fprintf(m.Stdout, "index        NOT COMPARED: %s\n", c.whyNoIndex())
	}
	if sum.Incomplete {
		fmt.Fprintln(m.Stdout, "books        NOT ADDED UP: events are missing or can't be read, see the findings")
	} else {
		fmt.Fprintf(m.Stdout, "books        open by %s; customers have %s\n", sum.Totals.Open(), sum.Totals.Balance())
	}
	if noKeys != "" {
		fmt.Fprintf(m.Stdout, "keyring      NOT COMPARED: %s\n", noKeys)
	}
	switch {
	case sum.Findings > 0:
	case sum.Signatures && sum.Checkpoints > 0:
		fmt.Fprintln(m.Stdout, "no findings")
	default: // whoever reads the last line alone isn't to take it for more
		fmt.Fprintln(m.Stdout, "no findings, signatures not checked")
	}
}

// whyNoIndex says why nobody held it to the log.
func (c *verifyCmd) whyNoIndex() string {
	if c.EventStore != "" {
		return "the cluster has its own"
	}
	return "a record of the log can't be read"
}

// signatures says what is known of them, and never more.
func (c *verifyCmd) signatures(sum audit.Summary) string {
	switch {
	case sum.Checkpoints == 0:
		return "so NO signature was checked"
	case !sum.Signatures:
		return "signatures NOT CHECKED: no --key"
	}
	text := "signatures good"
	if bad := sum.Checkpoints - sum.Good; bad > 0 {
		text = fmt.Sprintf("%d good, %d bad", sum.Good, bad)
	}
	if c.Key == "" {
		text += " by the key in --data: give --key to trust it"
	}
	return text
}

// whyNotCompared says why there was nothing to hold the events to.
func (s *evidence) whyNotCompared(leftOut bool) string {
	switch {
	case leftOut:
		return "left out, by --no-views"
	case s.ViewsDamage != nil:
		return "they are damaged; rebuild makes them again"
	case s.Views == nil:
		return "there are none in " + string(s.dir)
	case s.Views.Position() == eventstore.BeforeFirst:
		return "they are empty; a start of the engine, or rebuild, makes them again"
	}
	return "see the findings"
}

type diffCmd struct {
	Account string `arg:"" help:"Account to check."`
	sourceFlags
	Scratch string `help:"Where the account's read models are built anew, to be compared; needs as much room as they have, and 512 MiB that stay free. A temporary folder without it." placeholder:"DIR"`
}

// Run folds one account afresh and compares it with every read model.
func (c *diffCmd) Run(ctx context.Context, m *Main) (err error) {
	s, err := c.open(ctx, m)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	scratch, err := os.MkdirTemp(c.Scratch, "iocredits-diff-*")
	if err != nil {
		return usagef("--scratch: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	summary, err := audit.Diff(ctx, s.Source, c.Account, audit.Options{
		Scratch: scratch, Logger: slog.New(slog.DiscardHandler), Report: func(f audit.Finding) { fmt.Fprintln(m.Stdout, f) },
	})
	if err != nil {
		return otherScratch(err, "")
	}
	compared := fmt.Sprintf("%d rows of the read models compared", summary.Rows)
	if !summary.ViewsCompared {
		compared = "read models NOT COMPARED: " + s.whyNotCompared(false)
	}
	balance := summary.Totals.Balance().String()
	if summary.Incomplete {
		balance = "NOT ADDED UP"
	}
	fmt.Fprintf(m.Stdout, "%d events, balance %s, %s\n", summary.Events, balance, compared)
	if summary.Findings > 0 {
		return foundSome(summary.Findings)
	}
	fmt.Fprintln(m.Stdout, "no findings")
	return nil
}
