package audit_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore/storetest"
	"iocredits/projections/audit"
)

// TestALogOnAClusterIsReadFromItsEvents: it can be from nowhere else.
func TestALogOnAClusterIsReadFromItsEvents(t *testing.T) {
	c := newCompany(t)
	rng := rand.New(rand.NewPCG(1, 2))
	c.play(rng, 60)
	cluster := audit.Source{Store: storetest.Spaced{Store: c.store}, Codec: codec}
	summary, err := audit.Verify(bg, cluster, audit.Options{Logger: quiet(), Scratch: t.TempDir(), Report: func(f audit.Finding) { t.Error(f) }})
	require.NoError(t, err)
	require.Equal(t, len(c.log()), summary.Events)

	path := filepath.Join(t.TempDir(), "books.csv")
	for range 2 { // the second one goes on where the first has ended
		_, err := audit.ExportFile(bg, cluster, "csv", path, nil)
		require.NoError(t, err)
		c.play(rng, 30)
	}
	resumed, err := audit.ExportFile(bg, cluster, "csv", path, nil)
	require.NoError(t, err)
	require.Equal(t, len(c.log()), resumed.Events)
	var whole bytes.Buffer
	_, err = audit.Export(bg, cluster, "csv", &whole, nil)
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, whole.String(), string(text))
}
