package main

import (
	"context"
	"os"
	"strings"
	"syscall"
)

const (
	// hugePages has glibc ask the kernel for huge pages for what malloc gives: Pebble's
	// memtables and caches of blocks, of which nearly each access would need an entry of the
	// processor's own table of pages that isn't there.
	hugePages = "GLIBC_TUNABLES=glibc.malloc.hugetlb=1"
	// hugePagesOf says who gets huge pages: all, nobody, or who asks.
	hugePagesOf = "/sys/kernel/mm/transparent_hugepage/enabled"
)

// useHugePages starts a program that has its process alone over, in the same process,
// with hugePages in its environment: glibc reads that before anything of ours runs. An
// operator's GLIBC_TUNABLES stands. Nothing may be open yet, and no signal have come that
// ends ctx, of which the program would know nothing any more. It is no more than faster, so
// a system that can't do it goes on without.
func (m *Main) useHugePages(ctx context.Context) {
	name, _, _ := strings.Cut(hugePages, "=")
	if _, said := os.LookupEnv(name); said || !m.Alone || ctx.Err() != nil {
		return
	}
	if who, err := os.ReadFile(hugePagesOf); err != nil || !strings.Contains(string(who), "[madvise]") {
		return
	}
	if binary, err := os.Executable(); err == nil {
		_ = syscall.Exec(binary, os.Args, append(os.Environ(), hugePages))
	}
}
