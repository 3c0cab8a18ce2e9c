package audit_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/projections"
	"iocredits/projections/audit"
)

// TestViewsOfAnotherFormatAreNotCompared: they would differ though nothing is wrong.
func TestViewsOfAnotherFormatAreNotCompared(t *testing.T) {
	c := played(t, 20)
	require.NoError(t, c.views.WaitThrough(bg, c.AckedAny()))
	dir := filepath.Join(t.TempDir(), "views")
	require.NoError(t, c.views.Copy(dir))
	db, err := pebble.Open(filepath.Join(dir, "000001"), &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: silent{}})
	require.NoError(t, err)
	row := []byte{'c'}
	value, closer, err := db.Get(row)
	require.NoError(t, err)
	ours, other := []byte(`"`+projections.CurrentFormat+`"`), []byte(`"1"`)
	require.Contains(t, string(value), string(ours))
	changed := bytes.Replace(value, ours, other, 1)
	require.NoError(t, closer.Close())
	require.NoError(t, db.Set(row, changed, pebble.Sync))
	require.NoError(t, db.Close())

	source := audit.Source{Store: c.store, Codec: codec, Views: openImage(t, dir, c.store)}
	summary, verified := verify(t, source, nil)
	require.False(t, summary.ViewsCompared)
	var found []audit.Finding
	summary, err = audit.Diff(bg, source, "a:0", audit.Options{Logger: quiet(), Report: func(f audit.Finding) { found = append(found, f) }})
	require.NoError(t, err)
	require.False(t, summary.ViewsCompared)
	require.Equal(t, verified, found)
	require.Len(t, found, 1)
	require.Equal(t, "format", found[0].What)
}

// TestDiffOfEmptyViews compares with nothing, and doesn't say that it did.
func TestDiffOfEmptyViews(t *testing.T) {
	c := played(t, 20)
	dir := filepath.Join(t.TempDir(), "views")
	views, err := projections.Open(bg, dir, projections.Options{Store: c.store, Codec: codec, Logger: quiet()})
	require.NoError(t, err)
	require.NoError(t, views.Close())
	image := openImage(t, dir, c.store)
	require.Equal(t, eventstore.BeforeFirst, image.Position())
	summary, err := audit.Diff(bg, audit.Source{Store: c.store, Codec: codec, Views: image}, "a:0", audit.Options{Logger: quiet(), Report: func(f audit.Finding) { t.Error(f) }})
	require.NoError(t, err)
	require.False(t, summary.ViewsCompared)
}
