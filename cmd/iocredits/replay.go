package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"iocredits/eventstore/keyring"
	"iocredits/projections/audit"
)

type replayCmd struct {
	Account string `arg:"" help:"Account to replay."`
	sourceFlags
	At       moment `help:"Only what is effective by this time, or by the first instant of this date in UTC: of the account after it only the balance is shown then, other figures have no meaning." placeholder:"TIME"`
	KnownAt  moment `help:"Only what was recorded by this time, or by the first instant of this date in UTC." placeholder:"TIME"`
	Revision *int64 `help:"Only up to this revision." placeholder:"N"`

	KeyringSecret string `help:"With --eventstore: file with 32 random bytes in hex that wrap the keyring there, as for serve; without it sealed text is shown as it is." placeholder:"FILE"`
}

// Run prints each event and the account after it.
func (c *replayCmd) Run(ctx context.Context, m *Main) (err error) {
	s, err := c.open(ctx, m)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := c.openKeys(s); err != nil {
		return err
	}
	opts := audit.ReplayOptions{At: c.At.at, KnownAt: c.KnownAt.at, Revision: c.Revision}
	shown := 0
	err = audit.Replay(ctx, s.Source, c.Account, opts, func(step audit.Step) error {
		shown++
		data := s.reveal(ctx, c.Account, step.Data)
		_, err := fmt.Fprintf(m.Stdout, `%d %s
  id           %s, position %d
  recorded     %s by %s (%s)
  effective    %s
  data         %s
  hash         %s
  after it     %s
`, step.Revision, step.Type, step.ID, step.Position,
			step.Meta.RecordedAt.Format(time.RFC3339Nano), step.Meta.Actor, step.Meta.Role,
			step.EffectiveAt.UTC().Format(time.RFC3339Nano), data, step.Hash, c.after(&step))
		return err
	})
	if err == nil && shown == 0 { // or it would look as if nothing had been read
		fmt.Fprintf(m.Stderr, "account %s has events, and none within --at, --known-at and --revision\n", c.Account)
	}
	return err
}

// after is what the account had after an event. With --at events are left out on which the
// others rest: debt may be paid and not made. What is left has a sum, and nothing else.
func (c *replayCmd) after(step *audit.Step) string {
	a := step.After
	balance := fmt.Sprintf("balance %s (%s)", a.Balance, signed(step.Amount.String()))
	if !c.At.at.IsZero() {
		return balance
	}
	return fmt.Sprintf("%s, available %s, reserved %s, withdrawing %s, debt %s, spendable %s",
		balance, a.Available, a.Reserved, a.Withdrawing, a.Debt, a.Spendable)
}

// openKeys takes the keyring from the cluster, where its secret is given.
func (c *replayCmd) openKeys(s *evidence) error {
	if c.KeyringSecret == "" {
		return nil
	}
	if c.EventStore == "" {
		return usagef("--keyring-secret needs --eventstore")
	}
	secret, err := readKeyringSecret(c.KeyringSecret)
	if err != nil {
		return err
	}
	keys, err := keyring.NewLogKeys(s.Store, secret, keyring.Options{})
	if err != nil {
		return err
	}
	s.sealer = keyring.NewSealer(keys, 1)
	return nil
}

// signed shows that a figure is a change.
func signed(amount string) string {
	if amount[0] == '-' {
		return amount
	}
	return "+" + amount
}
