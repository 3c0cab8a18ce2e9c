package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	"go.yaml.in/yaml/v3"

	"iocredits/domain"
)

// Role says what a key may do. The table in auth.go gives each route its roles.
type Role string

// The roles of api.md.
const (
	RoleCustomer Role = "customer"
	RoleService  Role = "service"
	RoleBD       Role = "bd"
	RoleFinance  Role = "finance"
	RoleSupport  Role = "support"
	RoleAuditor  Role = "auditor"
	RoleAdmin    Role = "admin"
)

// Roles lists every role.
func Roles() []Role {
	return []Role{RoleCustomer, RoleService, RoleBD, RoleFinance, RoleSupport, RoleAuditor, RoleAdmin}
}

// KeySpec is one entry of the keys file. The key itself is in no file: only its
// SHA-256 is, and a key has enough chance in it that no hash can be turned back.
type KeySpec struct {
	// ID names the key in metadata and logs.
	ID   string `yaml:"id"`
	Role Role   `yaml:"role"`
	// Account is the customer's own; empty for every other role.
	Account string `yaml:"account"`
	// Actor is the person or machine that is written into events; not personal.
	Actor string `yaml:"actor"`
	// SHA256 of the key, in hex.
	SHA256 string `yaml:"sha256"`
}

// Keys are the API keys that are accepted. Safe for concurrent use.
type Keys struct {
	// byHash never changes; Replace puts another in its place.
	byHash atomic.Pointer[map[keyHash]*identity]
}

type keyHash = [sha256.Size]byte

// identity is who a key stands for.
type identity struct {
	KeySpec
	hash keyHash
	bit  roleSet
}

// HashKey gives the SHA256 of KeySpec for a key.
func HashKey(key string) string {
	digest := sha256.Sum256([]byte(key))
	return hex.EncodeToString(digest[:])
}

// goTypes is what the YAML decoder says of a mistake that tells nobody anything who writes a file.
var goTypes = regexp.MustCompile(` (into|in type) [^\s;]+`)

// ParseKeys reads the YAML of a keys file: a list of KeySpec.
func ParseKeys(r io.Reader) (*Keys, error) {
	decoder := yaml.NewDecoder(r)
	decoder.KnownFields(true)
	var specs []KeySpec
	err := decoder.Decode(&specs)
	if err == nil || errors.Is(err, io.EOF) {
		if len(specs) == 0 {
			return nil, errors.New("keys: the file has none; iocredits keys create --append FILE adds one")
		}
		if !errors.Is(decoder.Decode(new(yaml.Node)), io.EOF) { // its keys would be refused, and nobody told why
			return nil, errors.New("keys: the file has more than one document")
		}
		return NewKeys(specs)
	}
	var shape *yaml.TypeError
	if errors.As(err, &shape) {
		what := goTypes.ReplaceAllString(strings.Join(shape.Errors, "; "), "")
		return nil, fmt.Errorf("keys: not a list of entries with id, role, account, actor and sha256: %s", what)
	}
	return nil, fmt.Errorf("keys: %w", err)
}

// NewKeys checks the entries and makes them usable.
func NewKeys(specs []KeySpec) (*Keys, error) {
	byHash := make(map[keyHash]*identity, len(specs))
	ids := make(map[string]bool, len(specs))
	for i := range specs {
		spec := specs[i]
		hash, err := spec.check()
		if err != nil {
			return nil, fmt.Errorf("key %d (%s): %w", i+1, spec.ID, err)
		}
		if byHash[hash] != nil || ids[spec.ID] {
			return nil, fmt.Errorf("key %d (%s): its id or its sha256 is there twice", i+1, spec.ID)
		}
		ids[spec.ID], byHash[hash] = true, &identity{KeySpec: spec, hash: hash, bit: bitOf(spec.Role)}
	}
	if len(specs) == 0 {
		return nil, errors.New("keys: there is none, so nobody could use the engine")
	}
	keys := new(Keys)
	keys.byHash.Store(&byHash)
	return keys, nil
}

// Len is how many there are.
func (k *Keys) Len() int { return len(*k.byHash.Load()) }

// Replace accepts the keys of another from now on, and no others: requests under way end
// as they began, streams end.
func (k *Keys) Replace(by *Keys) { k.byHash.Store(by.byHash.Load()) }

// still tells that a key which was found before is accepted now, and stands for the same.
func (k *Keys) still(who *identity) bool {
	now := (*k.byHash.Load())[who.hash]
	return now != nil && now.KeySpec == who.KeySpec
}

func (k *KeySpec) check() (hash keyHash, err error) {
	if err := domain.CheckID("id", k.ID); err != nil {
		return hash, err
	}
	if err := domain.CheckID("actor", k.Actor); err != nil {
		return hash, err
	}
	if !slices.Contains(Roles(), k.Role) {
		return hash, fmt.Errorf("role %q is none of %v", k.Role, Roles())
	}
	if k.Role == RoleCustomer {
		if err := domain.CheckAccount("account", k.Account); err != nil {
			return hash, err
		}
	} else if k.Account != "" {
		return hash, fmt.Errorf("account belongs to role customer only, not to %s", k.Role)
	}
	if len(k.SHA256) != hex.EncodedLen(len(hash)) {
		return hash, fmt.Errorf("sha256 has %d characters, not %d", len(k.SHA256), hex.EncodedLen(len(hash)))
	}
	if _, err := hex.Decode(hash[:], []byte(k.SHA256)); err != nil {
		return hash, fmt.Errorf("sha256: %w", err)
	}
	return hash, nil
}

// find looks a key up by its SHA-256: how long that takes says nothing about any key,
// because nobody can choose how a hash begins. No key is kept: memory has no more of
// them than the file has.
func (k *Keys) find(key string) *identity {
	var room [64]byte // or each request would make its own
	return (*k.byHash.Load())[sha256.Sum256(append(room[:0], key...))]
}

// Actors is how many persons or machines have a key of a role.
func (k *Keys) Actors(role Role) int {
	actors := map[string]bool{}
	for _, who := range *k.byHash.Load() {
		if who.Role == role {
			actors[who.Actor] = true
		}
	}
	return len(actors)
}

// RoleOf gives the id and the role of a key, for other protocols that take the
// same keys.
func (k *Keys) RoleOf(key string) (id string, role Role, known bool) {
	who := k.find(key)
	if who == nil {
		return "", "", false
	}
	return who.ID, who.Role, true
}
