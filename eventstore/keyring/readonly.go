package keyring

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrReadOnly: the keyring was opened to be read only.
var ErrReadOnly = errors.New("keyring was opened to read only")

// OpenReadOnly reads the keyring in dir as it is now, beside an engine that may
// be using it: tools that show text to a person. It makes no key and takes no
// lock. A key that is made later isn't found; one that is destroyed later is
// Destroyed here too, because keys are read from the file each time.
func OpenReadOnly(dir string) (*FileKeys, error) {
	f, err := os.Open(filepath.Join(dir, fileName))
	if err != nil {
		return nil, fmt.Errorf("open keyring: %w", err)
	}
	found, err := scanFile(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open keyring %s: %w", dir, err), f.Close())
	}
	k := &FileKeys{f: f, accounts: found.accounts, slots: found.slots, failed: ErrReadOnly, beside: true}
	k.idle.L = &k.mu
	return k, nil
}

// looks is how often a record that isn't whole is read: the engine may be writing it.
const looks = 3

// endedSince tells whether the engine beside this reader has destroyed a key that was
// live when the keyring was opened. mu is held.
func (k *FileKeys) endedSince(account string, at place) bool {
	for range looks {
		if r, err := k.record(account, at); err == nil {
			return r.status == statusErased
		}
	}
	return false
}
