package audit

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
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
	var m Manifest
	if err := json.Unmarshal(stored, &m); err != nil {
		return fmt.Errorf("%w: manifest: %w", ErrOther, err)
	}
	if m.Format != e.Format {
		return fmt.Errorf("%w: it is an export as %s", ErrOther, m.Format)
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
	info, err := f.Stat()
	if err != nil {
		return err
	}
	m.Removed, m.Foreign = info.Size()-m.Bytes, m.Complete && info.Size() > m.Bytes
	if err := f.Truncate(m.Bytes); err != nil {
		return err
	}
	if _, err := f.Seek(m.Bytes, io.SeekStart); err != nil {
		return err
	}
	// What the writer remembers of the lines before is in the log.
	err = EachLine(ctx, e.Source, m.First, m.Through, func(l Line) error { return e.writer.line(io.Discard, l) })
	if err == nil && m.Complete {
		err = e.writer.end(io.Discard)
	}
	e.Manifest = m
	return err
}

func (e *export) save(path string) error {
	b, err := json.Marshal(e.Manifest, jsontext.Multiline(true))
	if err != nil {
		return err
	}
	return disk.WriteFile(ManifestPath(path), append(b, '\n'), 0o600)
}
