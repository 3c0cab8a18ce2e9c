package keyring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"iocredits/eventstore/disk"
)

// ErrNoKeyring: what was named as a copy of a keyring is none.
var ErrNoKeyring = errors.New("there is no whole keyring")

// Copy is a copy of a keyring, in which keys are destroyed and none are made.
type Copy struct {
	keys *FileKeys
	lock io.Closer
	// Dir is where it was found.
	Dir string
}

// OpenCopy opens the copy in dir, or in dir/keyring where a whole data directory was
// copied, and holds it alone until Close. Unlike Open it makes no keyring and repairs
// none: in the wrong folder both would look like success.
// Error: ErrNoKeyring; any other of the disk.
func OpenCopy(dir string) (*Copy, error) {
	if dir == "" {
		return nil, fmt.Errorf("%w: the folder has no name", ErrNoKeyring)
	}
	if _, err := os.Stat(filepath.Join(dir, folderName, fileName)); err == nil {
		dir = filepath.Join(dir, folderName)
	}
	f, err := os.OpenFile(filepath.Join(dir, fileName), os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("%w in %s: %w", ErrNoKeyring, dir, err)
	}
	found, err := scanFile(f)
	if err == nil && found.slots == 0 && found.bytes > 0 {
		err = errors.New("the file has no record of one")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w in %s: %w", ErrNoKeyring, dir, err), f.Close())
	}
	lock, err := disk.Lock(filepath.Join(dir, lockName)) // not before, because it makes a file
	if err != nil {
		return nil, errors.Join(fmt.Errorf("hold keyring %s: %w", dir, err), f.Close())
	}
	k := &FileKeys{f: f, accounts: found.accounts, slots: found.slots, onFail: func(error) {}}
	k.idle.L = &k.mu
	return &Copy{keys: k, lock: lock, Dir: dir}, nil
}

// Destroy destroys an account's key as FileKeys does, and says what it was before.
func (c *Copy) Destroy(ctx context.Context, account string) (was Status, err error) {
	if _, was, err = c.keys.Find(ctx, account); err != nil {
		return was, err
	}
	return was, c.keys.Destroy(ctx, account)
}

// Close lets go of the copy.
func (c *Copy) Close() error { return errors.Join(c.keys.Close(), c.lock.Close()) }
