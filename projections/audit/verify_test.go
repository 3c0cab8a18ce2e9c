package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/domain/journal"
	"iocredits/eventstore"
	"iocredits/eventstore/pebblestore"
	"iocredits/projections"
	"iocredits/projections/audit"
)

// played is a company with a random past and three checkpoints.
func played(t *testing.T, commands int) *company {
	t.Helper()
	c := newCompany(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	c.must("a:0", account.RecordPurchase{Purchase: "first", Amount: 100 * credit})
	for i := range 30 {
		c.must("a:0", account.Deduct{Amount: domain.Amount(1 + i), Service: domain.ServiceVM})
	}
	c.must("a:0", account.Reserve{Reservation: "first", Amount: credit, Service: domain.ServiceVM})
	for i := 1; i < accounts; i++ { // none may be refused everything
		c.must(fmt.Sprint("a:", i), account.GrantIncentive{Amount: credit})
	}
	c.sign()
	for range 2 {
		c.play(rng, commands/2)
		c.sign()
	}
	return c
}

func TestAnHonestLogHasNoFinding(t *testing.T) {
	c := played(t, 600)
	events := len(c.log())
	source := audit.Source{Store: c.store, Views: c.copied(), Checkpoints: c.checkpoints(), Verifier: c.verifier}
	summary, found := verify(t, source, nil)
	require.Empty(t, found)
	require.Equal(t, events, summary.Events)
	require.Equal(t, accounts, summary.Accounts)
	require.Equal(t, 3, summary.Checkpoints)
	require.Equal(t, 3, summary.Good)
	require.True(t, summary.ViewsCompared && summary.Signatures && !summary.Incomplete)
	require.Greater(t, summary.Rows, events)
	head, _, err := c.views.TreeHead(bg)
	require.NoError(t, err)
	require.Equal(t, head, summary.Head)
	books, err := c.views.TrialBalance(bg)
	require.NoError(t, err)
	require.Equal(t, books.Totals, summary.Totals)
	require.Equal(t, journal.Sum{}, summary.Totals.Open())

	// With room for one account the log is read again and again, to the same end.
	source.Checkpoints, source.Views = c.checkpoints(), nil
	again, found := verify(t, source, func(o *audit.Options) { o.MaxAccounts, o.Workers = 1, 2 })
	require.Empty(t, found)
	again.Rows, again.ViewsCompared = summary.Rows, true
	require.Equal(t, summary, again)
}

// forge changes the i-th event of the account whose past is known.
func forge(events []eventstore.Recorded, revision int64, change func(*eventstore.Recorded)) []eventstore.Recorded {
	forged := slices.Clone(events)
	for i := range forged {
		if forged[i].Stream == "account-a:0" && forged[i].Revision == revision {
			change(&forged[i])
		}
	}
	return forged
}

func replaced(b []byte, old, with string) []byte {
	if !bytes.Contains(b, []byte(old)) {
		panic(fmt.Sprintf("no %q in %s", old, b))
	}
	return bytes.Replace(b, []byte(old), []byte(with), 1)
}

// TestTampering has each forgery of the issue, on a log that its owner wrote anew
// record by record, checksums and positions included.
func TestTampering(t *testing.T) {
	c := played(t, 60)
	for name, row := range forgeries(t, c.log()) {
		t.Run(name, func(t *testing.T) {
			_, found := verify(t, audit.Source{Store: rewritten(t, row.log), Checkpoints: c.checkpoints(), Verifier: c.verifier}, nil)
			lines := ""
			for _, f := range found {
				lines += f.String() + "\n"
				require.NotContains(t, f.String(), "\n")
				require.Contains(t, f.String(), "expected=")
			}
			for _, want := range row.want {
				require.Contains(t, lines, want)
			}
		})
	}
}

// TestBooksThatLackAnEvent are not given out as those of all.
func TestBooksThatLackAnEvent(t *testing.T) {
	c := played(t, 60)
	log := slices.DeleteFunc(c.log(), func(r eventstore.Recorded) bool { return r.Stream == "account-a:0" && r.Revision == 3 })
	source := audit.Source{Store: rewritten(t, log), Codec: codec}
	summary, found := verify(t, source, nil)
	require.NotEmpty(t, found)
	require.True(t, summary.Incomplete)
	for account, broken := range map[string]bool{"a:0": true, "a:1": false} {
		summary, err := audit.Diff(bg, source, account, audit.Options{Logger: quiet(), Report: func(audit.Finding) {}})
		require.NoError(t, err)
		require.Equal(t, broken, summary.Incomplete)
	}
}

type forgery struct {
	log  []eventstore.Recorded
	want []string // each is in a finding
}

func forgeries(t *testing.T, events []eventstore.Recorded) map[string]forgery {
	t.Helper()
	at := func(revision int64) int {
		return slices.IndexFunc(events, func(r eventstore.Recorded) bool {
			return r.Stream == "account-a:0" && r.Revision == revision
		})
	}
	return map[string]forgery{
		"a changed byte in data": {
			forge(events, 5, func(r *eventstore.Recorded) { r.Data = replaced(r.Data, `"0.000005"`, `"0.000004"`) }),
			[]string{"event-id account=a:0 revision=5", "previous-hash account=a:0 revision=6", `checkpoint "root"`},
		},
		"a changed byte in metadata": {
			forge(events, 5, func(r *eventstore.Recorded) { r.Metadata = replaced(r.Metadata, `"tester"`, `"tastes"`) }),
			[]string{"event-id account=a:0 revision=5", "previous-hash account=a:0 revision=6", `checkpoint "root"`},
		},
		"a changed event with an id to match": {
			forge(events, 5, func(r *eventstore.Recorded) {
				r.Data = replaced(r.Data, `"0.000005"`, `"0.000004"`)
				meta, err := eventstore.DecodeMetadata(r.Metadata)
				require.NoError(t, err)
				r.ID = eventstore.EventID(r.Stream, r.Revision, r.Type, r.Data, r.Metadata, meta.Previous)
			}),
			[]string{"previous-hash account=a:0 revision=6", `checkpoint "root"`},
		},
		"a removed event": {
			slices.Delete(slices.Clone(events), at(5), at(5)+1),
			[]string{"previous-hash account=a:0 revision=5", `checkpoint "root"`},
		},
		"a swapped pair": {
			forge(forge(events, 5, func(r *eventstore.Recorded) { r.Event = events[at(6)].Event }),
				6, func(r *eventstore.Recorded) { r.Event = events[at(5)].Event }),
			[]string{"previous-hash account=a:0 revision=5", "event-id account=a:0 revision=5", `checkpoint "root"`},
		},
		"an inserted event": {
			slices.Insert(slices.Clone(events), at(6), duplicate(events[at(5)])),
			[]string{"previous-hash account=a:0 revision=6", `checkpoint "root"`},
		},
		"a truncated tail": {
			events[:len(events)-1],
			[]string{`checkpoint "truncated log"`},
		},
		"a swap between accounts, order of the log only": {
			swapAccounts(t, events),
			[]string{`checkpoint "root"`},
		},
		"an event of a type that nobody knows": {
			forge(events, 5, func(r *eventstore.Recorded) { r.Type = "gift" }),
			[]string{"decoding account=a:0 revision=5", "event-id account=a:0 revision=5"},
		},
		"data that is no event": {
			forge(events, 5, func(r *eventstore.Recorded) { r.Data = []byte(`{"amount":"1","mine":true}`) }),
			[]string{"decoding account=a:0 revision=5"},
		},
		"metadata that is none": {
			forge(events, 5, func(r *eventstore.Recorded) { r.Metadata = []byte(`[]`) }),
			[]string{"metadata account=a:0 revision=5"},
		},
	}
}

func duplicate(r eventstore.Recorded) eventstore.Recorded {
	r.ID[15] ^= 1
	return r
}

// swapAccounts exchanges two neighbours of the log that are of two accounts: no
// stream changes.
func swapAccounts(t *testing.T, events []eventstore.Recorded) []eventstore.Recorded {
	t.Helper()
	swapped := slices.Clone(events)
	for i := range len(swapped) - 1 {
		if swapped[i].Stream != swapped[i+1].Stream {
			swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
			return swapped
		}
	}
	t.Fatal("one account only")
	return nil
}

// TestForgedMoney: whoever can make all hashes anew still can't break the rules
// unseen, and a truth that was signed not at all.
func TestForgedMoney(t *testing.T) {
	c := newCompany(t)
	c.must("a", account.RecordPurchase{Purchase: "p", Amount: credit})
	c.must("a", account.Deduct{Amount: credit / 2, Service: domain.ServiceVM})
	events := rechained(t, c.log(), func(r *eventstore.Recorded) {
		if r.Type == "deducted" {
			r.Data = bytes.ReplaceAll(r.Data, []byte(`"0.5"`), []byte(`"1.5"`))
		}
	})
	_, found := verify(t, audit.Source{Store: rewritten(t, events)}, nil)
	require.NotEmpty(t, found)
	require.Contains(t, found[0].String(), `invariant "free purchased credits are never below zero" account=a revision=1`)

	c.sign()
	events = rechained(t, c.log(), func(r *eventstore.Recorded) { r.Data = bytes.ReplaceAll(r.Data, []byte(`"0.5"`), []byte(`"0.6"`)) })
	store := rewritten(t, events)
	_, found = verify(t, audit.Source{Store: store}, nil)
	require.Empty(t, found, "by itself the forged log is whole")
	_, found = verify(t, audit.Source{Store: store, Checkpoints: c.checkpoints(), Verifier: c.verifier}, nil)
	require.Len(t, found, 1)
	require.Contains(t, found[0].String(), `checkpoint "root"`)
}

// rechained changes events and makes all ids and hashes anew.
func rechained(t *testing.T, events []eventstore.Recorded, change func(*eventstore.Recorded)) []eventstore.Recorded {
	t.Helper()
	heads := map[string]eventstore.Hash{}
	forged := slices.Clone(events)
	for i := range forged {
		r := &forged[i]
		change(r)
		meta, err := eventstore.DecodeMetadata(r.Metadata)
		require.NoError(t, err)
		meta.Previous = heads[r.Stream]
		r.Metadata, err = eventstore.EncodeMetadata(meta)
		require.NoError(t, err)
		r.ID = eventstore.EventID(r.Stream, r.Revision, r.Type, r.Data, r.Metadata, meta.Previous)
		heads[r.Stream] = eventstore.ChainHash(r.Stream, r.Revision, r.Event, meta.Previous)
	}
	return forged
}

// TestAnEditedReadModelIsFound edits one row of each kind.
func TestAnEditedReadModelIsFound(t *testing.T) {
	c := played(t, 60)
	for _, row := range []struct {
		prefix byte
		want   string
	}{
		{'b', `read-model "balance" account=a:`}, {'t', `read-model "transaction" account=a:`},
		{'J', `read-model "trial-balance" account=-`}, {'x', `read-model "tree" account=-`}, {'n', `read-model "name" account=a:`},
	} {
		t.Run(string(row.prefix), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "views")
			require.NoError(t, c.views.Copy(dir))
			edit(t, filepath.Join(dir, "000001"), []byte{row.prefix})
			image := openImage(t, dir, c.store)
			_, found := verify(t, audit.Source{Store: c.store, Views: image}, nil)
			require.Len(t, found, 1)
			require.Contains(t, found[0].String(), row.want)
			if name := found[0].Account; name != "" {
				var lines []string
				for _, scratch := range []string{"", t.TempDir()} {
					lines = nil
					_, err := audit.Diff(bg, audit.Source{Store: c.store, Codec: codec, Views: image}, name, audit.Options{
						Scratch: scratch, Logger: quiet(), Report: func(f audit.Finding) { lines = append(lines, f.String()) },
					})
					require.NoError(t, err)
					require.Equal(t, []string{found[0].String()}, lines)
				}
			}
		})
	}
}

// edit changes a byte of the first row from a key on: of a balance one of a figure, because
// an account's row that is completed with its events since gets the time of the last of those.
func edit(t *testing.T, dir string, from []byte) {
	t.Helper()
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: silent{}})
	require.NoError(t, err)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: []byte{from[0] + 1}})
	require.NoError(t, err)
	require.True(t, it.First(), "there is a row to edit")
	key, value := bytes.Clone(it.Key()), bytes.Clone(it.Value())
	at := len(value) - 1
	if from[0] == 'b' {
		at = 1
	}
	value[at] ^= 1
	require.NoError(t, db.Set(key, value, pebble.Sync))
	require.NoError(t, it.Close())
	require.NoError(t, db.Close())
}

// TestReadModelsOfAnotherVersion are told apart from damaged ones, and the account is checked.
func TestReadModelsOfAnotherVersion(t *testing.T) {
	c := played(t, 20)
	dir := filepath.Join(t.TempDir(), "views")
	require.NoError(t, c.views.Copy(dir))
	db, err := pebble.Open(filepath.Join(dir, "000001"), &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: silent{}})
	require.NoError(t, err)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte("b"), UpperBound: []byte("d")})
	require.NoError(t, err)
	for ok := it.First(); ok; ok = it.Next() {
		value := append(bytes.Clone(it.Value()), "books"...)
		if string(it.Key()) == "c" {
			value = bytes.Replace(it.Value(), []byte(projections.CurrentFormat), []byte("20"), 1)
		}
		require.NoError(t, db.Set(bytes.Clone(it.Key()), value, pebble.Sync))
	}
	require.NoError(t, errors.Join(it.Close(), db.Close()))
	var lines []string
	summary, err := audit.Diff(bg, audit.Source{Store: c.store, Codec: codec, Views: openImage(t, dir, c.store)}, "a:0", audit.Options{
		Logger: quiet(), Report: func(f audit.Finding) { lines = append(lines, f.String()) },
	})
	require.NoError(t, err)
	require.Len(t, lines, 1)
	require.Contains(t, lines[0], `expected="`+projections.CurrentFormat+`" found="20"`)
	require.Equal(t, 1, summary.Accounts)
}

// TestADamagedRecordIsFound: the disk, not a forger. What is behind it is read on. What is
// missing at the end all the same is told apart.
func TestADamagedRecordIsFound(t *testing.T) {
	c := played(t, 20)
	events := len(c.log())
	dir := filepath.Join(t.TempDir(), "log")
	require.NoError(t, c.store.Checkpoint(dir))
	c.must("a:0", account.GrantIncentive{Amount: credit})
	c.sign()
	edit(t, dir, []byte("e\x00\x00\x00\x00\x00\x00\x00\x05"))
	store, err := pebblestore.Open(dir, pebblestore.Options{Logger: quiet(), ReadOnly: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	summary, found := verify(t, audit.Source{Store: store, Checkpoints: c.checkpoints()}, nil)
	require.GreaterOrEqual(t, len(found), 4)
	require.Contains(t, found[len(found)-2].String(), `checkpoint "damaged log"`, "nothing was cut off before that")
	require.Contains(t, found[len(found)-1].String(), `checkpoint "truncated log"`)
	require.Contains(t, found[0].String(), `record account=- revision=- position=5 expected="a whole record" found="checksum is wrong"`)
	require.Contains(t, found[1].String(), `revision account=a:0 revision=5 position=6 expected="4" found="5"`)
	require.Equal(t, events-1, summary.Events)
}

type silent struct{}

func (silent) Infof(string, ...any)           {}
func (silent) Errorf(string, ...any)          {}
func (silent) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

func TestDiffOfAnHonestAccount(t *testing.T) {
	c := played(t, 200)
	for i := range 4 {
		summary, err := audit.Diff(bg, audit.Source{Store: c.store, Codec: codec, Views: c.copied()}, fmt.Sprint("a:", i), audit.Options{Logger: quiet()})
		require.NoError(t, err)
		require.Zero(t, summary.Findings)
		require.True(t, summary.ViewsCompared)
		require.Greater(t, summary.Rows, 5)
	}
	_, err := audit.Diff(bg, audit.Source{Store: c.store, Codec: codec}, "nobody", audit.Options{})
	require.True(t, domain.IsCode(err, domain.CodeUnknownAccount), "%v", err)
}

// TestVerifyWhileTheEngineWrites: the log grows, and what was there at the call is whole.
func TestVerifyWhileTheEngineWrites(t *testing.T) {
	c := newCompany(t)
	c.must("a", account.RecordPurchase{Purchase: "p", Amount: 1000 * credit})
	done := make(chan error, 1)
	go func() {
		for range 300 {
			if _, err := c.do("a", account.Deduct{Amount: 1, Service: domain.ServiceRay}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for finished := false; !finished; {
		select {
		case err := <-done:
			require.NoError(t, err)
			finished = true
		default:
		}
		_, found := verify(t, audit.Source{Store: c.store}, nil)
		require.Empty(t, found)
	}
}

// TestDamagedReadModelsAreAFinding: the log's own verdict doesn't wait for them.
func TestDamagedReadModelsAreAFinding(t *testing.T) {
	for _, part := range []float64{0.3, 0.6, 0.999} {
		c := played(t, 200)
		dir := filepath.Join(t.TempDir(), "views")
		require.NoError(t, c.views.Copy(dir))
		spoil(t, filepath.Join(dir, "000001"), part)
		source := audit.Source{Store: c.store}
		image, _, err := projections.OpenImage(dir, projections.Options{Store: c.store, Codec: codec, Logger: quiet()})
		if projections.Damaged(err) {
			source.ViewsDamage = err
		} else {
			require.NoError(t, err)
			defer func() { require.NoError(t, image.Close()) }()
			source.Views = image
		}
		summary, found := verify(t, source, nil)
		require.Len(t, found, 1)
		require.Contains(t, found[0].String(), `read-model "file"`)
		require.Equal(t, len(c.log()), summary.Events)
		_, lines := diff(t, source, "a:0")
		require.NotEmpty(t, lines)
		require.Contains(t, lines[len(lines)-1], `read-model "file"`)
	}
}

// spoil changes a byte of every table in a folder, at this part of it.
func spoil(t *testing.T, dir string, part float64) {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	require.NoError(t, err)
	require.NotEmpty(t, tables)
	for _, path := range tables {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		content[int(part*float64(len(content)))] ^= 0x41
		require.NoError(t, os.Remove(path)) // the engine has a link to it
		require.NoError(t, os.WriteFile(path, content, 0o600))
	}
}

// TestTooLittleRoomIsToldAndNoFinding: nobody gives room to a check that waits for it, and
// it says nothing of the log.
func TestTooLittleRoomIsToldAndNoFinding(t *testing.T) {
	c := played(t, 60)
	source := audit.Source{Store: c.store, Codec: codec, Views: c.copied()}
	opts := audit.Options{
		Scratch: t.TempDir(), MinFreeBytes: 1 << 62, Logger: quiet(),
		Report: func(f audit.Finding) { t.Error(f) },
	}
	_, err := audit.Verify(bg, source, opts)
	require.ErrorIs(t, err, projections.ErrNoRoom)
	require.ErrorContains(t, err, fmt.Sprintf("free on the disk of %s, %d are needed", opts.Scratch, uint64(1)<<62))
	_, err = audit.Diff(bg, source, "a:0", opts)
	require.ErrorIs(t, err, projections.ErrNoRoom)
}
