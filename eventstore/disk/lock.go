package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrLocked: somebody holds the lock, this process or another.
var ErrLocked = errors.New("in use by another process")

// Lock holds a file, which it makes (mode 0600) if need be, until the lock is closed, or
// the process ends however it ends.
// Error: ErrLocked; any other keeps everybody from it.
func Lock(name string) (io.Closer, error) {
	name, err := filepath.Abs(name) // within a process the lock goes by the name
	if err != nil {
		return nil, err
	}
	// Pebble would make the file readable by all. Only a new one is opened here: to close a
	// locked file ends the process's lock.
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	lock, err := vfs.Default.Lock(name)
	var number syscall.Errno // where another process has it, EAGAIN; none where this one has
	switch {
	case err == nil:
		return lock, nil
	case errors.As(err, &number) && number != syscall.EAGAIN:
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return nil, ErrLocked
}
