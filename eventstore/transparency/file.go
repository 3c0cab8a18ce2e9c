package transparency

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"iocredits/eventstore"
	"iocredits/eventstore/disk"
)

// Signed is a checkpoint as it is kept.
type Signed struct {
	// At is when it was signed, by the signer's clock.
	At time.Time `json:"at"`
	// Position of the last event under it.
	Position eventstore.Position `json:"position"`
	Head
	Checkpoint string `json:"checkpoint"`
}

// fileName within the folder: one JSON object a line, oldest first.
const fileName = "checkpoints.ndjson"

// File keeps signed checkpoints for ever. It only ever appends, and a checkpoint
// is durable before anybody gets it.
type File struct {
	mu sync.Mutex
	f  handle
	// end is where the last checkpoint ends: 0, there is none. Up to there nothing changes.
	end  int64
	last Signed
	// failed: a sync whose outcome is unknown. Nothing is appended after it.
	failed error
}

// handle is what a File needs of an open file; tests cut the power of theirs.
type handle interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	Sync() error
}

// OpenFile opens the checkpoints in dir, which it makes (mode 0700) if need be. A
// last line that a crash left broken was never given out, and is cut off. The others
// aren't looked at: there may be millions.
func OpenFile(dir string) (*File, error) {
	if err := disk.MakeDir(dir); err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, fileName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	c := &File{f: f}
	info, err := f.Stat()
	if err == nil {
		err = c.open(info.Size())
	}
	if err == nil {
		err = disk.SyncDir(dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("checkpoints %s: %w", dir, err), f.Close())
	}
	return c, nil
}

// open finds the newest checkpoint and makes it durable. It is written again: a process
// before this one may have failed to sync it. Then it can be read, and no sync alone would
// bring it to the disk.
func (c *File) open(size int64) (err error) {
	if c.last, c.end, err = lastSigned(c.f, size); err != nil {
		return err
	}
	if c.end > 0 {
		line, start, err := lineAround(c.f, 0, c.end-1, c.end)
		if err != nil {
			return err
		}
		if _, err := c.f.WriteAt(line, start); err != nil {
			return err
		}
	}
	return errors.Join(c.f.Truncate(c.end), c.f.Sync())
}

// ReadFile yields the checkpoints in dir, oldest first, and writes nothing: for
// a store that belongs to somebody else. No folder: no checkpoints.
func ReadFile(dir string, visit func(Signed) error) error {
	f, err := os.Open(filepath.Join(dir, fileName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("checkpoints: %w", err)
	}
	defer func() { _ = f.Close() }()
	return scanSigned(f, visit)
}

// scanSigned reads whole lines. The last line may be cut short, or have zeros where a
// page of it didn't reach the disk.
func scanSigned(f io.Reader, visit func(Signed) error) error {
	in := bufio.NewReader(f)
	var at int64
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read checkpoints: %w", err)
		}
		s, err := parseLine(line, at)
		if err != nil {
			if _, more := in.Peek(1); errors.Is(more, io.EOF) && bytes.IndexByte(line, 0) >= 0 {
				return nil
			}
			return err
		}
		if err := visit(s); err != nil {
			return err
		}
		at += int64(len(line))
	}
}

// Append keeps a checkpoint, durably. One that the disk had no room for is cut off again,
// and the next may fit; after any other failure nothing is kept any more.
func (c *File) Append(s Signed) error {
	line, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode checkpoint: %w", err)
	}
	line = append(line, '\n')
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return c.failed
	}
	if _, err = c.f.WriteAt(line, c.end); err != nil {
		err = fmt.Errorf("keep checkpoint: %w", err)
		if c.f.Truncate(c.end) != nil || c.f.Sync() != nil { // or a power cut could mix it with the next
			c.failed = err
		}
		return err
	}
	if err = c.f.Sync(); err != nil {
		c.failed = fmt.Errorf("keep checkpoint: %w", err)
		return c.failed
	}
	c.end += int64(len(line))
	c.last = s
	return nil
}

// Last is the newest checkpoint; false if there is none.
func (c *File) Last() (Signed, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last, c.end > 0
}

// Covering is the oldest checkpoint of a tree with at least size leaves; false
// if there is none.
func (c *File) Covering(size uint64) (Signed, bool, error) {
	c.mu.Lock()
	end, last := c.end, c.last
	c.mu.Unlock()
	if end == 0 || last.Size < size {
		return Signed{}, false, nil
	}
	return covering(c.f, size, end)
}

// Close closes the file.
func (c *File) Close() error { return c.f.Close() }
