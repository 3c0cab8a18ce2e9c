package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// What serve does only while it is measured.

// profile writes a CPU profile until end is called.
func (c *serveCmd) profile() (end func() error, err error) {
	if c.CPUProfile == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(c.CPUProfile)
	if err != nil {
		return nil, fmt.Errorf("CPU profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("CPU profile: %w", err), f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// slowSyncs is the disk with each sync made longer by delay, as on a machine
// whose disk is a network away. Only what it opens for writing is slower.
func slowSyncs(delay time.Duration) vfs.FS {
	if delay == 0 {
		return vfs.Default
	}
	return slowFS{vfs.Default, delay}
}

type slowFS struct {
	vfs.FS
	delay time.Duration
}

func (fs slowFS) slow(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return slowFile{f, fs.delay}, nil
}

// Create opens a new file.
func (fs slowFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.slow(fs.FS.Create(name, category))
}

// ReuseForWrite recycles a file, as Pebble does with logs.
func (fs slowFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.slow(fs.FS.ReuseForWrite(oldname, newname, category))
}

// Unwrap is how Pebble asks what is below.
func (fs slowFS) Unwrap() vfs.FS { return fs.FS }

type slowFile struct {
	vfs.File
	delay time.Duration
}

// Sync takes the file's own time and delay.
func (f slowFile) Sync() error {
	defer time.Sleep(f.delay)
	return f.File.Sync()
}

// SyncData is Sync without metadata; the log uses it.
func (f slowFile) SyncData() error {
	defer time.Sleep(f.delay)
	return f.File.SyncData()
}
