package keyring

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"iocredits/eventstore/disk"
)

func mustOpen(t require, d *crashDisk) *FileKeys {
	t.Helper()
	k, err := openFile(d, Options{})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return k
}

type require interface {
	Helper()
	Fatalf(format string, args ...any)
}

func mustKey(t require, k Keys, account string) Key {
	t.Helper()
	key, err := k.Key(context.Background(), account)
	if err != nil {
		t.Fatalf("key of %s: %v", account, err)
	}
	return key
}

var tenAccounts = strings.Split("0123456789", "")

// known is what was acknowledged of an account.
type known struct {
	key    Key
	status Status
}

func TestNothingAcknowledgedIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		d := &crashDisk{}
		k := mustOpen(t, d)
		acked := map[string]known{}
		for range rapid.IntRange(1, 12).Draw(t, "rounds") {
			cut := rapid.IntRange(0, 3).Draw(t, "cut after syncs")
			cutting := false
			d.onSync = func() error {
				if cut == 0 {
					cutting = true
				}
				if cutting {
					return errPower
				}
				cut--
				return nil
			}
			maybe := map[string]bool{}
			for range rapid.IntRange(0, 4).Draw(t, "ops") {
				if rapid.Bool().Draw(t, "destroy") {
					destroySome(t, k, acked, maybe)
				} else {
					useSome(t, k, acked, maybe)
				}
			}
			d = d.crash(rng)
			for range rapid.IntRange(0, 2).Draw(t, "cuts while opening") {
				d.onSync = func() error { return errPower }
				if _, err := openFile(d, Options{}); !errors.Is(err, errPower) {
					t.Fatalf("open without power: %v", err)
				}
				d = d.crash(rng)
			}
			k = mustOpen(t, d)
			checkAcked(t, k, d, acked, maybe)
		}
	})
}

func useSome(t *rapid.T, k *FileKeys, acked map[string]known, maybe map[string]bool) {
	accounts := rapid.SliceOfNDistinct(rapid.SampledFrom(tenAccounts), 1, 8, rapid.ID).Draw(t, "use")
	// Not through Key: how callers fall into batches would differ in each run.
	b := &batch{}
	err := k.writeKeys(b, accounts)
	for i, account := range accounts {
		before := acked[account]
		switch {
		case err != nil:
			maybe[account] = true
		case before.status == Live && !maybe[account] && b.keys[i] != before.key:
			t.Fatalf("account %s got another key", account)
		default:
			acked[account] = known{b.keys[i], Live}
		}
	}
}

func destroySome(t *rapid.T, k *FileKeys, acked map[string]known, maybe map[string]bool) {
	account := rapid.SampledFrom(tenAccounts).Draw(t, "account")
	before := acked[account]
	switch err := k.Destroy(context.Background(), account); {
	case err != nil:
		maybe[account] = true
	case before.status == Live:
		acked[account] = known{before.key, Destroyed}
	}
}

func checkAcked(t *rapid.T, k *FileKeys, d *crashDisk, acked map[string]known, maybe map[string]bool) {
	for _, account := range tenAccounts {
		key, status, err := k.Find(context.Background(), account)
		if err != nil {
			t.Fatalf("find %s: %v", account, err)
		}
		was := acked[account]
		hadSecret := was.key.Secret != [secretSize]byte{}
		if was.status == Destroyed && hadSecret && bytes.Contains(d.now, was.key.Secret[:]) {
			t.Fatalf("account %s: destroyed secret is still on the disk", account)
		}
		same := status == was.status && key.Generation == was.key.Generation &&
			(status != Live || key == was.key)
		if !same && !maybe[account] {
			t.Fatalf("account %s: %v (%v) became %v (%v)", account, was.status, was.key, status, key)
		}
		if key.Generation < was.key.Generation || was.status == Destroyed && status == Live && key.Generation == was.key.Generation {
			t.Fatalf("account %s went back from %v to %v", account, was.key, key)
		}
		if !same {
			acked[account] = known{key, status}
		}
	}
}

func TestFirstUsesShareSyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const accounts = 10_000
		d := &crashDisk{}
		k := mustOpen(t, d)
		gate := make(chan struct{})
		d.onSync = func() error { <-gate; return nil }
		before := d.syncs
		var wg sync.WaitGroup
		for n := range accounts {
			wg.Go(func() { mustKey(t, k, fmt.Sprint(n)) })
			if n == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		close(gate)
		wg.Wait()
		// The first alone, then the rest in batches of maxBatch.
		if got, want := d.syncs-before, 1+(accounts-1+maxBatch-1)/maxBatch; got != want {
			t.Errorf("%d syncs for %d accounts, want %d", got, accounts, want)
		}
		k = mustOpen(t, d)
		for n := range accounts {
			if _, status, err := k.Find(t.Context(), fmt.Sprint(n)); status != Live || err != nil {
				t.Fatalf("account %d: %v, %v", n, status, err)
			}
		}
	})
}

func TestOneAccountRacedForGetsOneKey(t *testing.T) {
	k := mustOpen(t, &crashDisk{})
	keys := make([]Key, 64)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() { keys[i] = mustKey(t, k, "same") })
	}
	wg.Wait()
	for _, key := range keys {
		if key != keys[0] || key.Generation != 1 {
			t.Fatal("two keys for one account")
		}
	}
}

func TestDamageIsFound(t *testing.T) {
	build := func() *crashDisk {
		d := &crashDisk{}
		k := mustOpen(t, d)
		for n := range 4 {
			mustKey(t, k, fmt.Sprint("account-", n)) // one batch each
		}
		return d
	}
	cases := []struct {
		name   string
		damage func(b []byte) []byte
		bad    bool
	}{
		{"none", func(b []byte) []byte { return b }, false},
		{"a bit of a secret", func(b []byte) []byte { b[recordSize+secretOffset] ^= 1; return b }, true},
		{"a bit of the last record", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, true},
		{"a synced record zeroed", func(b []byte) []byte { clear(b[recordSize : 2*recordSize]); return b }, true},
		{"the first record zeroed", func(b []byte) []byte { clear(b[:recordSize]); return b }, true},
		{"a record twice", func(b []byte) []byte { return append(b, b[:recordSize]...) }, true},
		{"two records swapped", func(b []byte) []byte {
			return append(append(bytes.Clone(b[recordSize:2*recordSize]), b[:recordSize]...), b[2*recordSize:]...)
		}, true},
		{"a torn tail", func(b []byte) []byte { return append(b, 1, 2, 3) }, false},
		{"zeros at the end", func(b []byte) []byte { return append(b, make([]byte, 700)...) }, false},
		{"another file", func([]byte) []byte { return bytes.Repeat([]byte("not a keyring"), 100) }, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := build()
			d.now = c.damage(d.now)
			k, err := openFile(d, Options{})
			if (err != nil) != c.bad {
				t.Fatalf("open: %v", err)
			}
			if err != nil {
				return
			}
			if len(d.now) != 4*recordSize {
				t.Errorf("file has %d bytes after repair", len(d.now))
			}
			mustKey(t, k, "account-4")
			mustKey(t, mustOpen(t, d), "account-0")
		})
	}
}

func TestHoleOfTornBatchIsFilled(t *testing.T) {
	d := &crashDisk{}
	k := mustOpen(t, d)
	mustKey(t, k, "before")
	b := &batch{index: map[string]int{}}
	if err := k.writeKeys(b, []string{"a", "b", "c"}); err != nil {
		t.Fatal(err)
	}
	clear(d.now[2*recordSize : 3*recordSize])
	k = mustOpen(t, d)
	if _, status, _ := k.Find(t.Context(), "b"); status != None {
		t.Fatalf("b is %v", status)
	}
	mustKey(t, k, "after")
	k = mustOpen(t, d)
	for _, account := range []string{"before", "a", "c", "after"} {
		if _, status, err := k.Find(t.Context(), account); status != Live || err != nil {
			t.Errorf("%s: %v, %v", account, status, err)
		}
	}
	clear(d.now[2*recordSize : 3*recordSize])
	if _, err := openFile(d, Options{}); err == nil {
		t.Error("a zeroed void after a later batch passed")
	}
}

func TestFullDiskIsPassing(t *testing.T) {
	d := &crashDisk{}
	k := mustOpen(t, d)
	mustKey(t, k, "old")
	full := errors.New("no space left on device")
	d.onWrite = func() error { return full }
	if _, err := k.Key(t.Context(), "new"); !errors.Is(err, full) || !errors.Is(err, ErrUnavailable) {
		t.Fatalf("key on a full disk: %v", err)
	}
	if len(d.now) != recordSize {
		t.Errorf("half a record is left: %d bytes", len(d.now))
	}
	d.onWrite = nil
	want := mustKey(t, k, "new")
	if got := mustKey(t, mustOpen(t, d), "new"); got != want {
		t.Error("key changed over a restart")
	}
}

// TestPowerCutAfterAFullDisk: of a batch that was cut off nothing is left that the next
// one could be mixed with, though some of it had come to the disk.
func TestPowerCutAfterAFullDisk(t *testing.T) {
	for seed := range uint64(32) {
		d := &crashDisk{early: true}
		k := mustOpen(t, d)
		old := mustKey(t, k, "old")
		full := errors.New("no space left on device")
		d.onWrite = func() error { return full }
		b := &batch{index: map[string]int{}}
		if err := k.writeKeys(b, []string{"a", "b", "c", "d"}); !errors.Is(err, full) {
			t.Fatalf("keys on a full disk: %v", err)
		}
		d.onWrite = nil
		var left *crashDisk
		d.onSync = func() error {
			left = d.crash(rand.New(rand.NewPCG(seed, 1)))
			return errPower
		}
		if _, err := k.Key(t.Context(), "b"); !errors.Is(err, errPower) {
			t.Fatalf("key: %v", err)
		}
		if got := mustKey(t, mustOpen(t, left), "old"); got != old {
			t.Error("a durable key is another")
		}
	}
}

func TestFailedSyncStopsWrites(t *testing.T) {
	d := &crashDisk{}
	var told []error
	k, err := openFile(d, Options{OnFail: func(err error) { told = append(told, err) }})
	if err != nil {
		t.Fatal(err)
	}
	old := mustKey(t, k, "old")
	if k.Healthy() != nil || NewSealer(k, 0).Healthy() != nil {
		t.Error("it is not healthy")
	}
	d.onSync = func() error { return errPower }
	if _, err := k.Key(t.Context(), "new"); !errors.Is(err, errPower) || !errors.Is(err, ErrUnavailable) {
		t.Fatalf("key: %v", err)
	}
	d.onSync = nil
	if _, err := k.Key(t.Context(), "other"); !errors.Is(err, errPower) || !errors.Is(err, ErrUnavailable) {
		t.Errorf("a write after a failed sync: %v", err)
	}
	if err := k.Destroy(t.Context(), "old"); !errors.Is(err, errPower) || !errors.Is(err, ErrUnavailable) {
		t.Errorf("destroy after a failed sync: %v", err)
	}
	if got := mustKey(t, k, "old"); got != old {
		t.Error("a durable key can't be read")
	}
	if len(told) != 1 || !errors.Is(told[0], errPower) || !errors.Is(NewSealer(k, 0).Healthy(), errPower) {
		t.Errorf("told %v, healthy: %v", told, k.Healthy())
	}
}

func TestDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "keyring")
	k, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := mustKey(t, k, "account")
	for name, mode := range map[string]os.FileMode{".": 0o700, fileName: 0o600, lockName: 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != mode {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	if err := errors.Join(k.Close(), k.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Key(t.Context(), "account"); !errors.Is(err, ErrClosed) {
		t.Errorf("key after close: %v", err)
	}
	if err := k.Destroy(t.Context(), "account"); !errors.Is(err, ErrClosed) {
		t.Errorf("destroy after close: %v", err)
	}
	k, err = Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if got := mustKey(t, k, "account"); got != want {
		t.Error("key changed over a restart")
	}
}

// TestNoLock: what keeps everybody from the keyring is no lock of another's.
func TestNoLock(t *testing.T) {
	dir := t.TempDir()
	lock := filepath.Join(dir, lockName)
	if err := os.Mkdir(lock, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir, Options{})
	if err == nil || errors.Is(err, disk.ErrLocked) || !strings.Contains(err.Error(), lock+": is a directory") {
		t.Errorf("opened with a folder in place of the lock: %v", err)
	}
}

func TestKeyRefusals(t *testing.T) {
	k := mustOpen(t, &crashDisk{})
	for _, account := range []string{"", string(make([]byte, maxAccount+1))} {
		if _, err := k.Key(t.Context(), account); !errors.Is(err, ErrInvalidAccount) {
			t.Errorf("account of %d bytes: %v", len(account), err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.Key(ctx, "account"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	k.random = io.LimitReader(k.random, 10)
	if _, err := k.Key(t.Context(), "account"); err == nil {
		t.Error("a key of too little randomness")
	}
	if err := k.Destroy(t.Context(), "never seen"); err != nil {
		t.Errorf("destroy nothing: %v", err)
	}
}

func TestKeyIsNeverPrinted(t *testing.T) {
	key := Key{Generation: 3, Secret: [secretSize]byte{0xab, 0xcd, 0xef}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%d", "%q"} {
		if got := fmt.Sprintf(verb, key); got != "key generation 3" {
			t.Errorf("%s prints %s", verb, got)
		}
	}
	if got, err := json.Marshal(key); err != nil || string(got) != `{"Generation":3}` {
		t.Errorf("JSON is %s, %v", got, err)
	}
}
