package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

const (
	// hugePages has glibc ask the kernel for huge pages for what malloc gives: Pebble's
	// memtables and block caches, where nearly every access would miss the processor's TLB.
	hugePages = "GLIBC_TUNABLES=glibc.malloc.hugetlb=1"
	// startedOver says that hugePages was asked for. Where a program has more rights than
	// who starts it, glibc takes its own variable away.
	startedOver = "IOCREDITS_STARTED_OVER=1"
	// hugePagesOf says who gets huge pages: all, nobody, or who asks.
	hugePagesOf = "/sys/kernel/mm/transparent_hugepage/enabled"
)

// useHugePages starts a program that fills memtables over, in the same process, with
// hugePages in its environment: glibc reads that before anything of ours runs. An
// operator's GLIBC_TUNABLES stands. MUST be called before anything is read or opened,
// signals are caught or standard input is touched. It is no more than faster, so a system
// that can't do it goes on without.
func useHugePages(args []string) {
	if !slices.Contains(args, "serve") && !slices.Contains(args, "rebuild") {
		return
	}
	for _, said := range []string{hugePages, startedOver} {
		name, _, _ := strings.Cut(said, "=")
		if _, is := os.LookupEnv(name); is {
			return
		}
	}
	if who, err := os.ReadFile(hugePagesOf); err != nil || !strings.Contains(string(who), "[madvise]") {
		return
	}
	if binary, err := os.Executable(); err == nil && isBinary(os.Args[0], binary) {
		_ = syscall.Exec(binary, os.Args, append(os.Environ(), hugePages, startedOver))
	}
}

// isBinary tells that a program was started by this name. Otherwise the binary may be a
// loader's, which would take the first argument for a program.
func isBinary(name, binary string) bool {
	path, err := exec.LookPath(name)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	return err == nil && path == binary
}
