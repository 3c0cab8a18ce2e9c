package disk

import "github.com/cockroachdb/pebble/v2/vfs"

// Folders is a file system under Pebble, which panics where the sync of a folder fails. There
// the process ends as Logger.Fatalf has it.
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
