package audit_test

import (
	"crypto/rand"
	"errors"
	"iter"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"iocredits/domain/account"
	"iocredits/eventstore/transparency"
	"iocredits/projections/audit"
)

// signedBy signs a checkpoint of a head with a key that nobody knows.
func signedBy(t *testing.T, name string, head transparency.Head) string {
	t.Helper()
	private, _, err := transparency.GenerateKey(rand.Reader, name)
	require.NoError(t, err)
	signer, err := note.NewSigner(private)
	require.NoError(t, err)
	checkpoint, err := transparency.Sign(head, signer)
	require.NoError(t, err)
	return checkpoint
}

// edited are checkpoints that somebody wrote anew, and an error at their end, if there is one.
func edited(signed []transparency.Signed, end error) iter.Seq2[transparency.Signed, error] {
	return func(yield func(transparency.Signed, error) bool) {
		for _, s := range signed {
			if !yield(s, nil) {
				return
			}
		}
		if end != nil {
			yield(transparency.Signed{}, end)
		}
	}
}

// TestEditedCheckpoints: what a checkpoint's record says, and the order of the records, is
// held to what was signed, and that to the log.
func TestEditedCheckpoints(t *testing.T) {
	c := newCompany(t)
	var signed []transparency.Signed
	for range 3 {
		c.must("a", account.GrantIncentive{Amount: credit})
		c.sign()
	}
	for s, err := range c.checkpoints() {
		require.NoError(t, err)
		signed = append(signed, s)
	}
	require.Len(t, signed, 3)
	for name, row := range map[string]struct {
		edit func(s []transparency.Signed) error
		good int
		want []string
	}{
		"none":           {func([]transparency.Signed) error { return nil }, 3, nil},
		"another root":   {func(s []transparency.Signed) error { s[2].Root = s[1].Root; return nil }, 2, []string{"record", "root"}},
		"another size":   {func(s []transparency.Signed) error { s[2].Size++; return nil }, 2, []string{"record", "truncated log"}},
		"another's note": {func(s []transparency.Signed) error { s[2].Checkpoint = s[1].Checkpoint; return nil }, 2, []string{"record"}},
		"of another key": {func(s []transparency.Signed) error {
			s[2].Checkpoint = signedBy(t, c.verifier.Name(), s[2].Head)
			return nil
		}, 2, []string{"signature"}},
		"a swapped pair":     {func(s []transparency.Signed) error { s[1], s[2] = s[2], s[1]; return nil }, 3, []string{"order"}},
		"beyond the log":     {func(s []transparency.Signed) error { s[2].Position += 9; return nil }, 3, []string{"position"}},
		"that can't be read": {func([]transparency.Signed) error { return errors.New("damaged checkpoint at byte 7") }, 3, []string{"file"}},
	} {
		t.Run(name, func(t *testing.T) {
			forged := slices.Clone(signed)
			end := row.edit(forged)
			summary, found := verify(t, audit.Source{Store: c.store, Checkpoints: edited(forged, end), Verifier: c.verifier}, nil)
			require.Equal(t, row.good, summary.Good)
			var what []string
			for _, f := range found {
				require.Equal(t, audit.CheckCheckpoint, f.Check)
				require.NotEmpty(t, f.Expected)
				require.NotEmpty(t, f.Found)
				what = append(what, f.What)
			}
			require.Equal(t, row.want, what)
		})
	}
}

// TestALogThatMustBeSigned has a checkpoint: whoever deletes them all doesn't pass.
func TestALogThatMustBeSigned(t *testing.T) {
	c := newCompany(t)
	c.must("a", account.GrantIncentive{Amount: credit})
	for _, must := range []bool{false, true} {
		_, found := verify(t, audit.Source{Store: c.store, Checkpoints: edited(nil, nil), Verifier: c.verifier}, func(o *audit.Options) { o.MustBeSigned = must })
		require.Equal(t, must, len(found) == 1)
		if must {
			require.Equal(t, "none", found[0].What)
		}
	}
}
