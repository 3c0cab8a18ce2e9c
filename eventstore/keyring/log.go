package keyring

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"iocredits/eventstore"
)

// LogKeys shares the keys of several engines through the log: each account's in
// a stream of its own, of which a cluster keeps only the newest event. The
// stream's expected revision decides between engines that make a key at once.
//
// Destroy appends an event without a secret, and the one with it is gone when
// the cluster scavenges next: until then, and in backups made before, it is
// there. So secrets are wrapped under a key that all engines have and the log
// doesn't: who reads the log or a backup of it has no account's key.
type LogKeys struct {
	store  eventstore.Store
	wrap   cipher.AEAD
	random io.Reader
}

var _ Keys = (*LogKeys)(nil)

// Types of the events in a keyring's stream. Stored names are for ever.
const (
	typeKeyMade      = "key-made"
	typeKeyDestroyed = "key-destroyed"
	// maxKeyRaces bounds how often another engine may come first.
	maxKeyRaces = 20
)

// keyRecord is the data of both. Secret is nonce and AES-GCM of the key.
type keyRecord struct {
	Generation uint32 `json:"generation"`
	Secret     []byte `json:"secret,omitempty"`
}

// NewLogKeys keeps keys in store, wrapped under a secret that MUST be the same
// on every engine and for ever.
func NewLogKeys(store eventstore.Store, wrapping [32]byte, options Options) (*LogKeys, error) {
	block, err := aes.NewCipher(wrapping[:])
	if err != nil {
		return nil, fmt.Errorf("open keyring: %w", err)
	}
	wrap, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("open keyring: %w", err)
	}
	k := &LogKeys{store: store, wrap: wrap, random: options.Random}
	if k.random == nil {
		k.random = rand.Reader
	}
	return k, nil
}

// Key implements Keys.
func (k *LogKeys) Key(ctx context.Context, account string) (Key, error) {
	if len(account) == 0 || len(account) > maxAccount {
		return Key{}, fmt.Errorf("%w: %d bytes, 1 to %d are allowed", ErrInvalidAccount, len(account), maxAccount)
	}
	for range maxKeyRaces {
		key, status, at, err := k.newest(ctx, account)
		if err != nil || status == Live {
			return key, err
		}
		next := Key{Generation: key.Generation + 1}
		if _, err := io.ReadFull(k.random, next.Secret[:]); err != nil {
			return Key{}, fmt.Errorf("make a key: %w", err)
		}
		won, err := k.put(ctx, account, at, next, Live)
		if won || err != nil {
			return next, err
		}
	}
	return Key{}, fmt.Errorf("make a key of account %q: %w: other engines came first", account, eventstore.ErrUnavailable)
}

// Find implements Keys.
func (k *LogKeys) Find(ctx context.Context, account string) (Key, Status, error) {
	key, status, _, err := k.newest(ctx, account)
	return key, status, err
}

// Destroy implements Keys. The erasure is durable when it returns, and physical
// after the cluster's next scavenge.
func (k *LogKeys) Destroy(ctx context.Context, account string) error {
	for range maxKeyRaces {
		key, status, at, err := k.newest(ctx, account)
		if err != nil || status != Live {
			return err
		}
		won, err := k.put(ctx, account, at, Key{Generation: key.Generation}, Destroyed)
		if won || err != nil {
			return err
		}
	}
	return fmt.Errorf("destroy the key of account %q: %w: other engines came first", account, eventstore.ErrUnavailable)
}

// Import puts a key of another keyring in its place, when a log moves to a
// cluster. It does nothing if it is there already, and destroys it if it was
// destroyed there since. A key of a later generation says that those before it were
// destroyed; if one of them is live here, it ends and makes room, unless mayEnd, which
// is asked first, has an error: text that nobody has a copy of MUST NOT be under it.
// Any other key that is there is an error.
func (k *LogKeys) Import(ctx context.Context, account string, key Key, status Status, mayEnd func(context.Context) error) error {
	for range maxKeyRaces {
		stored, storedStatus, at, err := k.newest(ctx, account)
		if err != nil || status == None {
			return err
		}
		if storedStatus == status && stored == key {
			return nil
		}
		switch {
		case storedStatus == Live && status == Destroyed && stored.Generation == key.Generation:
		case storedStatus == Live && stored.Generation < key.Generation:
			if err := mayEnd(ctx); err != nil {
				return fmt.Errorf("import the key of account %q: the log has one of generation %d that would end: %w", account, stored.Generation, err)
			}
		case storedStatus != None && stored.Generation >= key.Generation:
			return fmt.Errorf("import the key of account %q, generation %d: the log has another one, of generation %d: "+
				"either engines have used the account on it, or the keyring to copy is not the newest one", account, key.Generation, stored.Generation)
		}
		won, err := k.put(ctx, account, at, key, status)
		if won || err != nil {
			return err
		}
	}
	return fmt.Errorf("import the key of account %q: %w: others came first", account, eventstore.ErrUnavailable)
}

// newest reads the account's newest key and the revision that it is at.
func (k *LogKeys) newest(ctx context.Context, account string) (Key, Status, int64, error) {
	for r, err := range k.store.ReadStream(ctx, eventstore.KeyStream(account), eventstore.End, eventstore.Backwards, 1) {
		if err != nil {
			return Key{}, None, 0, fmt.Errorf("read key of account %q: %w", account, err)
		}
		key, status, err := k.decode(account, r)
		if err != nil {
			return Key{}, None, 0, fmt.Errorf("damaged keyring: account %q, revision %d: %w", account, r.Revision, err)
		}
		return key, status, r.Revision, nil
	}
	return Key{}, None, eventstore.NoStream, nil
}

// put appends the account's next record; won: no other engine came first.
func (k *LogKeys) put(ctx context.Context, account string, at int64, key Key, status Status) (won bool, err error) {
	stream, typ, content := eventstore.KeyStream(account), typeKeyDestroyed, keyRecord{Generation: key.Generation}
	if status == Live {
		typ = typeKeyMade
		nonce := make([]byte, k.wrap.NonceSize())
		if _, err := io.ReadFull(k.random, nonce); err != nil {
			return false, fmt.Errorf("make a nonce: %w", err)
		}
		content.Secret = k.wrap.Seal(nonce, nonce, key.Secret[:], associated(account, key.Generation))
	}
	if at == eventstore.NoStream {
		// Before the first key, or a crash between them would keep it for ever.
		_, err = k.append(ctx, eventstore.MetadataStream(stream), eventstore.NoStream, eventstore.TypeMetadata, []byte(eventstore.KeepNewest))
		if err != nil {
			return false, err
		}
	}
	data, err := json.Marshal(content)
	if err != nil {
		return false, fmt.Errorf("encode key: %w", err)
	}
	return k.append(ctx, stream, at, typ, data)
}

func (k *LogKeys) append(ctx context.Context, stream string, at int64, typ string, data []byte) (won bool, err error) {
	id, err := uuid.NewRandomFromReader(k.random)
	if err != nil {
		return false, fmt.Errorf("make an id: %w", err)
	}
	_, err = k.store.Append(ctx, stream, at, []eventstore.Event{{ID: id, Type: typ, Data: data, Metadata: []byte("{}")}})
	var conflict *eventstore.ConflictError
	if errors.As(err, &conflict) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("write %s: %w", stream, err)
	}
	return true, nil
}

func (k *LogKeys) decode(account string, r eventstore.Recorded) (Key, Status, error) {
	var content keyRecord
	if err := json.Unmarshal(r.Data, &content, json.RejectUnknownMembers(true)); err != nil {
		return Key{}, None, err
	}
	key := Key{Generation: content.Generation}
	if r.Type == typeKeyDestroyed {
		return key, Destroyed, nil
	}
	size := k.wrap.NonceSize()
	if r.Type != typeKeyMade || len(content.Secret) < size {
		return Key{}, None, fmt.Errorf("type %q with %d bytes", r.Type, len(content.Secret))
	}
	secret, err := k.wrap.Open(nil, content.Secret[:size], content.Secret[size:], associated(account, content.Generation))
	if err != nil || len(secret) != secretSize {
		return Key{}, None, fmt.Errorf("%w: it was wrapped under another secret", ErrKeyMissing)
	}
	copy(key.Secret[:], secret)
	return key, Live, nil
}
