package disk

import (
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrLocked: somebody holds the lock, this process or another.
var ErrLocked = errors.New("in use by another process")

// Lock holds a file, which it makes (mode 0600) if need be, until the lock is closed, or
// the process ends however it ends. MUST: name is absolute, because the lock goes by it.
// Errors: ErrLocked; an *os.PathError if the file can't be held by anybody.
func Lock(name string) (io.Closer, error) {
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
	var path *os.PathError
	var number syscall.Errno
	switch {
	case err == nil:
		return lock, nil
	case errors.As(err, &path):
		return nil, err
	case errors.As(err, &number) && number != syscall.EAGAIN && number != syscall.EACCES: // a file system without locks
		return nil, &os.PathError{Op: "lock", Path: name, Err: number}
	}
	return nil, ErrLocked
}
