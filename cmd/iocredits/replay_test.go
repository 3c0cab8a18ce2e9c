package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestReplayTakesTimesAsTheAPIDoes, and a date alone, which is its first instant in UTC.
func TestReplayTakesTimesAsTheAPIDoes(t *testing.T) {
	data := t.TempDir()
	e := serve(t, data)
	e.fund("demo-1", "100")
	day := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -1)
	for i, after := range []time.Duration{-time.Millisecond, 0, time.Millisecond} {
		e.must("service", http.MethodPost, "/v1/accounts/demo-1/deductions", fmt.Sprint("d", i),
			`{"amount":"1","service":"vm","effective_at":"`+day.Add(after).Format(time.RFC3339Nano)+`"}`)
	}
	seen := map[int]bool{}
	for _, at := range []string{
		day.AddDate(0, 0, -1).Format(time.DateOnly), day.Format(time.DateOnly), day.AddDate(0, 0, 1).Format(time.DateOnly),
		day.Format(time.RFC3339), day.In(time.FixedZone("", 3600)).Format(time.RFC3339), "9999-12-31",
	} {
		asOf := at
		if len(at) == len(time.DateOnly) {
			asOf += "T00:00:00Z"
		}
		want := e.must("auditor", http.MethodGet, "/v1/accounts/demo-1/balance?as_of="+url.QueryEscape(asOf), "", "")["balance"]
		out, _, err := run(t, "replay", "demo-1", "--data", data, "--at", at)
		require.NoError(t, err)
		got := 0
		for _, change := range regexp.MustCompile(`balance \S+ \((\S+)\)`).FindAllStringSubmatch(out, -1) {
			n, err := strconv.Atoi(change[1])
			require.NoError(t, err)
			got += n
		}
		require.Equal(t, want, strconv.Itoa(got), at)
		require.NotRegexp(t, "debt|available|spendable", out, "as of a time there is only a balance")
		seen[got] = true
	}
	require.Equal(t, map[int]bool{0: true, -2: true, -3: true, 97: true}, seen)
	out, _, err := run(t, "replay", "demo-1", "--data", data, "--known-at", "9999-12-31")
	require.NoError(t, err)
	require.Contains(t, out, "balance 97 (-1), available 97, reserved 0, withdrawing 0, debt 0, spendable 107\n")
	for _, flag := range []string{"--at", "--known-at"} {
		for _, bad := range []string{"yesterday", "2026-13-01", "2026-01-31T12:00", "28.11.2026"} {
			_, _, err := run(t, "replay", "demo-1", "--data", data, flag, bad)
			require.Equal(t, exitUsage, exitCode(err))
			require.ErrorContains(t, err, `"`+bad+`" is neither a date like 2026-01-31 nor a time like 2026-01-31T12:00:00Z`)
			require.ErrorContains(t, err, flag)
		}
	}
	_, _, err = run(t, "replay", "demo-1", "--data", data, "--at", "1000-01-01")
	require.ErrorContains(t, err, "1970 to 9999")
	out, note, err := run(t, "replay", "demo-1", "--data", data, "--known-at", "1970-01-01")
	require.NoError(t, err)
	require.Empty(t, out)
	require.Contains(t, note, "account demo-1 has events, and none within --at, --known-at and --revision\n")
}

// TestExportSaysWhatItRemoves behind what its manifest has.
func TestExportSaysWhatItRemoves(t *testing.T) {
	data, path := t.TempDir(), filepath.Join(t.TempDir(), "books.journal")
	e := serve(t, data)
	e.trade("demo-1")
	require.NoError(t, e.stop())
	export := func() string {
		_, log, err := run(t, "export", "--data", data, "--out", path)
		require.NoError(t, err)
		return log
	}
	require.Empty(t, export())
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(before, "; foreign\n"...), 0o600))
	require.Equal(t, path+": removed 10 bytes behind its end in the manifest, which were no part of the export\n", export())
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
	require.Empty(t, export())

	manifest, err := os.ReadFile(path + ".manifest.json")
	require.NoError(t, err)
	require.NotContains(t, string(manifest), "emoved")
	require.NoError(t, os.WriteFile(path+".manifest.json", []byte(strings.Replace(string(manifest), `"complete": true`, `"complete": false`, 1)), 0o600))
	require.NoError(t, os.WriteFile(path, append(after, "half a li"...), 0o600))
	require.Contains(t, export(), "removed 9 bytes behind its end in the manifest, left there when it was cut short")
}
