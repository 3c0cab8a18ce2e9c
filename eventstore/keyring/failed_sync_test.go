package keyring

import (
	"bytes"
	"errors"
	"testing"
)

var errSync = errors.New("input/output error")

// cachedDisk is a file as an operating system has it: what was written is read, and after
// a sync that failed no other sync writes it to the disk.
type cachedDisk struct {
	now, durable []byte
	written      [][2]int
	fails        bool
}

func (d *cachedDisk) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(d.now).ReadAt(p, off)
}

func (d *cachedDisk) WriteAt(p []byte, off int64) (int, error) {
	end := int(off) + len(p)
	d.resize(max(end, len(d.now)))
	d.written = append(d.written, [2]int{int(off), end})
	return copy(d.now[off:], p), nil
}

func (d *cachedDisk) resize(size int) {
	d.now = append(d.now[:min(size, len(d.now))], make([]byte, max(0, size-len(d.now)))...)
}

func (d *cachedDisk) Truncate(size int64) error {
	d.resize(int(size))
	return nil
}

func (d *cachedDisk) Sync() error {
	written := d.written
	d.written = nil
	if d.fails {
		return errSync
	}
	d.durable = append(d.durable[:min(len(d.now), len(d.durable))], make([]byte, max(0, len(d.now)-len(d.durable)))...)
	for _, w := range written {
		if from, to := min(w[0], len(d.now)), min(w[1], len(d.now)); from < to {
			copy(d.durable[from:to], d.now[from:to])
		}
	}
	return nil
}

func (*cachedDisk) Close() error { return nil }

// afterACut is the disk as the next power cut leaves it.
func (d *cachedDisk) afterACut() *cachedDisk {
	return &cachedDisk{now: bytes.Clone(d.durable), durable: bytes.Clone(d.durable)}
}

// reopen is a start of another process, which finds in memory what the one before left.
func reopen(t *testing.T, d *cachedDisk) *FileKeys {
	t.Helper()
	d.fails = false
	k, err := openFile(d, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestKeysOfAFailedSync: the next start reads them, though they are on no disk. Whoever
// gets one then has one that a power cut doesn't take.
func TestKeysOfAFailedSync(t *testing.T) {
	d := &cachedDisk{}
	k := reopen(t, d)
	old := mustKey(t, k, "old")
	d.fails = true
	b := &batch{}
	if err := k.writeKeys(b, []string{"a", "b", "c"}); !errors.Is(err, errSync) {
		t.Fatalf("keys without a sync: %v", err)
	}
	k = reopen(t, d)
	want := map[string]Key{"old": old}
	for _, account := range []string{"a", "b", "c", "new"} {
		want[account] = mustKey(t, k, account)
	}
	k = reopen(t, d.afterACut())
	for account, key := range want {
		if got, status, err := k.Find(t.Context(), account); got != key || status != Live || err != nil {
			t.Errorf("%s: status %v, %v", account, status, err)
		}
	}
}

// TestDestroyAfterAFailedSync: the next start finds the key ended, and so it is on the disk
// once the account has got another key, or whoever repeats it is answered.
func TestDestroyAfterAFailedSync(t *testing.T) {
	for name, next := range map[string]func(*testing.T, *cachedDisk){
		"the account is used": func(t *testing.T, d *cachedDisk) { mustKey(t, reopen(t, d), "a") },
		"it is repeated": func(t *testing.T, d *cachedDisk) {
			if err := reopen(t, d).Destroy(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
		},
		"it is repeated in a copy": func(t *testing.T, d *cachedDisk) {
			found, err := scanFile(d)
			if err != nil {
				t.Fatal(err)
			}
			d.fails = false
			k := &FileKeys{f: d, accounts: found.accounts, slots: found.slots, onFail: func(error) {}}
			if err := k.Destroy(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := &cachedDisk{}
			k := reopen(t, d)
			key := mustKey(t, k, "a")
			mustKey(t, k, "b")
			d.fails = true
			if err := k.Destroy(t.Context(), "a"); !errors.Is(err, errSync) {
				t.Fatalf("destroy without a sync: %v", err)
			}
			next(t, d)
			d = d.afterACut()
			got, status, err := reopen(t, d).Find(t.Context(), "a")
			if err != nil || status == Live && got.Generation != 2 {
				t.Errorf("status %v of %v, %v", status, got, err)
			}
			if bytes.Contains(d.now, key.Secret[:]) {
				t.Error("the key is on the disk")
			}
		})
	}
}
