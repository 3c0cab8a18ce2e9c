package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"
	"golang.org/x/mod/sumdb/note"
)

// privateKeyPrefix begins every private key, as transparency.GenerateKey writes it.
const privateKeyPrefix = "PRIVATE+KEY+"

// readVerifier takes a public key as text, or the file that has it. What was given may be a
// secret by mistake, so no error repeats it, or a file's content: from says where it came
// from. Only the name of a file that is there is shown.
func readVerifier(key, from string) (note.Verifier, error) {
	what, holds := "what it was given", strings.TrimSpace(key)
	content, err := os.ReadFile(key)
	if err != nil && isThere(key) {
		return nil, usagef("%s: %w", from, err)
	}
	if err == nil {
		what, holds = key, strings.TrimSpace(string(content))
		if strings.Contains(holds, privateKeyPrefix) {
			return nil, usagef("%s: %s holds the PRIVATE key; give the public one%s", from, key, publicBeside(key))
		}
	}
	if strings.Contains(holds, privateKeyPrefix) {
		return nil, usagef("%s: that is the PRIVATE key; give the public one", from)
	}
	verifier, err := note.NewVerifier(holds)
	if err != nil {
		return nil, usagef("%s: %s is neither a public key nor a file that has one", from, what)
	}
	return verifier, nil
}

// publicBeside names the public key that create-signer put beside a private one.
func publicBeside(private string) string {
	if _, err := os.Stat(private + ".pub"); err != nil {
		return ""
	}
	return ", " + private + ".pub"
}

// sourceOf says where a flag's value comes from, in place of the value.
func sourceOf(parsed *kong.Context, name string) string {
	for _, p := range parsed.Path {
		if p.Flag != nil && p.Flag.Name == name {
			if p.Resolved {
				return fmt.Sprintf("%s in the config file", settingName(p.Flag))
			}
			return "--" + name
		}
	}
	for _, f := range parsed.Flags() {
		if f.Name != name {
			continue
		}
		for _, env := range f.Envs {
			if _, set := os.LookupEnv(env); set {
				return env
			}
		}
	}
	return "--" + name
}

// isEmpty tells that a flag without a default was given, from anywhere, as nothing: by a
// variable that isn't set. Whoever gave it meant something.
func isEmpty(parsed *kong.Context, name, value string) bool {
	for _, f := range parsed.Flags() {
		if f.Name == name {
			return f.Set && value == ""
		}
	}
	return false
}
