package eventstore_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"iocredits/domain"
	"iocredits/domain/account"
)

// foldFile has account.FoldVersion, and then for each sample what the state is once
// it is folded in after those above it: new samples stand at the end, so no line
// changes unless the fold does.
const foldFile = "../testdata/fold.txt"

const howToBump = `
A state that is folded from the same events is another one than it was. Engines that have
snapshots of before would go on from those, with wrong balances. If you meant to change it:
 1. bump FoldVersion in domain/account/state.go
 2. go test ./eventstore -run Samples -update     writes testdata/fold.txt`

// TestSamplesFold: whoever changes what account.State folds, or keeps, bumps FoldVersion.
func TestSamplesFold(t *testing.T) {
	if *update {
		writeMissing(t, samplesDir)
	}
	events, names, known := readFold(t)
	folded := foldPrefixes(t, events)
	lines := []string{account.FoldVersion}
	for i, name := range names {
		lines = append(lines, name+" "+folded[i])
	}
	want := strings.Join(lines, "\n") + "\n"
	bumped := known[0] != account.FoldVersion
	for i, line := range known {
		if !bumped && line != lines[i] {
			t.Fatalf("testdata/fold.txt: the fold is not that of FoldVersion %q any more, first at %q.%s", account.FoldVersion, names[i-1], howToBump)
		}
	}
	switch {
	case *update:
		if err := os.WriteFile(foldFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	case bumped || len(known) != len(lines):
		t.Errorf("testdata/fold.txt is of FoldVersion %q with %d samples; there are %q and %d.\n go test ./eventstore -run Samples -update     writes it",
			known[0], len(known)-1, account.FoldVersion, len(names))
	}
}

// readFold gives the samples, those of the file in its order and then new ones.
func readFold(t *testing.T) (events []domain.Event, names, known []string) {
	t.Helper()
	data, err := os.ReadFile(foldFile)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	known = strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	samples, codec := readSamples(t), codecOfAccounts()
	for _, line := range known[1:] {
		name, _, _ := strings.Cut(line, " ")
		names = append(names, name)
	}
	for _, file := range slices.Sorted(maps.Keys(samples)) {
		if !slices.Contains(names, file) {
			names = append(names, file)
		}
	}
	for _, file := range names {
		name, _, _ := strings.Cut(file, ".")
		event, err := codec.Decode(name, samples[file])
		if err != nil {
			t.Fatalf("testdata/events/%s: %v%s", file, err, howToAdd)
		}
		events = append(events, event)
	}
	return events, names, known
}

// foldPrefixes folds the first, the first two, … of the events. No sample follows from
// another, but they share ids, so each prefix is folded there, back, and there again:
// an end that stands before its beginning meets it on the way.
func foldPrefixes(t *testing.T, events []domain.Event) (hashes []string) {
	t.Helper()
	for i := range events {
		s, sum := account.New(), sha256.New()
		back := slices.Clone(events[:i+1])
		slices.Reverse(back)
		for _, pass := range [][]domain.Event{events[:i+1], back, events[:i+1]} {
			for _, e := range pass {
				account.Evolve(s, e)
			}
			data, err := json.Marshal(s, json.Deterministic(true))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(sum, string(data))
		}
		hashes = append(hashes, hex.EncodeToString(sum.Sum(nil)[:8]))
	}
	return hashes
}
