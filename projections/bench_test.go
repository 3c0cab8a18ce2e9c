package projections_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/projections"
)

// BenchmarkRebuild gives events a second from a log in memory, and the bytes
// that the views keep of each.
func BenchmarkRebuild(b *testing.B) {
	const accounts, each = 200, 200
	t := &testing.T{}
	r := newRig(t, vfs.NewMem(), nil)
	defer r.close()
	var requests []ledgerRequest
	for n := range each {
		for a := range accounts {
			var do account.Action = account.Deduct{Amount: 123_456, Service: domain.ServiceInference, Reference: fmt.Sprint("job-", n*accounts+a)}
			if n == 0 {
				do = account.RecordPurchase{Purchase: "p", Amount: 1000 * credit}
			}
			key := fmt.Sprintf("9f1b6a52-63c3-4a0c-8f4c-%012d", n*accounts+a)
			requests = append(requests, ledgerRequest{
				Account: fmt.Sprint("customer-", a), Do: do, Actor: "deployment-api", Role: "service", Key: "key-1",
				CommandID: key, Fingerprint: "0123456789abcdef0123456789abcdef",
			})
		}
	}
	for chunk := range slices.Chunk(requests, 5_000) {
		for _, o := range r.ExecuteBatch(bg, chunk) {
			require.NoError(b, o.Err)
		}
	}
	disk := vfs.NewMem()
	n := 0
	for b.Loop() {
		n++
		v, err := projections.Open(bg, fmt.Sprint("views", n), projections.Options{Store: r.store, Codec: codec, FS: disk, Logger: quiet()})
		require.NoError(b, err)
		require.NoError(b, v.RunToEnd(bg, nil))
		require.NoError(b, v.Close())
	}
	b.ReportMetric(float64(n*len(requests))/b.Elapsed().Seconds(), "events/s")
	dir := fmt.Sprint("views", n, "/000001")
	names, err := disk.List(dir)
	require.NoError(b, err)
	var bytes int64
	for _, name := range names {
		info, err := disk.Stat(disk.PathJoin(dir, name))
		require.NoError(b, err)
		bytes += info.Size()
	}
	b.ReportMetric(float64(bytes)/float64(len(requests)), "view-bytes/event")
}
