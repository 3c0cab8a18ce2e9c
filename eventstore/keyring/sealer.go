package keyring

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"iocredits/domain"
)

// Erased is what a text reads as once its account's key was destroyed.
const Erased = "[erased]"

// defaultCached is the number of accounts whose subkeys a Sealer keeps ready,
// at about 1 KB each: as many as the ledger has books.
const defaultCached = 1 << 17

// A sealed text is
//
//	s1.GENERATION.base64url( AES-SIV( text ) )
//
// with the generation in decimal. Account and generation are its associated
// data. Equal texts of an account and generation have equal seals, so that the
// repeat of a command has the same bytes: who reads events can see that two
// notes of one account are the same, and how long they are, and no more.
const sealedPrefix = "s1."

// maxPreparing bounds the keys that one Prepare waits for at a time.
const maxPreparing = 256

// fingerprintSize in bytes: 128 bits, 22 characters.
const fingerprintSize = 16

var encoding = base64.RawURLEncoding.Strict()

// Sealer seals, opens and fingerprints. It is safe for concurrent use.
//
// A destroyed key stays usable to a Sealer that has it cached: destroy through
// the Sealer, and when another engine destroyed it, call Forget. What is
// sealed while its key is being destroyed is erased with it.
type Sealer struct {
	keys  Keys
	cache *cache
}

// NewSealer makes a sealer that keeps the subkeys of at most cached accounts;
// 0 stands for as many as the ledger has books.
func NewSealer(keys Keys, cached int) *Sealer {
	if cached <= 0 {
		cached = defaultCached
	}
	return &Sealer{keys: keys, cache: newCache(cached)}
}

// Healthy answers nil unless its keys tell that none can be made any more: new accounts
// would be refused for ever.
func (s *Sealer) Healthy() error {
	if keys, tells := s.keys.(interface{ Healthy() error }); tells {
		return keys.Healthy()
	}
	return nil
}

// Seal encrypts text under the account's key, which is made and durable before
// Seal returns. The empty text stays empty. Equal calls give equal results
// until the account's key is destroyed.
func (s *Sealer) Seal(ctx context.Context, account, text string) (domain.Sealed, error) {
	if text == "" {
		return "", nil
	}
	p, err := s.live(ctx, account)
	if err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	siv, err := p.seal()
	if err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	ciphertext, err := siv.EncryptDeterministically([]byte(text), associated(account, p.key.Generation))
	if err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	out := make([]byte, 0, len(sealedPrefix)+11+encoding.EncodedLen(len(ciphertext)))
	out = append(out, sealedPrefix...)
	out = strconv.AppendUint(out, uint64(p.key.Generation), 10)
	out = append(out, '.')
	return domain.Sealed(encoding.AppendEncode(out, ciphertext)), nil
}

// Open decrypts, or gives Erased if the key was destroyed.
// Errors: ErrDamaged; ErrKeyMissing.
func (s *Sealer) Open(ctx context.Context, account string, sealed domain.Sealed) (string, error) {
	if sealed == "" {
		return "", nil
	}
	generation, ciphertext, err := parseSealed(string(sealed))
	if err != nil {
		return "", fmt.Errorf("open: %w", err)
	}
	p, erased, err := s.of(ctx, account, generation)
	if err != nil {
		return "", fmt.Errorf("open: %w", err)
	}
	if erased {
		return Erased, nil
	}
	siv, err := p.seal()
	if err != nil {
		return "", fmt.Errorf("open: %w", err)
	}
	text, err := siv.DecryptDeterministically(ciphertext, associated(account, generation))
	if err != nil {
		return "", fmt.Errorf("open: %w: %w", ErrDamaged, err)
	}
	return string(text), nil
}

// Fingerprint tells whether two requests of an account are the same: an HMAC,
// because a plain hash of a short note could be guessed. body MUST be
// canonical. It makes the account's key if there is none. After Destroy the
// same request has another fingerprint.
func (s *Sealer) Fingerprint(ctx context.Context, account, method, path, actor string, body []byte) (string, error) {
	p, err := s.live(ctx, account)
	if err != nil {
		return "", fmt.Errorf("fingerprint: %w", err)
	}
	return p.fingerprint.sum([]string{account, method, path, actor}, body), nil
}

// Prepare has the keys of accounts ready, and makes those that are missing
// together: one after the other each would wait for a sync of its own. It only
// saves time: what fails here fails again, and is told, when the key is used.
func (s *Sealer) Prepare(ctx context.Context, accounts iter.Seq[string]) {
	var group errgroup.Group
	group.SetLimit(maxPreparing)
	for account := range accounts {
		if s.cache.get(account) == nil {
			group.Go(func() error {
				_, err := s.live(ctx, account)
				return err
			})
		}
	}
	_ = group.Wait()
}

// Destroy erases the account's key, durably: every text that was sealed under
// it reads Erased from now on.
func (s *Sealer) Destroy(ctx context.Context, account string) error {
	err := s.keys.Destroy(ctx, account)
	s.cache.forget(account) // after a failure too: what the store holds is unknown
	if err != nil {
		return fmt.Errorf("destroy key of account %q: %w", account, err)
	}
	return nil
}

// Status tells whether the account has a key, as the store of the keys has it.
func (s *Sealer) Status(ctx context.Context, account string) (Status, error) {
	_, status, err := s.keys.Find(ctx, account)
	if err != nil {
		return None, fmt.Errorf("status of the key of account %q: %w", account, err)
	}
	return status, nil
}

// Forget drops the cached subkeys of an account whose key another engine destroyed.
func (s *Sealer) Forget(account string) { s.cache.forget(account) }

// live gives the account's live primitives and makes a key if need be.
func (s *Sealer) live(ctx context.Context, account string) (*primitives, error) {
	if p := s.cache.get(account); p != nil {
		return p, nil
	}
	epoch := s.cache.epoch()
	key, err := s.keys.Key(ctx, account)
	if err != nil {
		return nil, err
	}
	return s.keep(account, key, epoch)
}

// of gives the primitives that open a text of a generation, or true if that
// generation was destroyed.
func (s *Sealer) of(ctx context.Context, account string, generation uint32) (*primitives, bool, error) {
	if p := s.cache.get(account); p != nil && p.key.Generation >= generation {
		return p, p.key.Generation > generation, nil
	}
	epoch := s.cache.epoch()
	key, status, err := s.keys.Find(ctx, account)
	switch {
	case err != nil:
		return nil, false, err
	case status == None || key.Generation < generation:
		return nil, false, fmt.Errorf("%w: account %q, generation %d", ErrKeyMissing, account, generation)
	case status == Destroyed || key.Generation > generation:
		return nil, true, nil
	}
	p, err := s.keep(account, key, epoch)
	return p, false, err
}

func (s *Sealer) keep(account string, key Key, epoch uint64) (*primitives, error) {
	e, err := derive(account, key)
	if err != nil {
		return nil, err
	}
	s.cache.put(e, epoch)
	return &e.Value, nil
}

func parseSealed(sealed string) (generation uint32, ciphertext []byte, err error) {
	rest, ours := strings.CutPrefix(sealed, sealedPrefix)
	number, body, split := strings.Cut(rest, ".")
	n, err := strconv.ParseUint(number, 10, 32)
	// One text has one spelling: a seal is compared byte for byte.
	if !ours || !split || err != nil || n == 0 || number[0] == '0' {
		return 0, nil, fmt.Errorf("%w: no %sN. prefix", ErrDamaged, sealedPrefix)
	}
	if strings.ContainsAny(body, "\r\n") { // the decoder skips them
		return 0, nil, fmt.Errorf("%w: line break", ErrDamaged)
	}
	ciphertext, err = encoding.DecodeString(body)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return uint32(n), ciphertext, nil
}

// associated binds a ciphertext to its place: moved to another account or
// generation it doesn't open, even if two keys were ever the same.
func associated(account string, generation uint32) []byte {
	b := make([]byte, 0, 8+len(account))
	b = appendPart(b, account)
	return binary.BigEndian.AppendUint32(b, generation)
}

func appendPart(b []byte, part string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
	return append(b, part...)
}
