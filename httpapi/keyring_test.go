package httpapi_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/eventstore/keyring"
)

// fullKeys are on a disk that has no room for another while it is full.
type fullKeys struct {
	keyring.Keys
	full atomic.Bool
}

func (k *fullKeys) Key(ctx context.Context, name string) (keyring.Key, error) {
	if _, status, err := k.Find(ctx, name); err == nil && status != keyring.Live && k.full.Load() {
		return keyring.Key{}, fmt.Errorf("%w: %w", keyring.ErrUnavailable, syscall.ENOSPC)
	}
	return k.Keys.Key(ctx, name)
}

// TestAKeyringOnAFullDisk: an account that has no key yet is told to try again, as when the
// log has no room, and an operator why. Others go on.
func TestAKeyringOnAFullDisk(t *testing.T) {
	keys := new(fullKeys)
	r := newRig(t, func(p *parts) {
		inFile, err := keyring.Open(t.TempDir(), keyring.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { _ = inFile.Close() })
		keys.Keys = inFile
		p.server.Sealer = keyring.NewSealer(keys, 0)
	})
	const body = `{"amount":"1","service":"vm"}`
	r.fund("demo-1", "10")
	r.must(post("service", "/v1/accounts/demo-1/deductions", "first", body)) // its key is made
	keys.full.Store(true)
	r.must(post("service", "/v1/accounts/demo-1/deductions", "k", body))
	got := r.refused(503, "unavailable", post("service", "/v1/accounts/demo-9/deductions", "k", body))
	require.NotContains(t, got.Text, "no space")
	require.Equal(t, "1", got.Header.Get("Retry-After"))
	line := r.batch(`{"account":"demo-8","key":"k","amount":"1","service":"vm"}`)[0]
	require.Equal(t, 503, line.Status)
	require.EqualValues(t, domain.CodeUnavailable, *line.Code)
	require.Contains(t, r.log.String(), "no space left on device")

	keys.full.Store(false)
	r.fund("demo-9", "10")
	r.must(post("service", "/v1/accounts/demo-9/deductions", "k", body))
}
