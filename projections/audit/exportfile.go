package audit

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"os"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"iocredits/eventstore"
	"iocredits/eventstore/disk"
)

// counted is a writer that knows what went through it.
type counted struct {
	to    io.Writer
	hash  hash.Hash
	bytes int64
}

func newCounted(to io.Writer) *counted { return &counted{to: to, hash: sha256.New()} }

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	_, _ = c.hash.Write(p[:n]) // never fails
	c.bytes += int64(n)
	return n, err
}

func (c *counted) fill(m *Manifest) {
	m.Bytes, m.SHA256 = c.bytes, hex.EncodeToString(c.hash.Sum(nil))
}

// ManifestPath is where the manifest of a file is.
func ManifestPath(path string) string { return path + ".manifest.json" }

// ErrOther: what is in the file isn't an export that can go on.
var ErrOther = errors.New("the file is another one")

// ExportFile writes an export to a file, with its manifest beside it. If there is
// one already it goes on: behind where it was cut short, or with what has
// happened since. What is in the file is checked against the manifest first, and
// what stands behind the end that the manifest has is removed. Error: ErrOther.
func ExportFile(ctx context.Context, source Source, format, path string, progress func(through, head eventstore.Position)) (m Manifest, err error) {
	to, err := newWriter(format)
	if err != nil {
		return m, err
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return m, fmt.Errorf("export to %s: %w: an export goes on, and only in a regular file", path, ErrOther)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return m, fmt.Errorf("export: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	e := &export{Source: source, Manifest: Manifest{Format: format}, writer: to}
	counted := newCounted(f)
	if err := e.resume(ctx, f, path, counted); err != nil {
		return m, fmt.Errorf("export to %s: %w", path, err)
	}
	e.out = bufio.NewWriterSize(counted, 1<<20)
	e.keep = func() error {
		counted.fill(&e.Manifest)
		return errors.Join(f.Sync(), e.save(path))
	}
	e.Complete = false
	if counted.bytes == 0 {
		if err := e.begin(); err != nil {
			return m, fmt.Errorf("export to %s: %w", path, err)
		}
	}
	if err := e.run(ctx, progress); err != nil {
		return e.Manifest, fmt.Errorf("export to %s: %w", path, err)
	}
	e.Complete = true
	return e.Manifest, e.keep()
}

// begin writes the manifest before the first byte, so that a file which is cut short
// at any moment is known for an export; and with the head of the file again, so that it
// is soon known for this one.
func (e *export) begin() error {
	if err := e.keep(); err != nil {
		return err
	}
	if err := errors.Join(e.writer.begin(e.out), e.out.Flush()); err != nil {
		return err
	}
	return e.keep()
}

// resume takes the file to where its manifest says that it is whole.
func (e *export) resume(ctx context.Context, f *os.File, path string, counted *counted) error {
	stored, err := os.ReadFile(ManifestPath(path))
	if errors.Is(err, os.ErrNotExist) {
		if info, err := f.Stat(); err != nil || info.Size() > 0 {
			return errors.Join(err, fmt.Errorf("%w: it has content and no manifest: remove it, or choose another name", ErrOther))
		}
		return nil
	}
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(stored)) == 0 {
		return fmt.Errorf("%w: its manifest %s is empty, and nothing else says what of it is whole: remove both, or choose another name", ErrOther, ManifestPath(path))
	}
	var m Manifest
	if err := json.Unmarshal(stored, &m); err != nil {
		return fmt.Errorf("%w: manifest: %w", ErrOther, err)
	}
	if m.Format != e.Format {
		return fmt.Errorf("%w: it is an export as %s", ErrOther, m.Format)
	}
	if m.Bytes == 0 {
		if err := e.checkBeginning(ctx, f); err != nil {
			return err
		}
	}
	counted.to = io.Discard
	n, err := io.Copy(counted, io.LimitReader(f, m.Bytes))
	if err != nil {
		return err
	}
	read := m
	counted.fill(&read)
	if n != m.Bytes || read.SHA256 != m.SHA256 {
		return fmt.Errorf("%w: its first %d bytes have SHA-256 %s, the manifest says %s", ErrOther, n, read.SHA256, m.SHA256)
	}
	counted.to = f
	if err := e.remember(ctx, &m); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	m.Removed, m.Foreign = info.Size()-m.Bytes, m.Complete && info.Size() > m.Bytes
	if err := f.Truncate(m.Bytes); err != nil {
		return err
	}
	e.Manifest = m
	_, err = f.Seek(m.Bytes, io.SeekStart)
	return err
}

// remember shows the writer the events that are in the file, because what it knows of them
// is in the log alone, and refuses a log that hasn't just these up to there, as after an older
// backup was put back: the books that went on would be of no log.
func (e *export) remember(ctx context.Context, m *Manifest) error {
	var has Manifest
	err := EachLine(ctx, e.Source, eventstore.BeforeFirst, m.Through, func(l Line) error {
		has.Events, has.Last, has.LastHash = has.Events+1, l.Position, l.Hash.String()
		return e.writer.line(io.Discard, l)
	})
	if err == nil && m.Complete {
		err = e.writer.end(io.Discard)
	}
	if err != nil {
		return err
	}
	if has.Events == m.Events && has.Last == m.Last && (m.LastHash == "" || has.LastHash == m.LastHash) {
		m.LastHash = has.LastHash
		return nil
	}
	return fmt.Errorf("%w: it is of another log: it has %d events, the last at position %d with hash %s; up to position %d this log has %d, the last at %d with hash %s: choose another name",
		ErrOther, m.Events, m.Last, cmp.Or(m.LastHash, "unknown"), m.Through, has.Events, has.Last, has.LastHash)
}

// checkBeginning is for a file whose manifest has no bytes of it yet, as an NDJSON export's,
// which has no head, before its first keepEvery events. resume would remove whatever
// stands in it: so it refuses what no export of this log begins with.
func (e *export) checkBeginning(ctx context.Context, f *os.File) error {
	first, err := e.firstLine(ctx)
	if err != nil {
		return err
	}
	there := make([]byte, len(first)+1)
	n, err := f.ReadAt(there, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	there = there[:n]
	if n > len(first) {
		there = there[:len(first)]
	}
	if n > 0 && (len(first) == 0 || !bytes.HasPrefix(first, there)) {
		return fmt.Errorf("%w: its manifest is of an export that was cut short before its first bytes, and what is there isn't its beginning: remove both, or choose another name", ErrOther)
	}
	return nil
}

// firstLine is what an export begins with: its head and its first event, if there is one.
func (e *export) firstLine(ctx context.Context) ([]byte, error) {
	to, err := newWriter(e.Format)
	if err != nil {
		return nil, err
	}
	var first bytes.Buffer
	if err := to.begin(&first); err != nil {
		return nil, err
	}
	err = EachLine(ctx, e.Source, eventstore.BeforeFirst, math.MaxInt64, func(l Line) error {
		return errors.Join(to.line(&first, l), errFirst)
	})
	if errors.Is(err, errFirst) {
		err = nil
	}
	return first.Bytes(), err
}

// errFirst ends a walk through the journal behind its first line.
var errFirst = errors.New("the first line is there")

func (e *export) save(path string) error {
	b, err := json.Marshal(e.Manifest, jsontext.Multiline(true))
	if err != nil {
		return err
	}
	return disk.WriteFile(ManifestPath(path), append(b, '\n'), 0o600)
}
