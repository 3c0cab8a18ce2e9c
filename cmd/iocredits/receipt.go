package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/uuid"

	"iocredits/eventstore"
	"iocredits/eventstore/transparency"
	"iocredits/projections/audit"
)

type receiptCmd struct {
	Account string `arg:"" help:"Account of the event."`
	Event   string `arg:"" help:"Transaction id or revision."`
	sourceFlags
	Out string `help:"File to write, never overwritten; standard output without it." env:"-" placeholder:"FILE"`
}

// Run writes the receipt of an event that a signed checkpoint covers.
func (c *receiptCmd) Run(ctx context.Context, m *Main) (err error) {
	find, err := c.event()
	if err != nil {
		return err
	}
	if err := checkNew("--out", c.Out); err != nil {
		return err
	}
	s, err := c.open(ctx, m)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	event, err := find(ctx, s.Store)
	if err != nil {
		return err
	}
	receipt, err := audit.Receipt(s.Source, event)
	if err != nil {
		return err
	}
	text, err := receipt.Encode()
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if c.Out == "" {
		_, err = m.Stdout.Write(text)
		return err
	}
	return writeNew("--out", c.Out, text)
}

// event tells how the event is found that was asked for, by its id or its revision.
func (c *receiptCmd) event() (find func(context.Context, eventstore.Store) (eventstore.Recorded, error), err error) {
	if id, err := uuid.Parse(c.Event); err == nil && id.String() == strings.ToLower(c.Event) {
		return func(ctx context.Context, store eventstore.Store) (eventstore.Recorded, error) {
			return audit.EventOf(ctx, store, c.Account, id)
		}, nil
	}
	revision, err := strconv.ParseInt(c.Event, 10, 64)
	if err != nil || revision < 0 {
		return nil, usagef("%q is neither a transaction id nor a revision", c.Event)
	}
	return func(ctx context.Context, store eventstore.Store) (eventstore.Recorded, error) {
		return audit.EventAt(ctx, store, c.Account, revision)
	}, nil
}

type verifyReceiptCmd struct {
	File string `arg:"" help:"Receipt to check."`
	Key  string `help:"Public key of the signer, or its file." required:"" env:"IOCREDITS_PUBLIC_KEY" placeholder:"KEY"`
}

// Run checks a receipt with nothing else than the key: no engine, no network.
func (c *verifyReceiptCmd) Run(parsed *kong.Context, m *Main) error {
	verifier, err := readVerifier(c.Key, sourceOf(parsed, "key"))
	if err != nil {
		return err
	}
	text, err := os.ReadFile(c.File)
	if err != nil {
		return usagef("receipt: %w", err)
	}
	receipt, err := transparency.ParseReceipt(text)
	if err != nil {
		return foundf("%s is NOT valid: %w", c.File, err)
	}
	head, err := receipt.Verify(verifier)
	if err != nil {
		return foundf("%s is NOT valid: %w", c.File, err)
	}
	name, _ := eventstore.AccountOf(receipt.Stream)
	meta, err := eventstore.DecodeMetadata([]byte(receipt.Metadata))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(m.Stdout, "valid: event %d of account %s, %s\nid        %s\nrecorded  %s by %s\ndata      %s\nsigned by %s as number %d of %d events\n",
		receipt.Revision, name, receipt.Type, receipt.ID, meta.RecordedAt.Format(time.RFC3339Nano), meta.Actor, receipt.Data,
		verifier.Name(), receipt.Index+1, head.Size)
	return err
}
