package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/eventstore/keyring"
	"iocredits/eventstore/ledger"
	"iocredits/eventstore/pebblestore"
	"iocredits/httpapi"
	"iocredits/projections"
)

type forgetCmd struct {
	Account string   `arg:"" help:"Account whose free text is to be erased."`
	Reason  string   `help:"Why, in the clear and for ever: a case number, nothing personal." env:"-" required:"" placeholder:"TEXT"`
	Force   bool     `help:"Also while withdrawals, disputes, adjustments or credit requests are open: who decides them can't read the address, or the reasons, any more." env:"-"`
	Data    string   `help:"Data directory of an engine, running or stopped." default:".data" placeholder:"DIR"`
	Backup  []string `help:"Copies in which the key is destroyed too: folders of keyrings, or backups of data directories." placeholder:"DIR"`

	EventStore    string `name:"eventstore" help:"Do it on a cluster, beside the engines that run on it, instead of in --data: esdb://… or esdb+discover://…" placeholder:"URL"`
	KeyringSecret string `help:"Required with --eventstore: file with 32 random bytes in hex that wrap the keyring there, as for serve." placeholder:"FILE"`
}

// Run destroys the account's key in the backups first, then in the keyring, and
// leaves the event: it says that the key is gone everywhere.
func (c *forgetCmd) Run(ctx context.Context, parsed *kong.Context, m *Main) (err error) {
	if err := c.check(); err != nil {
		return &usageError{err} // before a key in a backup is gone
	}
	if isEmpty(parsed, "backup", strings.Join(c.Backup, "")) {
		return usagef("%s is empty: name a folder", sourceOf(parsed, "backup"))
	}
	if err := c.checkCopies(); err != nil {
		return err
	}
	logger := m.warnings()
	forget := c.inData
	if c.EventStore != "" {
		log, openErr := openCluster(ctx, c.EventStore, c.KeyringSecret, logger)
		if openErr != nil {
			return openErr
		}
		defer func() { err = errors.Join(err, log.close()) }()
		forget = func(ctx context.Context, wish httpapi.Wish, logger *slog.Logger) (forgotten, error) {
			return c.onCluster(ctx, log, wish, logger)
		}
	} else if c.KeyringSecret != "" {
		return usagef("--keyring-secret needs --eventstore")
	} else if err := dataDir(c.Data).checkLog(orOnCluster); err != nil {
		return err
	}
	wish := httpapi.Wish{Reason: c.Reason, Force: c.Force}
	if len(c.Backup) > 0 { // what is to be refused must be before a key in them is gone
		look := wish
		look.Look = true
		if _, err := forget(ctx, look, logger); err != nil {
			return err
		}
	}
	for _, backup := range c.Backup {
		done, err := destroyIn(ctx, backup, c.Account)
		if err != nil {
			return err
		}
		fmt.Fprintln(m.Stdout, done)
	}
	done, err := forget(ctx, wish, logger)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(m.Stdout, "%s: %s\n", c.Account, done)
	return err
}

func (c *forgetCmd) check() error {
	if err := domain.CheckID("account", c.Account); err != nil {
		return err
	}
	return account.CheckForgetReason(c.Reason)
}

// inData leaves it to the engine that runs in the data directory, if one does.
func (c *forgetCmd) inData(ctx context.Context, wish httpapi.Wish, logger *slog.Logger) (forgotten, error) {
	dir := dataDir(c.Data)
	request := controlRequest{Do: "forget", Account: c.Account, Reason: wish.Reason, Force: wish.Force}
	if wish.Look {
		request.Do = "look-forget"
	}
	answer, conn, err := askEngine(ctx, dir, request)
	if errors.Is(err, errNoEngine) {
		return c.alone(ctx, dir, wish, logger)
	}
	if err != nil {
		return forgotten{}, err
	}
	return answer.Forgotten, conn.Close()
}

// checkCopies opens every copy once, before a key in the first of them is gone.
func (c *forgetCmd) checkCopies() error {
	for _, backup := range c.Backup {
		if c.EventStore == "" && c.isOwn(backup) {
			return usagef("--backup %s: that is no copy but the keyring of --data itself, in which the key is destroyed in any case", backup)
		}
		keys, err := keyring.OpenCopy(backup)
		if errors.Is(err, keyring.ErrNoKeyring) {
			return usagef("--backup %s: %w", backup, err)
		}
		if err != nil {
			return fmt.Errorf("--backup %s: %w", backup, err)
		}
		if err := keys.Close(); err != nil {
			return err
		}
	}
	return nil
}

// isOwn tells that a copy is the keyring of --data, which an engine may hold, or --data.
func (c *forgetCmd) isOwn(backup string) bool {
	own := dataDir(c.Data).keyring()
	return sameFolder(backup, own) || sameFolder(dataDir(backup).keyring(), own)
}

func sameFolder(a, b string) bool {
	one, errOne := os.Stat(a)
	other, errOther := os.Stat(b)
	return errOne == nil && errOther == nil && os.SameFile(one, other)
}

// destroyIn destroys the key in a copy of a keyring, and says what came of it.
func destroyIn(ctx context.Context, backup, account string) (done string, err error) {
	keys, err := keyring.OpenCopy(backup)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, keys.Close()) }()
	was, err := keys.Destroy(ctx, account)
	if err != nil {
		return "", err
	}
	if was != keyring.Live {
		return keys.Dir + ": this copy has no key of the account that could be destroyed", nil
	}
	return keys.Dir + ": key destroyed in this copy", nil
}

// alone does it without an engine.
func (c *forgetCmd) alone(ctx context.Context, dir dataDir, wish httpapi.Wish, logger *slog.Logger) (done forgotten, err error) {
	lock, err := dir.open()
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	log, err := openWithKeys(dir, pebblestore.Options{Logger: logger})
	if err != nil {
		return done, err
	}
	if err := log.checkKeys(ctx, dir); err != nil { // of a key that is in another keyring the event would not be true
		return done, errors.Join(err, log.close())
	}
	s, err := openViews(ctx, dir, log, projections.Options{Logger: logger})
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.views.RunToEnd(ctx, nil); err != nil {
		return done, err
	}
	clock, err := openDevClock(dir.devClock()) // without --dev it has no offset
	if err != nil {
		return done, err
	}
	return c.with(ctx, log, wish, ledger.Options{Store: log.store, Snapshots: log.snapshots, Known: s.views.Figures, Codec: s.codec, Names: s.views, Clock: clock.Now, Logger: logger})
}

// onCluster does it beside running engines: the key is theirs too, and the event
// makes them drop it from memory. The expected revision decides who is first.
func (c *forgetCmd) onCluster(ctx context.Context, log *eventLog, wish httpapi.Wish, logger *slog.Logger) (forgotten, error) {
	return c.with(ctx, log, wish, ledger.Options{
		Store: log.store, Snapshots: log.snapshots, Shared: true, Codec: eventstore.NewCodec(account.EventTypes()...), Names: noNames{}, Clock: time.Now, Logger: logger,
	})
}

// with makes a ledger for this one command.
func (c *forgetCmd) with(ctx context.Context, log *eventLog, wish httpapi.Wish, opts ledger.Options) (forgotten, error) {
	l := ledger.New(opts)
	f := forgetter{httpapi.Forgetter{Store: log.store, Ledger: l, Sealer: keyring.NewSealer(log.keys, 1)}}
	done, err := f.forget(ctx, c.Account, wish)
	return done, errors.Join(err, l.Close(ctx))
}

// noNames stands for the read model of names where there is none: forgetting has
// no command id, and claims and asks for no name.
type noNames struct{}

func (noNames) Through() eventstore.Position { return math.MaxInt64 }

func (noNames) WaitThrough(context.Context, eventstore.Position) error { return nil }

func (noNames) Find(_ context.Context, _ string, name ledger.Name) (int64, bool, error) {
	return 0, false, fmt.Errorf("name %x was asked for, and there is no read model of names", name)
}

// operator is whoever controls the data directory.
func operator(account string) ledger.Request {
	return ledger.Request{Account: account, Actor: "operator", Role: string(httpapi.RoleAdmin)}
}
