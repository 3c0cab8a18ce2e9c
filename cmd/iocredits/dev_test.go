package main

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
)

// TestDevClockGoesOnlySoFar: further than an offset can be is refused, as what the
// caller sent wrong, and the clock stays where it is.
func TestDevClockGoesOnlySoFar(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clock")
	clock, err := openDevClock(path)
	require.NoError(t, err)
	const century = 100 * 365 * 24 * time.Hour
	require.NoError(t, clock.Advance(2*century))
	require.True(t, domain.IsCode(clock.Advance(century), domain.CodeFieldInvalid))
	again, err := openDevClock(path)
	require.NoError(t, err)
	require.Equal(t, []time.Duration{2 * century, 2 * century}, []time.Duration{clock.offset, again.offset})
}
