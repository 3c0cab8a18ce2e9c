package disk

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// SyncDir makes the names in a directory durable: without its own name all that was
// made durable in a new file would be lost with it.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// MakeDir makes a directory (mode 0700) with its parents, durably. One that is there is
// made durable too: an earlier process may have died before it did that.
func MakeDir(dir string) error { return makeDir(dir, SyncDir) }

// makeDir makes each name durable before there is one below it: what a crash leaves is a
// path of which only the last name may still be lost.
func makeDir(dir string, sync func(string) error) error {
	parent := filepath.Dir(dir)
	info, err := os.Stat(dir)
	switch {
	case err == nil && !info.IsDir():
		return &os.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
	case err == nil:
		// Where it may not even be read, nobody like this process made a name.
		if err = sync(parent); errors.Is(err, os.ErrPermission) {
			return nil
		}
		return err
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	if err := makeDir(parent, sync); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return sync(parent)
}

// WriteFile replaces a small file as a whole, durably: a crash leaves the old content
// or the new one.
func WriteFile(path string, content []byte, mode os.FileMode) error {
	return replace(path, content, func(f *os.File) error { return f.Chmod(mode) })
}

// RewriteFile is WriteFile for a file that is there, and isn't the caller's alone: its
// mode and its owner stay. A symbolic link to it stays one.
func RewriteFile(path string, content []byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return replace(path, content, func(f *os.File) error {
		made, err := f.Stat()
		if err != nil {
			return err
		}
		owner, known := info.Sys().(*syscall.Stat_t)
		mine, _ := made.Sys().(*syscall.Stat_t)
		if known && (owner.Uid != mine.Uid || owner.Gid != mine.Gid) {
			if err := f.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
				return err
			}
		}
		return f.Chmod(info.Mode())
	})
}

func replace(path string, content []byte, dress func(*os.File) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(content)
	if err = errors.Join(err, dress(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}
