package keyring

import (
	"errors"
	"io"
	"math/rand/v2"
	"sync"
)

var errPower = errors.New("power cut")

// crashDisk is a file that forgets: what was not synced survives a crash sector by
// sector, at random.
type crashDisk struct {
	mu      sync.Mutex
	durable []byte
	now     []byte
	syncs   int
	onSync  func() error // before the sync; an error means that it didn't happen
	onWrite func() error
	// early: what is there is written to the disk before it is cut off, unasked.
	early bool
}

const sector = 512

func (d *crashDisk) ReadAt(p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if off >= int64(len(d.now)) {
		return 0, io.EOF
	}
	n := copy(p, d.now[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (d *crashDisk) WriteAt(p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var err error
	if d.onWrite != nil {
		err = d.onWrite()
	}
	if err != nil {
		p = p[:len(p)/2]
	}
	if missing := int(off) + len(p) - len(d.now); missing > 0 {
		d.now = append(d.now, make([]byte, missing)...)
	}
	return copy(d.now[off:], p), err
}

func (d *crashDisk) Truncate(size int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.early {
		d.durable = append(d.durable[:0:0], d.now...)
	}
	d.now = append([]byte(nil), d.now[:min(size, int64(len(d.now)))]...)
	d.now = append(d.now, make([]byte, int(size)-len(d.now))...)
	return nil
}

func (d *crashDisk) Sync() error {
	d.mu.Lock()
	hook := d.onSync
	d.mu.Unlock()
	if hook != nil {
		if err := hook(); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.syncs++
	d.durable = append(d.durable[:0:0], d.now...)
	return nil
}

func (d *crashDisk) Close() error { return nil }

// crash gives the disk as the next process finds it.
func (d *crashDisk) crash(rng *rand.Rand) *crashDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	size := len(d.durable)
	if rng.IntN(2) == 0 {
		size = len(d.now)
	}
	left := make([]byte, size)
	for at := 0; at < size; at += sector {
		from := d.durable
		if rng.IntN(2) == 0 {
			from = d.now
		}
		if at < len(from) {
			copy(left[at:min(at+sector, size)], from[at:])
		}
	}
	return &crashDisk{durable: append([]byte(nil), left...), now: left}
}
