package audit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/domain/journal"
	"iocredits/eventstore"
	"iocredits/projections/audit"
)

func (c *company) source() audit.Source { return audit.Source{Store: c.store, Codec: codec} }

func (c *company) export(format string) (string, audit.Manifest) {
	c.t.Helper()
	var out bytes.Buffer
	m, err := audit.Export(bg, c.source(), format, &out, nil)
	require.NoError(c.t, err)
	digest := sha256.Sum256(out.Bytes())
	require.Equal(c.t, hex.EncodeToString(digest[:]), m.SHA256)
	require.EqualValues(c.t, out.Len(), m.Bytes)
	require.Equal(c.t, len(c.log()), m.Events)
	require.True(c.t, m.Complete)
	return out.String(), m
}

// hledger runs the real program, Debian's package; .ci/run installs it.
func hledger(t *testing.T, journal string, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("hledger"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("hledger is not installed, and this is CI: apt-get install hledger")
		}
		t.Skip("SKIPPED: hledger is not installed (apt-get install hledger): no independent program has checked the export")
	}
	path := filepath.Join(t.TempDir(), "x.journal")
	require.NoError(t, os.WriteFile(path, []byte(journal), 0o600))
	cmd := exec.CommandContext(bg, "hledger", append([]string{"-f", path}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestHledgerAgrees: an independent program reads the export of a random past,
// finds every assertion true, and the same balances to the last decimal.
func TestHledgerAgrees(t *testing.T) {
	c := played(t, 400)
	text, _ := c.export(audit.FormatHledger)
	out, err := hledger(t, text, "check")
	require.NoError(t, err, "%s", out)
	require.Greater(t, strings.Count(text, "* balances of "), 10, "assertions")

	out, err = hledger(t, text, "balance", "--flat", "--empty", "-O", "csv")
	require.NoError(t, err, "%s", out)
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	require.NoError(t, err)
	got := map[string]string{}
	for _, row := range rows[1:] {
		got[row[0]] = strings.TrimSuffix(row[1], " CR")
	}
	require.Equal(t, "0", got["total"], "the trial balance")
	delete(got, "total")
	require.NoError(t, c.views.WaitThrough(bg, c.AckedAny()))
	all := journal.Totals{}
	for i := range 4 {
		books := c.booksOf(fmt.Sprint("a:", i))
		all.Plus(&books)
		for line, sum := range books {
			name := fmt.Sprintf("%s:a%%3A%d", journal.Account(line), i)
			if sum != (journal.Sum{}) {
				require.Equal(t, sum.String(), canonical(got[name]), name)
			}
			if text, shown := got[name]; shown {
				require.Equal(t, sum.String(), canonical(text), name)
			}
			delete(got, name)
		}
	}
	require.Empty(t, got, "hledger has accounts that we don't")
	company, err := c.views.TrialBalance(bg)
	require.NoError(t, err)
	require.Equal(t, company.Totals, all)
}

// booksOf are an account's books by its events, its balance among them.
func (c *company) booksOf(name string) (books journal.Totals) {
	c.t.Helper()
	for r, err := range c.store.ReadStream(bg, eventstore.AccountStream(name), 0, eventstore.Forwards, math.MaxInt) {
		require.NoError(c.t, err)
		f, err := codec.Open(r)
		require.NoError(c.t, err)
		postings, err := journal.Of(f.Body, f.Revision)
		require.NoError(c.t, err)
		books.Post(postings)
	}
	b, err := c.views.Balance(bg, name)
	require.NoError(c.t, err)
	require.Equal(c.t, b.Balance.Balance.String(), books.Balance().String(), name)
	return books
}

// canonical takes away the trailing zeros that hledger shows.
func canonical(text string) string {
	if strings.Contains(text, ".") {
		text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// TestHledgerFindsAForgery keeps the test above honest.
func TestHledgerFindsAForgery(t *testing.T) {
	c := played(t, 40)
	text, _ := c.export(audit.FormatHledger)
	for _, change := range [][2]string{
		{"0.000005 CR\n    revenue:vm:a%3A0  -0.000005 CR", "0.000004 CR\n    revenue:vm:a%3A0  -0.000004 CR"}, // balanced, but not what is asserted
		{"  0.000005 CR", "  0.000004 CR"}, // not balanced
	} {
		require.Contains(t, text, change[0])
		out, err := hledger(t, strings.Replace(text, change[0], change[1], 1), "check")
		require.Error(t, err, "%s", out)
	}
}

// TestCSVAddsUp reads the file as a spreadsheet would.
func TestCSVAddsUp(t *testing.T) {
	c := played(t, 200)
	text, _ := c.export(audit.FormatCSV)
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	require.NoError(t, err)
	totals := map[string]journal.Sum{}
	for _, row := range rows[1:] {
		cell, sign := row[8], ""
		if row[8] == "" {
			cell, sign = row[9], "-"
		}
		totals[row[7]] = totals[row[7]].Add(amount(t, sign+cell))
	}
	require.NoError(t, c.views.WaitThrough(bg, c.AckedAny()))
	books, err := c.views.TrialBalance(bg)
	require.NoError(t, err)
	for line, sum := range books.Totals {
		require.Equal(t, sum, totals[journal.Account(line).String()], journal.Account(line))
	}
}

// TestNDJSONIsEnoughToCheckTheChain with nothing of ours but the format's names.
func TestNDJSONIsEnoughToCheckTheChain(t *testing.T) {
	c := played(t, 60)
	text, _ := c.export(audit.FormatNDJSON)
	heads := map[string]eventstore.Hash{}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	require.Len(t, lines, len(c.log()))
	for _, line := range lines {
		var l struct {
			Stream   string          `json:"stream"`
			Type     string          `json:"type"`
			Data     string          `json:"data"`
			Metadata string          `json:"metadata"`
			ID       uuid.UUID       `json:"id"`
			Revision int64           `json:"revision"`
			Previous eventstore.Hash `json:"previous_hash"`
			Hash     eventstore.Hash `json:"hash"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &l))
		require.Equal(t, heads[l.Stream], l.Previous)
		event := eventstore.Event{ID: l.ID, Type: l.Type, Data: []byte(l.Data), Metadata: []byte(l.Metadata)}
		require.Equal(t, eventstore.ChainHash(l.Stream, l.Revision, event, l.Previous), l.Hash)
		heads[l.Stream] = l.Hash
	}
}

// TestExportResumes: a run that was cut short goes on and makes the same file;
// a finished one takes in what has happened since.
func TestExportResumes(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: eleven thousand events, one after the other")
	}
	c := newCompany(t)
	c.must("a", account.RecordPurchase{Purchase: "p", Amount: 1000 * credit})
	for range 11 {
		c.now = c.now.Add(time.Hour)
		c.deductions(1000)
	}
	for _, format := range audit.Formats() {
		t.Run(format, func(t *testing.T) {
			whole, _ := c.export(format)
			path := filepath.Join(t.TempDir(), "x")
			ctx, cut := context.WithCancel(bg)
			_, err := audit.ExportFile(ctx, c.source(), format, path, func(_, _ eventstore.Position) { cut() })
			require.ErrorIs(t, err, context.Canceled)
			appendTo(t, path, "half a li") // what a crash leaves behind the manifest
			m, err := audit.ExportFile(bg, c.source(), format, path, nil)
			require.NoError(t, err)
			require.True(t, m.Complete)
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			require.True(t, whole == string(content), "a resumed export differs")
			digest := sha256.Sum256(content)
			require.Equal(t, hex.EncodeToString(digest[:]), m.SHA256)
		})
	}
	path := filepath.Join(t.TempDir(), "grows.journal")
	before, err := audit.ExportFile(bg, c.source(), audit.FormatHledger, path, nil)
	require.NoError(t, err)
	c.now = c.now.Add(30 * time.Hour)
	c.deductions(10)
	after, err := audit.ExportFile(bg, c.source(), audit.FormatHledger, path, nil)
	require.NoError(t, err)
	require.Equal(t, before.Events+10, after.Events)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	out, err := hledger(t, string(content), "check")
	require.NoError(t, err, "%s", out)
}

func (c *company) deductions(n int) {
	c.t.Helper()
	outcomes := c.ExecuteBatch(bg, requests("a", n))
	for _, o := range outcomes {
		require.NoError(c.t, o.Err)
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0o600)
	require.NoError(t, err)
	_, err = io.WriteString(f, text)
	require.NoError(t, errors.Join(err, f.Close()))
}

// cutStore ends a read after some events, as a crash would.
type cutStore struct {
	eventstore.Store
	after int
}

var errCut = errors.New("cut short")

func (s *cutStore) ReadAll(ctx context.Context, from eventstore.Position, d eventstore.Direction, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		n := 0
		for r, err := range s.Store.ReadAll(ctx, from, d, limit) {
			if n++; n > s.after {
				yield(eventstore.Recorded{}, errCut)
				return
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// TestExportCutShortBeforeItsFirstManifest goes on too, whatever of it is in the file.
func TestExportCutShortBeforeItsFirstManifest(t *testing.T) {
	c := played(t, 20)
	for _, format := range audit.Formats() {
		whole, _ := c.export(format)
		path := filepath.Join(t.TempDir(), "x")
		cut := c.source()
		cut.Store = &cutStore{c.store, 10}
		_, err := audit.ExportFile(bg, cut, format, path, nil)
		require.ErrorIs(t, err, errCut)
		appendTo(t, path, whole[:len(whole)/2]) // what a larger buffer had written
		m, err := audit.ExportFile(bg, c.source(), format, path, nil)
		require.NoError(t, err)
		require.True(t, m.Complete)
		require.GreaterOrEqual(t, m.Removed, int64(len(whole)/2), format)
		require.False(t, m.Foreign)
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, whole, string(content))
	}
}

// TestExportToNoFile: a manifest beside a pipe would be of nothing.
func TestExportToNoFile(t *testing.T) {
	c := played(t, 20)
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	for _, path := range []string{pipe, dir} {
		_, err := audit.ExportFile(bg, c.source(), audit.FormatCSV, path, nil)
		require.ErrorIs(t, err, audit.ErrOther)
		_, err = os.Stat(audit.ManifestPath(path))
		require.ErrorIs(t, err, os.ErrNotExist)
	}
}

func TestExportRefusesAnotherFile(t *testing.T) {
	c := played(t, 20)
	path := filepath.Join(t.TempDir(), "x")
	_, err := audit.ExportFile(bg, c.source(), audit.FormatCSV, path, nil)
	require.NoError(t, err)
	_, err = audit.ExportFile(bg, c.source(), audit.FormatNDJSON, path, nil)
	require.ErrorContains(t, err, "export as csv")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	content[len(content)/2] ^= 1
	require.NoError(t, os.WriteFile(path, content, 0o600))
	_, err = audit.ExportFile(bg, c.source(), audit.FormatCSV, path, nil)
	require.ErrorContains(t, err, "SHA-256")
	require.NoError(t, os.Remove(audit.ManifestPath(path)))
	_, err = audit.ExportFile(bg, c.source(), audit.FormatCSV, path, nil)
	require.ErrorContains(t, err, "no manifest")
	_, err = audit.Export(bg, c.source(), "xml", io.Discard, nil)
	require.ErrorContains(t, err, `format "xml"`)
}

// TestExportGoesOnWithItsOwnLog: after an older backup was put back the log has other events
// where the file's last ones are. Books of both are those of none.
func TestExportGoesOnWithItsOwnLog(t *testing.T) {
	c, other, short := played(t, 40), played(t, 80), newCompany(t)
	short.must("a:0", account.RecordPurchase{Purchase: "first", Amount: 100 * credit})
	for _, format := range audit.Formats() {
		path := filepath.Join(t.TempDir(), "x")
		_, err := audit.ExportFile(bg, c.source(), format, path, nil)
		require.NoError(t, err)
		whole, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, log := range []*company{other, short} {
			_, err = audit.ExportFile(bg, log.source(), format, path, nil)
			require.ErrorIs(t, err, audit.ErrOther)
			require.ErrorContains(t, err, "it is of another log")
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(whole), string(content))
		}
	}
}

// TestExportGoesOnWithAnOlderManifest: versions before left the hash out. How many events
// there are, and where the last one is, has to do; then the manifest has the hash too.
func TestExportGoesOnWithAnOlderManifest(t *testing.T) {
	c, short := played(t, 40), newCompany(t)
	short.must("a:0", account.RecordPurchase{Purchase: "first", Amount: 100 * credit})
	path := filepath.Join(t.TempDir(), "x")
	whole, err := audit.ExportFile(bg, c.source(), audit.FormatCSV, path, nil)
	require.NoError(t, err)
	older := whole
	older.LastHash = ""
	text, err := json.Marshal(older)
	require.NoError(t, err)
	require.NotContains(t, string(text), "hash\"")
	require.NoError(t, os.WriteFile(audit.ManifestPath(path), text, 0o600))
	_, err = audit.ExportFile(bg, short.source(), audit.FormatCSV, path, nil)
	require.ErrorContains(t, err, "hash unknown")
	again, err := audit.ExportFile(bg, c.source(), audit.FormatCSV, path, nil)
	require.NoError(t, err)
	require.Equal(t, whole, again)
}

// TestExportKnowsWhatItRemoves: a manifest that is empty, or that was written before the
// first byte, says nothing of what stands in the file, and that stays.
func TestExportKnowsWhatItRemoves(t *testing.T) {
	c := played(t, 20)
	for _, format := range audit.Formats() {
		whole, m := c.export(format)
		m.Complete, m.Bytes, m.Events, m.First, m.Last, m.Through, m.LastHash = false, 0, 0, 0, 0, 0, ""
		m.SHA256 = hex.EncodeToString(sha256.New().Sum(nil))
		unread, err := json.Marshal(m)
		require.NoError(t, err)
		for name, file := range map[string]struct{ content, manifest, refusal string }{
			"an empty manifest":               {"mine", "", "manifest.json is empty"},
			"an empty manifest and no more":   {"", "\n", "manifest.json is empty"},
			"half a manifest":                 {"mine", "{", "manifest: "},
			"a foreign file":                  {"mine", string(unread), "isn't its beginning"},
			"a foreign file that is long":     {strings.Repeat("mine", len(whole)), string(unread), "isn't its beginning"},
			"another first line":              {whole[1:], string(unread), "isn't its beginning"},
			"none":                            {"", string(unread), ""},
			"the beginning of the first line": {whole[:7], string(unread), ""},
			"many lines":                      {whole[:len(whole)/2], string(unread), ""},
			"half a line behind others":       {whole[:len(whole)/2] + "half", string(unread), ""},
		} {
			path := filepath.Join(t.TempDir(), "x")
			require.NoError(t, os.WriteFile(path, []byte(file.content), 0o600))
			require.NoError(t, os.WriteFile(audit.ManifestPath(path), []byte(file.manifest), 0o600))
			_, err := audit.ExportFile(bg, c.source(), format, path, nil)
			content, readErr := os.ReadFile(path)
			require.NoError(t, readErr)
			if file.refusal == "" {
				require.NoError(t, err, "%s: %s", format, name)
				require.Equal(t, whole, string(content), "%s: %s", format, name)
				continue
			}
			require.ErrorIs(t, err, audit.ErrOther, "%s: %s", format, name)
			require.ErrorContains(t, err, file.refusal, "%s: %s", format, name)
			require.Equal(t, file.content, string(content), "%s: %s", format, name)
		}
	}
}

// TestReplay: each step's balance is the one that was true then.
func TestReplay(t *testing.T) {
	c := played(t, 200)
	rng := rand.New(rand.NewPCG(7, 7))
	require.NoError(t, c.views.WaitThrough(bg, c.AckedAny()))
	var steps []audit.Step
	visit := func(s audit.Step) error { steps = append(steps, s); return nil }
	require.NoError(t, audit.Replay(bg, c.source(), "a:0", audit.ReplayOptions{}, visit))
	last, err := c.views.Balance(bg, "a:0")
	require.NoError(t, err)
	require.Equal(t, last.Balance, steps[len(steps)-1].After)
	all := steps
	for range 20 {
		known := all[rng.IntN(len(all))].Meta.RecordedAt
		steps = nil
		require.NoError(t, audit.Replay(bg, c.source(), "a:0", audit.ReplayOptions{KnownAt: known}, visit))
		want, err := c.views.BalanceKnownAt(bg, "a:0", known)
		require.NoError(t, err)
		require.Equal(t, want.Balance, steps[len(steps)-1].After)

		at := all[rng.IntN(len(all))].EffectiveAt
		steps = nil
		require.NoError(t, audit.Replay(bg, c.source(), "a:0", audit.ReplayOptions{At: at}, visit))
		balance, err := c.views.BalanceAsOf(bg, "a:0", at, time.Time{})
		require.NoError(t, err)
		require.Equal(t, balance, steps[len(steps)-1].After.Balance)
	}
	steps = nil
	revision := int64(4)
	require.NoError(t, audit.Replay(bg, c.source(), "a:0", audit.ReplayOptions{Revision: &revision}, visit))
	require.Len(t, steps, 5)
	err = audit.Replay(bg, c.source(), "nobody", audit.ReplayOptions{}, visit)
	require.True(t, domain.IsCode(err, domain.CodeUnknownAccount), "%v", err)
}
