package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"iocredits/eventstore/transparency"
)

type keysCreateSignerCmd struct {
	Name string `help:"Origin of the checkpoints, for ever: a URL without its scheme, like example.org/credits." required:"" placeholder:"ORIGIN"`
	Out  string `help:"File for the private key; the public one goes to FILE.pub. Never overwritten." required:"" env:"-" placeholder:"FILE"`
}

// Run makes the key that signs checkpoints.
func (c *keysCreateSignerCmd) Run(m *Main) error {
	if strings.Contains(c.Name, "://") { // the checkpoints' form has none, and the name is for ever
		return usagef("--name %q has a scheme: leave it away, as in example.org/credits", c.Name)
	}
	if c.Out == "" {
		return usagef("--out is empty: name a file")
	}
	s, err := createSigner(c.Out, c.Name)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(m.Stdout, "%s\n", s.public)
	return err
}

// signerKey signs checkpoints, and checks what was signed before.
type signerKey struct {
	note.Signer
	verifier note.Verifier
	public   string
}

// createSigner makes a key in a new file: private and public, a line each, and the
// public one in a file of its own beside it. Neither is written over: the public key of
// a signer that is lost is all that its checkpoints can still be checked with.
func createSigner(path, name string) (*signerKey, error) {
	private, public, err := transparency.GenerateKey(rand.Reader, name)
	if err != nil {
		return nil, usagef("--name: %w", err)
	}
	files := []struct {
		path, content string
		mode          os.FileMode
	}{{path, private + "\n" + public + "\n", privateMode}, {path + ".pub", public + "\n", publicMode}}
	for _, f := range files {
		if _, err := os.Lstat(f.path); err == nil {
			return nil, usagef("signer: %s exists, and a key is never written over: name another file", f.path)
		}
	}
	for i, f := range files {
		err := createFile("signer", f.path, []byte(f.content), f.mode)
		if err == nil {
			continue
		}
		for _, made := range files[:i] {
			err = errors.Join(err, os.Remove(made.path))
		}
		return nil, err
	}
	return readSigner(path)
}

func readSigner(path string) (*signerKey, error) {
	if strings.Contains(path, privateKeyPrefix) {
		return nil, usagef("--signer takes the file of the key, not the key itself")
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, usagef("--signer: %w", err)
	}
	lines := strings.Fields(string(content))
	if len(lines) != 2 {
		return nil, usagef("--signer %s isn't what keys create-signer makes", path)
	}
	s := &signerKey{public: lines[1]}
	if s.Signer, err = note.NewSigner(lines[0]); err != nil {
		return nil, usagef("--signer %s: %w", path, err)
	}
	if s.verifier, err = note.NewVerifier(lines[1]); err != nil {
		return nil, usagef("--signer %s: %w", path, err)
	}
	return s, nil
}

// devOrigin names the checkpoints of an engine that runs with --dev.
const devOrigin = "localhost/iocredits-dev"

// openSigner gives the engine's signer; nil: it signs nothing.
func (c *serveCmd) openSigner(dir dataDir) (*signerKey, error) {
	if c.Signer != "" {
		return readSigner(c.Signer)
	}
	if !c.Dev {
		return nil, nil
	}
	if _, err := os.Stat(dir.devSigner()); errors.Is(err, os.ErrNotExist) {
		return createSigner(dir.devSigner(), devOrigin)
	}
	return readSigner(dir.devSigner())
}
