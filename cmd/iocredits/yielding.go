package main

import (
	"runtime"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// yieldingFS is the disk under Pebble of an engine that serves. Flushes and
// compactions run for seconds beside requests, and Go lets a goroutine run for
// 10 ms before another gets its turn: with few processors a request, which needs
// several turns, would take as long as several of those. So whoever writes a
// table gives its turn away every yieldEvery.
type yieldingFS struct{ vfs.FS }

const yieldEvery = time.Millisecond

// Create opens a new file; tables are recognised by their name.
func (fs yieldingFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	if err != nil || !strings.HasSuffix(name, ".sst") {
		return f, err
	}
	return &yieldingFile{File: f, began: time.Now()}, nil
}

// Unwrap is how Pebble asks what is below.
func (fs yieldingFS) Unwrap() vfs.FS { return fs.FS }

// yieldingFile is a table that one goroutine writes.
type yieldingFile struct {
	vfs.File
	began time.Time
}

// Write writes a few kilobytes.
func (f *yieldingFile) Write(p []byte) (int, error) {
	if time.Since(f.began) > yieldEvery {
		runtime.Gosched()
		f.began = time.Now()
	}
	return f.File.Write(p)
}
