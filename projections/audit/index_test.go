package audit_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"

	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/pebblestore"
	"iocredits/eventstore/reactor"
	"iocredits/projections/audit"
)

// entryKey is the key of an entry of the index.
func entryKey(stream string, revision uint64) []byte {
	k := binary.BigEndian.AppendUint16([]byte{'s'}, uint16(len(stream)))
	return binary.BigEndian.AppendUint64(append(k, stream...), revision)
}

// indexOf opens the index of a copy of the company's log, to be changed.
func (c *company) indexOf(change func(*pebble.DB)) *pebblestore.Store {
	c.t.Helper()
	dir := filepath.Join(c.t.TempDir(), "log")
	require.NoError(c.t, c.store.Checkpoint(dir))
	// Opened to be written, the copy folds all entries into the database.
	store, err := pebblestore.Open(dir, pebblestore.Options{Logger: quiet()})
	require.NoError(c.t, err)
	require.NoError(c.t, store.Close())
	db, err := pebble.Open(filepath.Join(dir, "index"), &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: silent{}})
	require.NoError(c.t, err)
	change(db)
	require.NoError(c.t, db.Close())
	store, err = pebblestore.Open(dir, pebblestore.Options{Logger: quiet(), ReadOnly: true})
	require.NoError(c.t, err)
	c.t.Cleanup(func() { _ = store.Close() })
	return store
}

// first gives the first entry of a stream.
func first(t *testing.T, db *pebble.DB, stream string) (key, value []byte) {
	t.Helper()
	key = entryKey(stream, 0)
	value, closer, err := db.Get(key)
	require.NoError(t, err)
	value = bytes.Clone(value)
	require.NoError(t, closer.Close())
	return key, value
}

func lines(found []audit.Finding) (text []string) {
	for _, f := range found {
		text = append(text, f.String())
	}
	return text
}

// TestTheIndexIsHeldToTheLog: an engine takes an account for a new one if the index has
// nothing of it, and nobody who reads by position notices.
func TestTheIndexIsHeldToTheLog(t *testing.T) {
	c := noticed(t)
	_, err := reactor.Claims{Store: c.store}.Claim(bg, "pay-1", reactor.Claim{Account: "a:0"})
	require.NoError(t, err)
	c.must("a:0", account.GrantIncentive{Amount: credit})
	for name, row := range map[string]struct {
		harm func(*pebble.DB)
		want []string
	}{
		"nothing": {func(*pebble.DB) {}, nil},
		"an account is gone": {
			func(db *pebble.DB) { require.NoError(t, db.Delete(entryKey("account-a:1", 0), nil)) },
			[]string{`index account=a:1 revision=0 position=`, `found="no entry"`},
		},
		"notices are gone": {
			func(db *pebble.DB) { require.NoError(t, db.Delete(entryKey("notices-a:0", 0), nil)) },
			[]string{`index "notices" account=a:0 revision=0 position=`, `found="no entry"`},
		},
		"a claim is gone": {
			func(db *pebble.DB) { require.NoError(t, db.Delete(entryKey("claim-pay-1", 0), nil)) },
			[]string{`index "claim-pay-1" account=- revision=0 position=`, `found="no entry"`},
		},
		"the end of an account is cut off": {
			func(db *pebble.DB) {
				key, value := first(t, db, "account-a:0")
				require.NoError(t, db.Set(key, value[:5], nil)) // positions, a byte each at first
			},
			[]string{`index account=a:0 revision=5 position=`, `found="no entry"`},
		},
		"another event's position": {
			func(db *pebble.DB) {
				key, value := first(t, db, "account-a:0")
				value[5]++ // how far it is from the one before
				require.NoError(t, db.Set(key, value, nil))
			},
			[]string{`index account=a:0 revision=5 position=`, `expected="position `, `record is of`},
		},
		"an account that never was": {
			func(db *pebble.DB) { require.NoError(t, db.Set(entryKey("account-b", 0), []byte{3}, nil)) },
			[]string{`index account=b revision=0 position=3 expected="no entry" found="position 3"`},
		},
		"an entry twice": {
			func(db *pebble.DB) {
				all := c.log()
				last := all[len(all)-1]
				again := binary.AppendUvarint(nil, uint64(last.Position))
				require.NoError(t, db.Set(entryKey(last.Stream, uint64(last.Revision)), again, nil))
			},
			[]string{`index account=- revision=- position=`, `expected="one entry for each event"`},
		},
		"an entry that can't be read": {
			func(db *pebble.DB) { require.NoError(t, db.Set(entryKey("account-a:1", 0), []byte{0}, nil)) },
			[]string{`index "file"`, `index entry is damaged`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := c.indexOf(row.harm)
			_, found := verify(t, audit.Source{Store: store}, nil)
			if row.want == nil {
				require.Empty(t, lines(found))
				return
			}
			require.NotEmpty(t, found)
			for _, want := range row.want {
				require.Contains(t, lines(found)[0], want)
			}
		})
	}
}

// TestDiffFindsWhatTheIndexLost: an account of which the read models have more.
func TestDiffFindsWhatTheIndexLost(t *testing.T) {
	c := played(t, 60)
	views := c.copied()
	store := c.indexOf(func(db *pebble.DB) { require.NoError(t, db.Delete(entryKey("account-a:1", 0), nil)) })
	_, found := diff(t, audit.Source{Store: store, Views: views}, "a:1")
	require.Len(t, found, 1)
	require.Contains(t, found[0], `index account=a:1 revision=0`)
	require.Contains(t, found[0], `as the read models have them" found="no entry"`)
	store = c.indexOf(func(db *pebble.DB) {
		key, value := first(t, db, "account-a:0")
		require.NoError(t, db.Set(key, value[:5], nil))
	})
	_, found = diff(t, audit.Source{Store: store, Views: views}, "a:0")
	require.Equal(t, 1, len(found), "%.500q", found)
	require.Contains(t, found[0], `index account=a:0 revision=5`)
}

// forgeSnapshot changes a snapshot, checksum and all.
func forgeSnapshot(t *testing.T, db *pebble.DB, stream string, change func([]byte) []byte) {
	t.Helper()
	key := append([]byte{'p'}, stream...)
	value, closer, err := db.Get(key)
	require.NoError(t, err)
	forged := change(bytes.Clone(value))
	require.NoError(t, closer.Close())
	table := crc32.MakeTable(crc32.Castagnoli)
	crc := crc32.Update(crc32.Checksum(make([]byte, 8), table), table, forged[4:])
	binary.BigEndian.PutUint32(forged, crc)
	require.NoError(t, db.Set(key, forged, nil))
}

// TestSnapshotsAreHeldToTheFold: an engine begins with one and reads nothing before it.
func TestSnapshotsAreHeldToTheFold(t *testing.T) {
	c := newCompany(t)
	require.NoError(t, c.Close(bg))
	c.Ledger = ledger.New(ledger.Options{
		Store: c.store, Snapshots: c.store, Codec: codec, Names: c.views, Clock: func() time.Time { return c.now }, Logger: quiet(), IdleSnapshot: 1,
	})
	c.must("a:0", account.RecordPurchase{Purchase: "first", Amount: 7331 * credit})
	require.NoError(t, c.Close(bg)) // which saves
	unharmed := func([]byte) []byte { return nil }
	for name, row := range map[string]struct {
		harm func([]byte) []byte
		want []string
	}{
		"kept": {unharmed, nil},
		"raised": {
			func(b []byte) []byte {
				return replaced(b, `"FreePurchased":"7331"`, `"FreePurchased":"9331"`)
			},
			[]string{`snapshot "FreePurchased" account=a:0 revision=0 position=1 expected="\"7331\"" found="\"9331\""`},
		},
		"with a lot more": {
			func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("7331"), []byte("9331")) },
			[]string{`snapshot "Cash"`, `snapshot "FreePurchased"`, `snapshot "Lots"`, `snapshot "Paid"`, `snapshot "Purchases"`},
		},
		"of another log": {
			func(b []byte) []byte {
				at := bytes.Index(b, []byte(`"Hash":"`)) + len(`"Hash":"`)
				copy(b[at:], "0000000000000000")
				return b
			},
			[]string{`snapshot "Hash" account=a:0 revision=0 position=1`},
		},
		"cut off": {
			func(b []byte) []byte { return b[:len(b)-1] },
			[]string{`snapshot account=a:0 revision=- position=0 expected="a whole snapshot" found="snapshot is damaged`},
		},
		"of an older fold": {
			func(b []byte) []byte {
				return replaced(bytes.ReplaceAll(b, []byte("7331"), []byte("9331")), "ledger/1", "ledger/0")
			}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := c.indexOf(func(db *pebble.DB) {
				if name != "kept" {
					forgeSnapshot(t, db, eventstore.AccountStream("a:0"), row.harm)
				}
			})
			_, found := verify(t, audit.Source{Store: store}, nil)
			require.Len(t, found, len(row.want), "%q", lines(found))
			for i, want := range row.want {
				require.Contains(t, lines(found)[i], want)
			}
			_, one := diff(t, audit.Source{Store: store}, "a:0")
			require.Equal(t, lines(found), one)
		})
	}
}
