package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestKeysAreNeverPrinted: whatever is given as a public key, and from wherever, no
// message repeats it.
func TestKeysAreNeverPrinted(t *testing.T) {
	data, dir := t.TempDir(), t.TempDir()
	e := serve(t, data)
	e.trade("demo-1")
	require.NoError(t, e.stop())
	signer := filepath.Join(data, "dev-signer")
	content, err := os.ReadFile(signer)
	require.NoError(t, err)
	private, _, _ := strings.Cut(string(content), "\n")
	alone := filepath.Join(dir, "alone")
	require.NoError(t, os.WriteFile(alone, []byte(private), 0o600))
	junk := filepath.Join(dir, "junk")
	require.NoError(t, os.WriteFile(junk, []byte("password1"), 0o600))
	config := filepath.Join(dir, "config.yaml")
	require.NoError(t, os.WriteFile(config, []byte("public-key: ioc_password1\n"), 0o600))

	secret := "ioc_password1"
	for _, command := range [][]string{{"verify", "--data", data}, {"verify-receipt", junk}} {
		for _, c := range []struct {
			want string
			env  string
			args []string
		}{
			{"--key: " + signer + " holds the PRIVATE key; give the public one, " + signer + ".pub", "", []string{"--key", signer}},
			{"--key: " + alone + " holds the PRIVATE key; give the public one", "", []string{"--key", alone}},
			{"--key: that is the PRIVATE key", "", []string{"--key", private}},
			{"--key: " + junk + " is neither a public key nor a file that has one", "", []string{"--key", junk}},
			{"--key: read " + dir + ": is a directory", "", []string{"--key", dir}}, // as one that may not be read
			{"--key: what it was given is neither", secret, []string{"--key", secret}},
			{"IOCREDITS_PUBLIC_KEY: what it was given is neither", secret, nil},
			{"IOCREDITS_PUBLIC_KEY: that is the PRIVATE key", private, nil},
			{"public-key in the config file: what it was given is neither", "", []string{"--config", config}},
		} {
			if c.env != "" {
				t.Setenv("IOCREDITS_PUBLIC_KEY", c.env)
			} else {
				require.NoError(t, os.Unsetenv("IOCREDITS_PUBLIC_KEY"))
			}
			out, log, err := run(t, append(command, c.args...)...)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, exitUsage, exitCode(err))
			for _, text := range []string{out, log, err.Error()} {
				require.NotContains(t, text, "password1")
				require.NotContains(t, text, private[:len("PRIVATE+KEY+")])
			}
		}
	}
	_, err = readSigner(private)
	require.ErrorContains(t, err, "not the key itself")
	require.NotContains(t, err.Error(), private)
	hex := strings.Repeat("0a", 32)
	_, err = readKeyringSecret(hex)
	require.ErrorContains(t, err, "not the secret itself")
	require.NotContains(t, err.Error(), hex)
}

// TestAnAPIKeyIsNoPublicKey: who has exported one for load doesn't hand it to verify.
func TestAnAPIKeyIsNoPublicKey(t *testing.T) {
	data := t.TempDir()
	e := serve(t, data)
	e.trade("demo-1")
	t.Setenv("IOCREDITS_API_KEY", e.keys["service"])
	out, _, err := run(t, "verify", "--data", data)
	require.NoError(t, err, out)
	_, _, err = run(t, "load", repoRoot+"/testdata/samples/llm-trace.csv", "--account", "demo-1", "--url", e.url, "--dev-keys", "none")
	require.NoError(t, err)
}

// TestVerifySaysWhatItChecked, and never more than that.
func TestVerifySaysWhatItChecked(t *testing.T) {
	data, other := t.TempDir(), filepath.Join(t.TempDir(), "other")
	e := serve(t, data)
	e.trade("demo-1")
	e.must("auditor", http.MethodGet, "/v1/audit/checkpoint", "", "")
	require.NoError(t, e.stop())
	_, _, err := run(t, "keys", "create-signer", "--name", "localhost/iocredits-dev", "--out", other)
	require.NoError(t, err)
	pub := filepath.Join(data, "dev-signer.pub")

	out, _, err := run(t, "verify", "--data", data, "--key", pub, "--no-views")
	require.NoError(t, err, out)
	require.Regexp(t, `checkpoints  \d+, signatures good\n`, out)
	require.Contains(t, out, "read models  NOT COMPARED: left out, by --no-views\n")
	require.Contains(t, out, "\nno findings\n")

	out, _, err = run(t, "verify", "--data", data, "--key", other+".pub")
	require.Equal(t, exitFindings, exitCode(err))
	require.Regexp(t, `checkpoints  (\d+), 0 good, \d+ bad\n`, out)
	require.NotContains(t, out, "signatures good")

	kept := filepath.Join(t.TempDir(), "dev-signer.pub")
	require.NoError(t, os.Rename(pub, kept))
	require.NoError(t, os.RemoveAll(filepath.Join(data, "views")))
	out, _, err = run(t, "verify", "--data", data)
	require.NoError(t, err, out)
	require.Regexp(t, `checkpoints  \d+, signatures NOT CHECKED: no --key\n`, out)
	require.Contains(t, out, "\nno findings, signatures not checked\n")
	require.Contains(t, out, "read models  NOT COMPARED: there are none in "+data+"\n")

	require.NoError(t, os.RemoveAll(filepath.Join(data, "checkpoints")))
	out, _, err = run(t, "verify", "--data", data)
	require.NoError(t, err, out)
	require.Contains(t, out, "checkpoints  0, so NO signature was checked\n")
	require.Contains(t, out, "\nno findings, signatures not checked\n")
	out, _, err = run(t, "verify", "--data", data, "--key", kept)
	require.Equal(t, exitFindings, exitCode(err), "who removes the checkpoints doesn't pass")
	require.Contains(t, out, `checkpoint "none"`)
	require.Contains(t, out, "checkpoints  0, so NO signature was checked\n")
	out, _, err = run(t, "diff", "demo-1", "--data", data)
	require.NoError(t, err, out)
	require.Contains(t, out, "read models NOT COMPARED: there are none in "+data)
}

// TestAnEmptyKey is of a variable that isn't set: whoever gave it wants signatures checked.
func TestAnEmptyKey(t *testing.T) {
	data := t.TempDir()
	e := serve(t, data)
	e.trade("demo-1")
	require.NoError(t, e.stop())
	config := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(config, []byte("public-key: ''\n"), 0o600))
	empty := func(from string, args ...string) {
		out, _, err := run(t, append([]string{"verify", "--data", data}, args...)...)
		require.ErrorContains(t, err, from+" is empty")
		require.Equal(t, exitUsage, exitCode(err))
		require.Empty(t, out)
	}
	empty("--key", "--key", "")
	empty("--key", "--key=")
	empty("public-key in the config file", "--config", config)
	t.Setenv("IOCREDITS_PUBLIC_KEY", "")
	empty("IOCREDITS_PUBLIC_KEY")
}
