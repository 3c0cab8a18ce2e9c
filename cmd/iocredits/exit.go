package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"

	"iocredits/eventstore/disk"
)

// Exit codes, as a shell and a supervisor read them.
const (
	exitFailed   = 1
	exitUsage    = 2
	exitDisk     = disk.ExitCode
	exitFindings = 4
)

// exitCodes is the one table of them: --help and README show it.
var exitCodes = []struct {
	code    int
	meaning string
}{
	{0, "done; for serve: stopped as asked"},
	{exitFailed, "failed: something that was needed failed or was refused, such as an account that isn't there"},
	{exitUsage, "called wrongly: a flag, or a file or folder that was named isn't there or isn't what it should be"},
	{exitDisk, "the disk under the log, the keyring or the read models failed, and nothing that needed it was acknowledged after that"},
	{exitFindings, "a check found something: verify, diff, a receipt that isn't valid, a load that was charged wrongly"},
}

// usageError is a mistake in how the program was called: one line, exit code 2.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// checkFolder finds out that a file can't be made because its folder isn't there.
func checkFolder(flag, path string) error {
	if path == "" {
		return nil
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return usagef("%s: %w", flag, err)
	}
	return nil
}

// errDisk: the log or the keyring can take no more writes in this process.
var errDisk = errors.New("the disk under the log or the keyring failed, start the engine again")

// errFindings is how a check that found something ends the program.
var errFindings = errors.New("the check found something")

// foundError is what one check found, in its own words. It is errFindings too.
type foundError struct{ err error }

func (e *foundError) Error() string   { return e.err.Error() }
func (e *foundError) Unwrap() []error { return []error{e.err, errFindings} }

func foundf(format string, args ...any) error {
	return &foundError{fmt.Errorf(format, args...)}
}

// exitCode is what an error of Run ends the program with.
func exitCode(err error) int {
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, errDisk):
		return exitDisk
	case errors.Is(err, errFindings):
		return exitFindings
	}
	return exitFailed
}

// printHelp is kong's help, and for the program as a whole the exit codes.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil || ctx.Selected() != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("\nExit codes:\n")
	for _, e := range exitCodes {
		fmt.Fprintf(&b, "  %d  %s\n", e.code, e.meaning)
	}
	_, err := ctx.Stdout.Write([]byte(b.String()))
	return err
}

// helpText adds a flag's default where its placeholder hides it.
func helpText(value *kong.Value) string {
	text := kong.DefaultHelpValueFormatter(value)
	if value.HasDefault && value.Tag.PlaceHolder != "" && value.Default != "" {
		text = strings.TrimSuffix(text, ".") + fmt.Sprintf(" (default %s).", value.Default)
	}
	return text
}
