package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"iocredits/domain"
	"iocredits/eventstore/keyring"
)

func openKeys(t testing.TB, random io.Reader) *keyring.FileKeys {
	t.Helper()
	keys, err := keyring.Open(t.TempDir(), keyring.Options{Random: random})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := keys.Close(); err != nil {
			t.Error(err)
		}
	})
	return keys
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func seal(t fataler, s *keyring.Sealer, account, text string) domain.Sealed {
	t.Helper()
	sealed, err := s.Seal(context.Background(), account, text)
	if err != nil {
		t.Fatalf("seal: %v", err)
	}
	return sealed
}

func open(t fataler, s *keyring.Sealer, account string, sealed domain.Sealed) string {
	t.Helper()
	text, err := s.Open(context.Background(), account, sealed)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return text
}

func fingerprint(t fataler, s *keyring.Sealer, parts ...string) string {
	t.Helper()
	f, err := s.Fingerprint(context.Background(), parts[0], parts[1], parts[2], parts[3], []byte(parts[4]))
	if err != nil {
		t.Fatalf("fingerprint: %v", err)
	}
	return f
}

func TestSealProperties(t *testing.T) {
	keys := openKeys(t, nil)
	s, cold := keyring.NewSealer(keys, 4), keyring.NewSealer(keys, 1)
	texts := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	rapid.Check(t, func(t *rapid.T) {
		account := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "account")
		other := account + "x"
		text := texts.Draw(t, "text")
		sealed := seal(t, s, account, text)
		if got := open(t, s, account, sealed); got != text {
			t.Fatalf("%q came back as %q", text, got)
		}
		if again := seal(t, cold, account, text); again != sealed {
			t.Fatalf("%q sealed twice: %s, %s", text, sealed, again)
		}
		if text == "" {
			return
		}
		if len(text) >= 4 && strings.Contains(string(sealed), text) {
			t.Fatalf("%q shows in %s", text, sealed)
		}
		elsewhere := seal(t, s, other, text)
		if elsewhere == sealed {
			t.Fatalf("two accounts seal %q alike", text)
		}
		if _, err := s.Open(context.Background(), other, sealed); !errors.Is(err, keyring.ErrDamaged) {
			t.Fatalf("opened with another account's key: %v", err)
		}
		b := []byte(sealed)
		i := rapid.IntRange(0, len(b)-1).Draw(t, "tampered byte")
		b[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		_, err := s.Open(context.Background(), account, domain.Sealed(b))
		if !errors.Is(err, keyring.ErrDamaged) && !errors.Is(err, keyring.ErrKeyMissing) {
			t.Fatalf("tampered %s: %v", b, err)
		}
	})
}

func TestSealTexts(t *testing.T) {
	s := keyring.NewSealer(openKeys(t, nil), 0)
	for _, text := range []string{
		"", "x", "fifteen bytes..", "sixteen bytes...", "Jürgen 李雷 🚀 ١٢", "\x00\xff\xfe", keyring.Erased,
		strings.Repeat("é", 32<<10),
	} {
		sealed := seal(t, s, "account", text)
		if got := open(t, s, "account", sealed); got != text {
			t.Errorf("%.40q came back as %.40q", text, got)
		}
		if (sealed == "") != (text == "") {
			t.Errorf("%.40q sealed as %.40q", text, sealed)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	keys := openKeys(t, nil)
	s := keyring.NewSealer(keys, 0)
	sealed := string(seal(t, s, "account", "a note of some length"))
	body := strings.TrimPrefix(sealed, "s1.1.")
	cases := []struct {
		name, account, sealed string
		want                  error
	}{
		{"plain text", "account", "a note", keyring.ErrDamaged},
		{"another version", "account", "s2.1." + body, keyring.ErrDamaged},
		{"no generation", "account", "s1.." + body, keyring.ErrDamaged},
		{"generation 0", "account", "s1.0." + body, keyring.ErrDamaged},
		{"generation 01", "account", "s1.01." + body, keyring.ErrDamaged},
		{"generation +1", "account", "s1.+1." + body, keyring.ErrDamaged},
		{"generation 2^32", "account", "s1.4294967296." + body, keyring.ErrDamaged},
		{"generation of the future", "account", "s1.2." + body, keyring.ErrKeyMissing},
		{"account without a key", "nobody", sealed, keyring.ErrKeyMissing},
		{"empty ciphertext", "account", "s1.1.", keyring.ErrDamaged},
		{"short ciphertext", "account", "s1.1.AAAA", keyring.ErrDamaged},
		{"cut", "account", sealed[:len(sealed)-4], keyring.ErrDamaged},
		{"line break", "account", sealed + "\n", keyring.ErrDamaged},
		{"padding", "account", sealed + "=", keyring.ErrDamaged},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			text, err := s.Open(t.Context(), c.account, domain.Sealed(c.sealed))
			if !errors.Is(err, c.want) || text != "" {
				t.Errorf("got %q, %v", text, err)
			}
		})
	}
	if _, status, _ := keys.Find(t.Context(), "nobody"); status != keyring.None {
		t.Error("opening made a key")
	}
}

func TestDestroyErases(t *testing.T) {
	dir := t.TempDir()
	keys, err := keyring.Open(dir, keyring.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, other := keyring.NewSealer(keys, 0), keyring.NewSealer(keys, 0)
	first := seal(t, s, "account", "the first life")
	request := []string{"account", "POST", "/v1", "actor", "{}"}
	print1 := fingerprint(t, s, request...)
	neighbour := seal(t, s, "neighbour", "unharmed")
	open(t, other, "account", first)

	if err := s.Destroy(t.Context(), "account"); err != nil {
		t.Fatal(err)
	}
	other.Forget("account")
	for _, s := range []*keyring.Sealer{s, other} {
		if got := open(t, s, "account", first); got != keyring.Erased {
			t.Errorf("destroyed text reads %q", got)
		}
	}
	if err := errors.Join(s.Destroy(t.Context(), "account"), keys.Close()); err != nil {
		t.Fatal(err)
	}
	keys, err = keyring.Open(dir, keyring.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	s = keyring.NewSealer(keys, 0)
	if got := open(t, s, "account", first); got != keyring.Erased {
		t.Errorf("destroyed text reads %q after a restart", got)
	}
	second := seal(t, s, "account", "the second life")
	if !strings.HasPrefix(string(second), "s1.2.") {
		t.Errorf("new text is sealed as %s", second)
	}
	if got := open(t, s, "account", second); got != "the second life" {
		t.Errorf("new text reads %q", got)
	}
	if got := open(t, s, "account", first); got != keyring.Erased {
		t.Errorf("old text beside a new key reads %q", got)
	}
	if fingerprint(t, s, request...) == print1 {
		t.Error("fingerprint outlived its key")
	}
	if got := open(t, s, "neighbour", neighbour); got != "unharmed" {
		t.Errorf("neighbour reads %q", got)
	}
}

func TestFingerprintParts(t *testing.T) {
	s := keyring.NewSealer(openKeys(t, nil), 0)
	base := []string{"account", "POST", "/v1/a", "actor", `{"a":1}`}
	want := fingerprint(t, s, base...)
	if len(want) != 22 || fingerprint(t, s, base...) != want {
		t.Fatalf("fingerprint %q", want)
	}
	seen := map[string][]string{want: base}
	note := func(parts []string) {
		f := fingerprint(t, s, parts...)
		if before, twice := seen[f]; twice {
			t.Errorf("%q and %q have one fingerprint", before, parts)
		}
		seen[f] = parts
	}
	for i := range base {
		changed := append([]string(nil), base...)
		changed[i] += "x"
		note(changed)
		if i+1 < len(base) {
			moved := append([]string(nil), base...)
			moved[i], moved[i+1] = base[i]+base[i+1][:1], base[i+1][1:]
			note(moved)
		}
	}
}

// The formats are stored for ever: these values must open with every version.
func TestGolden(t *testing.T) {
	random := make([]byte, 64)
	for i := range random {
		random[i] = byte(i)
	}
	s := keyring.NewSealer(openKeys(t, bytes.NewReader(random)), 0)
	const (
		wantSeal  = "s1.1.H5d-yk1-Dt5Yy6HUpHNjw7K6YkuY72kLihOJmsHprk7WybB3jaA"
		wantPrint = "e6U1tO-aw-JPcetaeDcfsA"
	)
	if got := seal(t, s, "acct-1", "GPU node never came up"); got != wantSeal {
		t.Errorf("sealed as %s", got)
	}
	if got := fingerprint(t, s, "acct-1", "POST", "/v1/accounts/{account}/deductions", "deployer", `{"amount":"1"}`); got != wantPrint {
		t.Errorf("fingerprint %s", got)
	}
}

// counting counts reads of keys, and can stop one of them half-way.
type counting struct {
	keyring.Keys
	mu    sync.Mutex
	reads int
	after func()
}

func (c *counting) Key(ctx context.Context, account string) (keyring.Key, error) {
	key, err := c.Keys.Key(ctx, account)
	c.mu.Lock()
	c.reads++
	after := c.after
	c.mu.Unlock()
	if after != nil {
		after()
	}
	return key, err
}

func TestCacheIsBounded(t *testing.T) {
	keys := &counting{Keys: openKeys(t, nil)}
	s := keyring.NewSealer(keys, 2)
	for _, account := range []string{"a", "b", "a", "b", "c", "b", "c", "a"} {
		seal(t, s, account, "text")
	}
	if keys.reads != 4 { // a, b, c and a again
		t.Errorf("%d reads", keys.reads)
	}
}

// together answers no call before all have come.
type together struct {
	keyring.Keys
	all sync.WaitGroup
}

func (k *together) Key(ctx context.Context, account string) (keyring.Key, error) {
	k.all.Done()
	k.all.Wait()
	return k.Keys.Key(ctx, account)
}

func TestPrepareWaitsForAllKeysAtOnce(t *testing.T) {
	accounts := []string{"a", "b", "c", "a b", "d"}
	keys := &together{Keys: openKeys(t, nil)}
	s := keyring.NewSealer(keys, 0)
	keys.all.Add(len(accounts))
	s.Prepare(t.Context(), slices.Values(accounts)) // one after the other would wait for ever
	for _, account := range accounts {
		seal(t, s, account, "text") // a call more would be one too many for all
	}
	s.Prepare(t.Context(), slices.Values(accounts))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	counted := &counting{Keys: keys.Keys}
	s = keyring.NewSealer(counted, 0)
	s.Prepare(ctx, slices.Values(accounts))
	if _, err := s.Seal(ctx, "e", "text"); !errors.Is(err, context.Canceled) {
		t.Errorf("sealed by a caller that has gone: %v", err)
	}
	if text := open(t, s, "a", seal(t, s, "a", "text")); text != "text" {
		t.Errorf("reads %q", text)
	}
}

func TestKeyReadBeforeDestroyIsNotCachedAfter(t *testing.T) {
	keys := &counting{Keys: openKeys(t, nil)}
	s := keyring.NewSealer(keys, 0)
	keys.after = func() {
		keys.after = nil
		if err := s.Destroy(t.Context(), "account"); err != nil {
			t.Error(err)
		}
	}
	late := seal(t, s, "account", "sealed while the key is destroyed")
	if got := open(t, s, "account", late); got != keyring.Erased {
		t.Errorf("reads %q", got)
	}
	if got := seal(t, s, "account", "after"); !strings.HasPrefix(string(got), "s1.2.") {
		t.Errorf("sealed as %s", got)
	}
}

func TestSealerRaces(t *testing.T) {
	s := keyring.NewSealer(openKeys(t, nil), 3)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 50 {
				account := fmt.Sprint(i % 5)
				text := fmt.Sprint(w, "-", i)
				sealed := seal(t, s, account, text)
				if got := open(t, s, account, sealed); got != text && got != keyring.Erased {
					t.Errorf("%q reads %q", text, got)
				}
				if w == 0 && i%10 == 9 {
					if err := s.Destroy(t.Context(), account); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
}

func FuzzOpen(f *testing.F) {
	s := keyring.NewSealer(openKeys(f, bytes.NewReader(make([]byte, 64))), 0)
	f.Add(string(seal(f, s, "account", "note")))
	f.Add("s1.1.")
	f.Add("s1.4294967295.AAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, sealed string) {
		text, err := s.Open(t.Context(), "account", domain.Sealed(sealed))
		if err == nil && text != "" && string(seal(t, s, "account", text)) != sealed {
			t.Errorf("%q opens as %q, which seals otherwise", sealed, text)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	s := keyring.NewSealer(openKeys(b, nil), 0)
	text := strings.Repeat("x", 60)
	seal(b, s, "account-1", text)
	b.ReportAllocs()
	for b.Loop() {
		seal(b, s, "account-1", text)
	}
}

func BenchmarkFingerprint(b *testing.B) {
	s := keyring.NewSealer(openKeys(b, nil), 0)
	body := strings.Repeat("x", 200)
	b.ReportAllocs()
	for b.Loop() {
		fingerprint(b, s, "account-1", "POST", "/v1/accounts/account-1/deductions", "deployer", body)
	}
}

func BenchmarkSealUncached(b *testing.B) {
	s := keyring.NewSealer(openKeys(b, nil), 1)
	seal(b, s, "account-0", "x")
	seal(b, s, "account-1", "x")
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i ^= 1
		seal(b, s, [2]string{"account-0", "account-1"}[i], "x")
	}
}

func BenchmarkFirstUse(b *testing.B) {
	keys := openKeys(b, nil)
	var mu sync.Mutex
	n := 0
	b.SetParallelism(256)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			mu.Lock()
			n++
			account := fmt.Sprint(n)
			mu.Unlock()
			if _, err := keys.Key(b.Context(), account); err != nil {
				b.Error(err)
			}
		}
	})
}
