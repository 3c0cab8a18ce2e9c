package audit_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore/pebblestore"
	"iocredits/projections/audit"
)

// BenchmarkVerify reads the log of a stopped engine: AUDIT_LOG=DIR/log.
func BenchmarkVerify(b *testing.B) {
	dir := os.Getenv("AUDIT_LOG")
	if dir == "" {
		b.Skip("AUDIT_LOG names no log")
	}
	store, err := pebblestore.Open(dir, pebblestore.Options{Logger: quiet(), ReadOnly: true})
	require.NoError(b, err)
	defer func() { require.NoError(b, store.Close()) }()
	events := 0
	for b.Loop() {
		summary, err := audit.Verify(bg, audit.Source{Store: store, Codec: codec}, audit.Options{Logger: quiet()})
		require.NoError(b, err)
		require.Zero(b, summary.Findings)
		events += summary.Events
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}
