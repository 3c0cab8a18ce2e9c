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

// CreateFile makes a small file as a whole, durably, of a mode that no umask narrows, and
// never in the place of another: a crash leaves no file or all of it; without hard links
// also an empty one. After an error it has made nothing. Error: an *os.PathError of Op
// "create" where no file can be made; it is os.ErrExist if something is there.
func CreateFile(path string, content []byte, mode os.FileMode) error {
	return createFile(path, content, mode, os.Link)
}

func createFile(path string, content []byte, mode os.FileMode, link func(from, to string) error) error {
	temporary, err := writeBeside(path, content, func(f *os.File) error { return f.Chmod(mode) })
	if err != nil {
		return err
	}
	// A rename would replace what is there.
	if err = link(temporary, path); err == nil {
		err = os.Remove(temporary)
	} else if err = claim(path); err != nil {
		return errors.Join(err, os.Remove(temporary))
	} else if err = os.Rename(temporary, path); err != nil {
		return errors.Join(err, os.Remove(path), os.Remove(temporary))
	}
	if err = errors.Join(err, SyncDir(filepath.Dir(path))); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// claim makes an empty file where there is nothing.
func claim(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return cantCreate(path, err)
	}
	return f.Close()
}

// cantCreate names the file that was asked for, and not one beside it.
func cantCreate(path string, err error) error {
	var of *os.PathError
	if errors.As(err, &of) {
		err = of.Err
	}
	return &os.PathError{Op: "create", Path: path, Err: err}
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

func replace(path string, content []byte, dress func(*os.File) error) error {
	temporary, err := writeBeside(path, content, dress)
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return SyncDir(filepath.Dir(path))
}

// writeBeside makes a file of another name in the folder of path, durably but for its name.
func writeBeside(path string, content []byte, dress func(*os.File) error) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return "", cantCreate(path, err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, dress(f), f.Sync(), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}
