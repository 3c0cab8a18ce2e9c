// Package keyring seals free text: names, reasons, notes, wallet addresses are
// encrypted under a key of their account before they enter a command, and
// requests get their fingerprints under the same key (design.md rule 14).
// Destroying the key erases the text from every event, snapshot, view and
// backup of them at once and breaks no hash. It never sees money and never
// logs a key or a text.
package keyring

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/tink-crypto/tink-go/v2/daead/subtle"
)

// secretSize of the root secret of an account, from which its subkeys come.
const secretSize = 64

// Key is one generation of an account's key. Generations count from 1; each
// Destroy ends one, and text that is sealed afterwards belongs to the next.
type Key struct {
	Generation uint32
	Secret     [secretSize]byte `json:"-"`
}

// Format hides the secret from every verb, as its tag does from JSON: no log has it.
func (k Key) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "key generation %d", k.Generation) }

// Status of an account's newest key.
type Status int

// None is an account that never had a key.
const (
	None Status = iota
	Live
	Destroyed
)

// Keys is where the keys are kept. Every method is safe for concurrent use.
type Keys interface {
	// Key gives the account's live key and makes one if there is none. It MUST
	// NOT return a key that a power cut could still take back: what is sealed
	// under a lost key is lost.
	Key(ctx context.Context, account string) (Key, error)

	// Find gives the newest key and never makes one. Of a destroyed key only
	// the generation is left.
	Find(ctx context.Context, account string) (Key, Status, error)

	// Destroy erases the account's live key and remembers that it did; without
	// a live key it changes nothing. When it returns nil the erasure is durable,
	// and Key makes the next generation. After an error the outcome is unknown;
	// it can be repeated.
	Destroy(ctx context.Context, account string) error
}

// Errors of this package; compare with errors.Is.
var (
	// ErrDamaged: a sealed text that this account's key did not make.
	ErrDamaged = errors.New("sealed text is damaged")
	// ErrKeyMissing: a text is sealed under a key that the keyring never had;
	// it is another keyring, or an older backup of this one.
	ErrKeyMissing = errors.New("keyring lacks the key of a sealed text")
	// ErrUnavailable: no key can be made or destroyed: the disk had no room, or failed.
	ErrUnavailable = errors.New("keyring can't be written")
	// ErrKeyLost: an account without a key must have had one, see Options.Lost.
	ErrKeyLost = errors.New("the keyring has lost the key of the account")
	// ErrClosed: the keyring was closed.
	ErrClosed = errors.New("keyring closed")
	// ErrInvalidAccount: the keys can't be kept under this name.
	ErrInvalidAccount = errors.New("account name doesn't fit the keyring")
)

// primitives are what one generation of an account's key does its work with. They are
// one piece of memory: there are as many as accounts are busy, and each garbage
// collection goes through them.
type primitives struct {
	account     string
	fingerprint fingerprintKey
	key         Key
	// siv is made when a text is there to be sealed or opened: most requests have
	// none, and it is as large as all the rest.
	siv  *subtle.AESSIV
	err  error
	once sync.Once
}

// derive gives each purpose a subkey of its own: what one of them might reveal
// says nothing about the other.
func derive(account string, key Key) (*entry, error) {
	fingerprint, err := hkdf.Expand(sha256.New, key.Secret[:], "iocredits/keyring/fingerprint/1", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive fingerprint key: %w", err)
	}
	account = strings.Clone(account) // it may be a part of a request, which would stay with it
	return &entry{Value: primitives{account: account, fingerprint: fingerprintKey(fingerprint), key: key}}, nil
}

// seal gives what seals and opens.
func (p *primitives) seal() (*subtle.AESSIV, error) {
	p.once.Do(func() { p.siv, p.err = deriveSeal(&p.key) })
	return p.siv, p.err
}

func deriveSeal(key *Key) (*subtle.AESSIV, error) {
	sealing, err := hkdf.Expand(sha256.New, key.Secret[:], "iocredits/keyring/seal/1", subtle.AESSIVKeySize)
	if err != nil {
		return nil, fmt.Errorf("derive sealing key: %w", err)
	}
	siv, err := subtle.NewAESSIV(sealing)
	if err != nil {
		return nil, fmt.Errorf("make sealing primitive: %w", err)
	}
	return siv, nil
}
