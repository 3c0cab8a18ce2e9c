package projections_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/transparency"
)

// office is a notary with its key and its folder.
type office struct {
	*rig
	dir      string
	signer   note.Signer
	verifier note.Verifier
	file     *transparency.File
	notary   *transparency.Notary
}

func newOffice(r *rig) *office {
	r.t.Helper()
	private, public, err := transparency.GenerateKey(rand.Reader, "example.org/credits")
	require.NoError(r.t, err)
	o := &office{rig: r, dir: r.t.TempDir()}
	o.signer, err = note.NewSigner(private)
	require.NoError(r.t, err)
	o.verifier, err = note.NewVerifier(public)
	require.NoError(r.t, err)
	o.open(r)
	return o
}

// open is another start of the notary, perhaps on another log.
func (o *office) open(r *rig) {
	o.t.Helper()
	o.openOn(r, r.store)
}

// openOn is one with the read models of a rig, and a log.
func (o *office) openOn(r *rig, log eventstore.Store) {
	o.t.Helper()
	if o.file != nil {
		require.NoError(o.t, o.file.Close())
	}
	file, err := transparency.OpenFile(o.dir)
	require.NoError(o.t, err)
	o.t.Cleanup(func() { _ = file.Close() })
	o.rig, o.file = r, file
	o.notary = transparency.NewNotary(transparency.Options{
		Store: log, Tree: r.views, File: file, Signer: o.signer, Verifier: o.verifier,
		Logger: quiet(), Clock: r.clock.Now, Look: time.Second,
	})
}

func (o *office) deduct(n int) {
	o.t.Helper()
	batch := make([]account.Action, n)
	for i := range batch {
		batch[i] = account.Deduct{Amount: 1, Service: domain.ServiceRay}
	}
	o.all("a", batch)
	o.toEnd()
}

func (o *office) count() int {
	o.t.Helper()
	n := 0
	require.NoError(o.t, transparency.ReadFile(o.dir, func(transparency.Signed) error { n++; return nil }))
	return n
}

// fork is the same account with another history.
func fork(t *testing.T, purchases int) *rig {
	t.Helper()
	r := newRig(t, vfs.NewMem(), nil)
	for i := range purchases {
		r.do("a", "", account.RecordPurchase{Purchase: string(rune('a' + i)), Amount: 1000 * credit})
	}
	r.toEnd()
	return r
}

func TestNotarySignsInTime(t *testing.T) {
	o := newOffice(fork(t, 1))
	require.NoError(t, o.notary.Step(bg))
	require.Zero(t, o.count(), "the event is young")
	o.clock.Move(59 * time.Second)
	require.NoError(t, o.notary.Step(bg))
	require.Equal(t, 1, o.count(), "it is a minute old at the next look")
	o.clock.Move(time.Hour)
	require.NoError(t, o.notary.Step(bg))
	require.Equal(t, 1, o.count(), "nothing is new")

	o.deduct(9_999)
	require.NoError(t, o.notary.Step(bg))
	require.Equal(t, 1, o.count())
	o.deduct(1)
	require.NoError(t, o.notary.Step(bg))
	require.Equal(t, 2, o.count(), "10,000 events")

	o.deduct(1)
	now, err := o.notary.Sign(bg, o.views.Through())
	require.NoError(t, err)
	again, err := o.notary.Sign(bg, o.views.Through())
	require.NoError(t, err)
	require.Equal(t, now, again, "one is enough")
	require.EqualValues(t, 10_002, now.Size)
	head, err := transparency.OpenCheckpoint(now.Checkpoint, o.verifier)
	require.NoError(t, err)
	require.Equal(t, now.Head, head)
	covering, found, err := o.file.Covering(2)
	require.NoError(t, err)
	require.True(t, found)
	require.EqualValues(t, 10_001, covering.Size)
	_, found, err = o.file.Covering(10_003)
	require.NoError(t, err)
	require.False(t, found)
}

func TestNotaryRefusesAFork(t *testing.T) {
	o := newOffice(fork(t, 3))
	_, err := o.notary.Sign(bg, 0)
	require.NoError(t, err)

	other := fork(t, 1) // the same length, another past
	other.do("a", "", account.GrantIncentive{Amount: credit})
	other.do("a", "", account.GrantIncentive{Amount: credit})
	other.toEnd()
	o.open(other)
	require.ErrorIs(t, o.notary.Check(bg), transparency.ErrFork)
	_, err = o.notary.Sign(bg, 0)
	require.ErrorIs(t, err, transparency.ErrFork)
	require.ErrorIs(t, o.notary.Step(bg), transparency.ErrFork)
	require.Equal(t, 1, o.count())
}

func TestNotaryRefusesARollback(t *testing.T) {
	o := newOffice(fork(t, 3))
	_, err := o.notary.Sign(bg, 0)
	require.NoError(t, err)
	o.open(fork(t, 2))
	require.ErrorIs(t, o.notary.Check(bg), transparency.ErrRollback)
	_, err = o.notary.Sign(bg, 0)
	require.ErrorIs(t, err, transparency.ErrRollback)
}

func TestNotaryRefusesAForeignCheckpoint(t *testing.T) {
	r := fork(t, 2)
	o, stranger := newOffice(r), newOffice(r)
	_, err := stranger.notary.Sign(bg, 0)
	require.NoError(t, err)
	stranger.signer, stranger.verifier = o.signer, o.verifier
	stranger.open(r)
	require.ErrorIs(t, stranger.notary.Check(bg), transparency.ErrSignature)
}

func TestCheckpointsSurviveACrash(t *testing.T) {
	o := newOffice(fork(t, 2))
	signed, err := o.notary.Sign(bg, 0)
	require.NoError(t, err)
	path := filepath.Join(o.dir, "checkpoints.ndjson")
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(bytes.Clone(whole), `{"at":"20`...), 0o600))
	o.open(o.rig)
	last, exists := o.file.Last()
	require.True(t, exists)
	require.Equal(t, signed, last)
	o.deduct(1)
	_, err = o.notary.Sign(bg, 0)
	require.NoError(t, err)
	require.Equal(t, 2, o.count())

	require.NoError(t, o.file.Close())
	require.NoError(t, os.WriteFile(path, append(bytes.Clone(whole), "{}x\n"...), 0o600))
	_, err = transparency.OpenFile(o.dir)
	damaged := fmt.Sprintf("damaged checkpoint at byte %d", len(whole))
	require.ErrorContains(t, err, damaged)
	require.ErrorContains(t, transparency.ReadFile(o.dir, func(transparency.Signed) error { return nil }), damaged)
}

// TestReceipt: every byte of a receipt that means anything is under the signature.
func TestReceipt(t *testing.T) {
	o := newOffice(fork(t, 2))
	o.deduct(300)
	signed, err := o.notary.Sign(bg, 0)
	require.NoError(t, err)
	var event eventstore.Recorded
	for r, err := range o.store.ReadStream(bg, "account-a", 77, eventstore.Forwards, 1) {
		require.NoError(t, err)
		event = r
	}
	place, err := o.leafAt(event.Position)
	require.NoError(t, err)
	require.True(t, place.found)
	hashes, err := o.inclusion(place.index, signed.Size)
	require.NoError(t, err)
	receipt, err := transparency.NewReceipt(event, place.index, hashes, signed.Checkpoint)
	require.NoError(t, err)
	text, err := receipt.Encode()
	require.NoError(t, err)
	t.Logf("a receipt has %d bytes", len(text))

	read, err := transparency.ParseReceipt(text)
	require.NoError(t, err)
	head, err := read.Verify(o.verifier)
	require.NoError(t, err)
	require.Equal(t, signed.Head, head)

	for _, change := range [][2]string{
		{`\"amount\":\"0.000001\"`, `\"amount\":\"0.000002\"`},
		{`\"actor\":\"tester\"`, `\"actor\":\"nobody\"`},
		{`"revision":77`, `"revision":78`},
		{`"stream":"account-a"`, `"stream":"account-b"`},
		{`"type":"deducted"`, `"type":"refunded"`},
		{`"index":77`, `"index":76`},
		{`\n302\n`, `\n303\n`},
		{`"proof":["`, `"proof":["` + strings.Repeat("A", 43) + `=","`},
	} {
		require.Contains(t, string(text), change[0])
		forged, err := transparency.ParseReceipt([]byte(strings.Replace(string(text), change[0], change[1], 1)))
		require.NoError(t, err)
		_, err = forged.Verify(o.verifier)
		require.Error(t, err, "%s", change[1])
	}
	_, err = read.Verify(newOffice(o.rig).verifier)
	require.ErrorIs(t, err, transparency.ErrSignature)
}
