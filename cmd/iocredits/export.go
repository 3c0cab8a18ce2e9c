package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"

	"iocredits/eventstore"
	"iocredits/projections/audit"
)

type exportCmd struct {
	sourceFlags
	Format string `help:"hledger, csv or ndjson." enum:"hledger,csv,ndjson" default:"hledger"`
	Out    string `help:"File to write, with its manifest beside it; an existing one is continued. Standard output without it." env:"-" placeholder:"FILE"`
}

// Run writes the journal of the whole log.
func (c *exportCmd) Run(ctx context.Context, m *Main) (err error) {
	if err := checkFolder("--out", c.Out); err != nil {
		return err
	}
	s, err := c.open(ctx, m)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	head, err := s.Store.Head(ctx)
	if err != nil {
		return err
	}
	bar := newBar(m.Stderr, int(head), "events")
	progress := func(through, _ eventstore.Position) { _ = bar.Set(int(through)) }
	defer func() { _ = bar.Exit() }()
	if c.Out != "" {
		manifest, err := audit.ExportFile(ctx, s.Source, c.Format, c.Out, progress)
		if errors.Is(err, audit.ErrOther) {
			return &usageError{err}
		}
		if err != nil {
			return err
		}
		if manifest.Removed > 0 {
			why := "left there when it was cut short"
			if manifest.Foreign {
				why = "which were no part of the export"
			}
			fmt.Fprintf(m.Stderr, "%s: removed %d bytes behind its end in the manifest, %s\n", c.Out, manifest.Removed, why)
		}
		_, err = fmt.Fprintf(m.Stdout, "%d events up to position %d, %d bytes, SHA-256 %s\n",
			manifest.Events, manifest.Through, manifest.Bytes, manifest.SHA256)
		return err
	}
	out := bufio.NewWriter(m.Stdout)
	manifest, err := audit.Export(ctx, s.Source, c.Format, out, progress)
	if flushed := out.Flush(); err == nil { // after an error it is the same one
		err = flushed
	}
	if err != nil {
		return err
	}
	text, err := json.Marshal(manifest)
	if err == nil {
		_, err = fmt.Fprintf(m.Stderr, "%s\n", text)
	}
	return err
}
