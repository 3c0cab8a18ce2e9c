package main

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"go.yaml.in/yaml/v3"

	"iocredits/domain"
	"iocredits/eventstore/disk"
	"iocredits/httpapi"
)

type keysCmd struct {
	Create       keysCreateCmd       `cmd:"" help:"Make an API key. It is printed once and kept nowhere."`
	CreateSigner keysCreateSignerCmd `cmd:"" help:"Make the key that signs checkpoints of the log."`
}

type keysCreateCmd struct {
	Role    string `help:"customer, service, bd, finance, support, auditor or admin." enum:"customer,service,bd,finance,support,auditor,admin" required:"" placeholder:"ROLE"`
	Actor   string `help:"Who acts with it, as every event will say; must not be a personal name." required:"" placeholder:"ID"`
	Account string `help:"The one account of a customer." env:"-" placeholder:"ID"`
	ID      string `help:"Name of the key in logs and events; made up if not given." placeholder:"ID"`
	Append  string `help:"Add the entry to this file instead of printing it." placeholder:"FILE"`
}

// roleCustomer is the one role that is bound to an account.
const roleCustomer = string(httpapi.RoleCustomer)

func (c *keysCreateCmd) check() error {
	if c.ID == "" {
		var b [4]byte
		_, _ = rand.Read(b[:]) // never fails: it ends the process instead
		c.ID = "key-" + hex.EncodeToString(b[:])
	}
	switch {
	case c.Role == roleCustomer && c.Account == "":
		return usagef("--role customer needs --account: which one is it for?")
	case c.Role != roleCustomer && c.Account != "":
		return usagef("--account is for --role customer; a key of role %s is for all accounts", c.Role)
	}
	err := cmp.Or(domain.CheckID("--actor", c.Actor), domain.CheckID("--id", c.ID))
	if err == nil && c.Role == roleCustomer {
		err = domain.CheckAccount("--account", c.Account) // as the start of the engine does
	}
	if err != nil {
		return &usageError{err}
	}
	return nil
}

// keyEntry is one key in the file of --keys: its digest, never the key.
type keyEntry struct {
	ID      string `yaml:"id"`
	Role    string `yaml:"role"`
	Account string `yaml:"account,omitempty"`
	Actor   string `yaml:"actor"`
	SHA256  string `yaml:"sha256"`
}

// Run prints the key and its entry for the file of --keys.
func (c *keysCreateCmd) Run(m *Main) error {
	if err := c.check(); err != nil {
		return err
	}
	key := newKey()
	entry, err := yaml.Marshal([]keyEntry{{c.ID, c.Role, c.Account, c.Actor, httpapi.HashKey(key)}})
	if err != nil {
		return fmt.Errorf("encode entry: %w", err)
	}
	if c.Append != "" {
		if err := checkFolder("--append", c.Append); err != nil {
			return err
		}
		if info, err := os.Stat(c.Append); err == nil && info.IsDir() {
			return usagef("--append: %s is a folder: name a file", c.Append)
		}
		if err := appendKey(c.Append, entry); err != nil {
			return fmt.Errorf("add key: %w", err)
		}
		fmt.Fprintf(m.Stderr, "key %s is in %s; a running engine reads that file again at SIGHUP\n", c.ID, c.Append)
		_, err = fmt.Fprintf(m.Stdout, "%s\n", key)
		return err
	}
	_, err = fmt.Fprintf(m.Stdout, "The key, shown this once:\n\n%s\n\nIts entry for the file of serve --keys:\n\n%s", key, entry)
	return err
}

// appendKey adds an entry to the file of --keys. What it leaves is what serve takes: an
// id that is there already is refused with all else that serve refuses, and nothing changes.
// The file is replaced as a whole where it can be, so a crash leaves no half entry at its
// end; whoever adds another at the same time waits.
func appendKey(path string, entry []byte) (err error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return appendFile(path, entry) // a pipe has no ids
	}
	f, err := lockFile(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	content, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	had := len(content)
	if had > 0 && !bytes.HasSuffix(content, []byte("\n")) {
		content = append(content, '\n')
	}
	content = append(content, entry...)
	if _, err := httpapi.ParseKeys(bytes.NewReader(content)); err != nil {
		return usagef("--append: serve would not take %s with one key more, and it stays as it is: %w", path, err)
	}
	err = disk.RewriteFile(path, content)
	if errors.Is(err, syscall.EBUSY) { // a mount of its own, as a container has: nothing takes its place
		_, err = f.Write(content[had:])
		err = errors.Join(err, f.Sync())
	}
	return err
}

// lockFile opens a file, which it makes if need be, and holds it alone until it is
// closed. Whoever held it before has put another in its place: the lock counts only for
// the one that is there.
func lockFile(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, privateMode)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		held, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if there, err := os.Stat(path); err == nil && os.SameFile(held, there) {
			return f, nil
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
}

func appendFile(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, privateMode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}
