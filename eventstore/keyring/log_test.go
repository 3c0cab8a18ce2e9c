package keyring_test

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/keyring"
	"iocredits/eventstore/pebblestore"
)

func newLog(t *testing.T) eventstore.Store {
	t.Helper()
	s, err := pebblestore.Open("log", pebblestore.Options{FS: vfs.NewMem(), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func logKeys(t *testing.T, s eventstore.Store) *keyring.LogKeys {
	t.Helper()
	k, err := keyring.NewLogKeys(s, [32]byte{1, 2, 3}, keyring.Options{})
	require.NoError(t, err)
	return k
}

func TestLogKeysLiveAndEnd(t *testing.T) {
	ctx, log := context.Background(), newLog(t)
	one, two := logKeys(t, log), logKeys(t, log)
	_, status, err := one.Find(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, keyring.None, status)
	require.NoError(t, one.Destroy(ctx, "a"), "without a key it does nothing")
	first, err := one.Key(ctx, "a")
	require.NoError(t, err)
	require.EqualValues(t, 1, first.Generation)
	again, err := two.Key(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, first, again, "engines share a key")

	require.NoError(t, two.Destroy(ctx, "a"))
	found, status, err := one.Find(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, keyring.Destroyed, status)
	require.Equal(t, keyring.Key{Generation: 1}, found)
	second, err := one.Key(ctx, "a")
	require.NoError(t, err)
	require.EqualValues(t, 2, second.Generation)
	require.NotEqual(t, first.Secret, second.Secret)
	_, err = one.Key(ctx, strings.Repeat("a", 129))
	require.ErrorIs(t, err, keyring.ErrInvalidAccount)
}

// Erasure is real: the cluster keeps the newest event of the stream, which has
// no secret, and the stream is bounded before it gets one. What the log has is wrapped.
func TestLogKeysErase(t *testing.T) {
	ctx, log := context.Background(), newLog(t)
	k := logKeys(t, log)
	key, err := k.Key(ctx, "a")
	require.NoError(t, err)
	require.NoError(t, k.Destroy(ctx, "a"))
	var all []eventstore.Recorded
	for r, err := range log.ReadAll(ctx, 0, eventstore.Forwards, 100) {
		require.NoError(t, err)
		require.NotContains(t, string(r.Data), string(key.Secret[:8]))
		all = append(all, r)
	}
	require.Len(t, all, 3)
	require.Equal(t, "$$keyring-a", all[0].Stream)
	require.JSONEq(t, `{"$maxCount":1}`, string(all[0].Data))
	require.JSONEq(t, `{"generation":1}`, string(all[2].Data))
	other, err := keyring.NewLogKeys(log, [32]byte{9}, keyring.Options{})
	require.NoError(t, err)
	_, err = k.Key(ctx, "b")
	require.NoError(t, err)
	_, err = other.Key(ctx, "b")
	require.ErrorIs(t, err, keyring.ErrKeyMissing, "another engine's wrapping secret is no reason to make a second key")
}

// Many engines make the key of one account at once: all get the same.
func TestLogKeysRace(t *testing.T) {
	log := newLog(t)
	var wg sync.WaitGroup
	keys := make([]keyring.Key, 8)
	for i := range keys {
		k := logKeys(t, log)
		wg.Go(func() {
			key, err := k.Key(context.Background(), "a")
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	wg.Wait()
	for _, key := range keys {
		require.Equal(t, keys[0], key)
	}
}

// A file's keys move to the log, and texts that were sealed before still open.
func TestLogKeysImport(t *testing.T) {
	ctx, log := context.Background(), newLog(t)
	file, err := keyring.Open(t.TempDir(), keyring.Options{})
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	before := keyring.NewSealer(file, 0)
	for _, account := range []string{"erased", "live", "renewed"} {
		_, err := before.Seal(ctx, account, "first")
		require.NoError(t, err)
	}
	require.NoError(t, before.Destroy(ctx, "erased"))
	require.NoError(t, before.Destroy(ctx, "renewed"))
	sealed, err := before.Seal(ctx, "renewed", "second")
	require.NoError(t, err)

	k := logKeys(t, log)
	require.Equal(t, []string{"erased", "live", "renewed"}, file.Accounts())
	for range 2 { // the second time it is all there
		for _, account := range file.Accounts() {
			key, status, err := file.Find(ctx, account)
			require.NoError(t, err)
			require.NoError(t, k.Import(ctx, account, key, status, mayEnd))
		}
	}
	after := keyring.NewSealer(k, 0)
	text, err := after.Open(ctx, "renewed", sealed)
	require.NoError(t, err)
	require.Equal(t, "second", text)
	_, status, err := k.Find(ctx, "erased")
	require.NoError(t, err)
	require.Equal(t, keyring.Destroyed, status)
	require.ErrorContains(t, k.Import(ctx, "live", keyring.Key{Generation: 1}, keyring.Live, mayEnd), "another one")
}
