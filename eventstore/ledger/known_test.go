package ledger_test

import (
	"context"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/pebblestore"
)

// readModel knows the accounts that it has read, by position, until it stops.
type readModel map[string]*account.State

func (m readModel) follow(t *testing.T, r *rig) {
	t.Helper()
	clear(m)
	for rec, err := range r.store.ReadAll(t.Context(), 0, eventstore.Forwards, math.MaxInt) {
		require.NoError(t, err)
		f, err := codec.Open(rec)
		require.NoError(t, err)
		name, _ := eventstore.AccountOf(rec.Stream)
		if m[name] == nil {
			m[name] = account.New()
		}
		account.Evolve(m[name], f.Body)
	}
}

func (m readModel) known(_ context.Context, name string) (int64, account.Figures, error) {
	if s := m[name]; s != nil {
		return s.Revision, s.Figures, nil
	}
	return eventstore.NoStream, account.Figures{}, nil
}

// TestAnAccountThatIsLostIsNotANewOne: the entries of its stream are gone, and only the
// read models know that it was there.
func TestAnAccountThatIsLostIsNotANewOne(t *testing.T) {
	fs, known := vfs.NewMem(), readModel{}
	store, err := pebblestore.Open("log", pebblestore.Options{FS: fs, Logger: quiet()})
	require.NoError(t, err)
	use := func(o *ledger.Options) {
		o.Store, o.Snapshots, o.Known, o.IdleSnapshot = store, store, known.known, 1000
	}
	r := newRig(t, use)
	r.store = store
	for _, name := range []string{"a", "b"} {
		r.do(name, "1", purchase("p", 5))
	}
	known.follow(t, r)
	require.NoError(t, r.Close(t.Context()))
	require.NoError(t, store.Close())

	index, err := pebble.Open("log/index", &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatNewest})
	require.NoError(t, err)
	const lost = "account-a"
	key := binary.BigEndian.AppendUint16([]byte{'s'}, uint16(len(lost)))
	require.NoError(t, index.Delete(binary.BigEndian.AppendUint64(append(key, lost...), 0), nil))
	require.NoError(t, index.Close())
	store, err = pebblestore.Open("log", pebblestore.Options{FS: fs, Logger: quiet()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })

	r = newRig(t, use)
	r.names.advance(2)
	_, err = r.Execute(t.Context(), command("a", "2", purchase("q", 5)))
	var corrupt *eventstore.CorruptError
	require.ErrorAs(t, err, &corrupt)
	require.Contains(t, err.Error(), "the read models have events up to revision 0")
	require.EqualValues(t, 1, r.do("b", "2", deduct(1)).Revision, "the others go on")
	require.EqualValues(t, 0, r.do("new", "1", purchase("p", 1)).Revision)
}

// TestAForgedSnapshotIsNotBelieved where the read models have the account's last event.
func TestAForgedSnapshotIsNotBelieved(t *testing.T) {
	snaps, known := &shelf{saved: map[string]eventstore.Snapshot{}}, readModel{}
	r := newRig(t, func(o *ledger.Options) { o.Snapshots, o.Known, o.IdleSnapshot = snaps, known.known, 1 })
	r.do("a", "1", purchase("p", 7331))
	r.restart() // which saves
	r.do("a", "2", deduct(1))
	known.follow(t, r)
	r.names.advance(r.AckedAny())
	r.restart()
	set(snaps, "account-a", func(x *eventstore.Snapshot) { x.Data = []byte(strings.ReplaceAll(string(x.Data), "7330", "9330")) })
	require.Equal(t, 7330*credit, r.balance("a"))
	require.EqualValues(t, 2, r.do("a", "3", deduct(1)).Revision)
	r.facts("a")
}
