package transparency

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

// A checkpoint is text that people and programs read (C2SP tlog-checkpoint),
// signed as a note (C2SP signed-note) with Ed25519:
//
//	example.org/iocredits        origin: the name of the key
//	1234                         size
//	8FzR…=                       root, base64
//
//	— example.org/iocredits aBcD…
func (h Head) text(origin string) string {
	return fmt.Sprintf("%s\n%d\n%s\n", origin, h.Size, h.Root)
}

// ErrSignature: the checkpoint isn't signed by the key that was given.
var ErrSignature = errors.New("checkpoint is not signed by this key")

// Sign makes a checkpoint of a head.
func Sign(h Head, signer note.Signer) (string, error) {
	signed, err := note.Sign(&note.Note{Text: h.text(signer.Name())}, signer)
	if err != nil {
		return "", fmt.Errorf("sign checkpoint: %w", err)
	}
	return string(signed), nil
}

// OpenCheckpoint checks a checkpoint and gives its head. Error: ErrSignature, or
// that the text is none.
func OpenCheckpoint(checkpoint string, verifier note.Verifier) (Head, error) {
	n, err := note.Open([]byte(checkpoint), note.VerifierList(verifier))
	if err != nil {
		return Head{}, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return Head{}, fmt.Errorf("checkpoint is not of %s", verifier.Name())
	}
	size, err := strconv.ParseUint(lines[1], 10, 63)
	if err != nil || strconv.FormatUint(size, 10) != lines[1] {
		return Head{}, fmt.Errorf("checkpoint has size %q", lines[1])
	}
	h := Head{Size: size}
	if err := h.Root.UnmarshalText([]byte(lines[2])); err != nil {
		return Head{}, fmt.Errorf("checkpoint's root: %w", err)
	}
	return h, nil
}

// GenerateKey makes a signer's key pair. The name becomes the origin of its
// checkpoints: a URL without scheme is usual, and names the company for ever.
func GenerateKey(random io.Reader, name string) (private, public string, err error) {
	// As the reader of a key has it: any character of Unicode that is a space.
	if name == "" || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsSpace) || strings.Contains(name, "+") {
		return "", "", fmt.Errorf("name %q: 1 or more characters without space or +", name)
	}
	return note.GenerateKey(random, name)
}
