package disk

import (
	"errors"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Folders is a file system under Pebble, which panics where the sync of a folder fails. There
// the process ends as Logger.Fatalf has it. And Pebble names a new manifest in another file
// before it has made the manifest's own name durable: a power cut between the two would
// leave a database that can't be opened, so the name is made durable with what is in it.
type Folders struct {
	vfs.FS
	Logger Logger
}

// OpenDir implements vfs.FS.
func (f Folders) OpenDir(name string) (vfs.File, error) {
	dir, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return folder{dir, f.Logger}, nil
}

// Create implements vfs.FS.
func (f Folders) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, category)
	if err != nil || !strings.HasPrefix(f.PathBase(name), "MANIFEST-") {
		return file, err
	}
	return &named{File: file, folders: f, dir: f.PathDir(name)}, nil
}

// named is a file whose name lasts from its first sync on.
type named struct {
	vfs.File
	folders Folders
	dir     string
	lasts   bool
}

// Sync implements vfs.File.
func (n *named) Sync() error {
	if err := n.File.Sync(); err != nil || n.lasts {
		return err
	}
	dir, err := n.folders.OpenDir(n.dir)
	if err != nil {
		return err
	}
	n.lasts = true
	return errors.Join(dir.Sync(), dir.Close())
}

// Unwrap is how Pebble asks what is below.
func (f Folders) Unwrap() vfs.FS { return f.FS }

type folder struct {
	vfs.File
	logger Logger
}

// Sync implements vfs.File.
func (f folder) Sync() error {
	err := f.File.Sync()
	if err != nil {
		f.logger.Fatalf("folder: %s", Reason(err))
	}
	return err
}
