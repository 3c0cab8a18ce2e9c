package domain

import (
	"encoding/binary"
	"slices"

	"github.com/google/uuid"
)

// Event is one immutable fact of an account. Its name is stored and lives for
// ever; the Go type behind it may be renamed.
type Event interface {
	// EventName is the stored type, kebab-case.
	EventName() string
}

// EventType tells the codec how to read one stored name.
type EventType struct {
	Name string
	// New gives a pointer to decode into.
	New func() Event
	// Upcast turns an old version into the current one; nil for current types.
	Upcast func(Event) Event
}

// TransactionID is the id of an event, and of the history's entry that it
// makes: a UUIDv8 whose first 48 bits are the event's revision, so that a
// lookup needs no index and never lags (design.md rule 10).
type TransactionID = uuid.UUID

// NewTransactionID builds the id of the event at revision from a digest of
// everything that makes the event what it is. MUST: 0 <= revision < 2^48.
func NewTransactionID(revision int64, digest [32]byte) TransactionID {
	var id uuid.UUID
	copy(id[:], digest[:])
	var head [8]byte
	binary.BigEndian.PutUint64(head[:], uint64(revision)<<16)
	copy(id[:6], head[:6])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}

// RevisionOf reads the revision back; false if id is not one of ours.
func RevisionOf(id TransactionID) (int64, bool) {
	if id.Version() != 8 || id.Variant() != uuid.RFC4122 {
		return 0, false
	}
	var head [8]byte
	copy(head[2:], id[:6])
	return int64(binary.BigEndian.Uint64(head[:])), true
}

// Sealed is free text as it is kept: ciphertext under the account's key, never
// the text itself (design.md rule 14). Only httpapi and the CLI open it. The
// empty value means that there is no text.
type Sealed string

// Service is the product that a charge is for.
type Service string

// The products of IO Cloud. ServiceCredits is the prepaid account itself.
const (
	ServiceRay        Service = "ray"
	ServiceCaaS       Service = "caas"
	ServiceVM         Service = "vm"
	ServiceKubernetes Service = "kubernetes"
	ServiceBaremetal  Service = "baremetal"
	ServiceInference  Service = "inference"
	ServiceCredits    Service = "credits"
)

// Services lists the products that can be charged for.
func Services() []Service {
	return []Service{ServiceRay, ServiceCaaS, ServiceVM, ServiceKubernetes, ServiceBaremetal, ServiceInference}
}

// ParseService accepts the products that can be charged for.
// Error: CodeFieldInvalid.
func ParseService(text string) (Service, error) {
	if s := Service(text); slices.Contains(Services(), s) {
		return s, nil
	}
	return "", Refuse(CodeFieldInvalid, "service %q is none of ray, caas, vm, kubernetes, baremetal, inference", clip(text)).
		With("field", "service").With("value", clip(text))
}

// maxID bounds every id and reference, in bytes.
const maxID = 128

// CheckID accepts an id that a client chose: 1 to 128 of A-Z a-z 0-9 . _ : - @.
// Ids become stream names, keys and URLs; nothing else is needed and nothing
// else is safe in all three. "." and ".." are refused, because every client and
// proxy takes them out of a URL. Error: CodeIDInvalid.
func CheckID(field, text string) error {
	if len(text) == 0 || len(text) > maxID {
		return RefuseLength(CodeIDInvalid, field, text, 1, maxID)
	}
	for i := range len(text) {
		if !idByte(text[i]) {
			return Refuse(CodeIDInvalid, "%s %q has a character outside A-Z a-z 0-9 . _ : - @", field, clip(text)).
				With("field", field).With("value", clip(text))
		}
	}
	if text == "." || text == ".." {
		return Refuse(CodeIDInvalid, "%s %q has a meaning of its own in a URL", field, text).
			With("field", field).With("value", text)
	}
	return nil
}

// CheckAccount accepts the account that a command from outside names: an id that
// doesn't begin with "@", which the engine keeps for its own. Error: CodeIDInvalid.
func CheckAccount(field, text string) error {
	if err := CheckID(field, text); err != nil {
		return err
	}
	if text[0] == '@' {
		return Refuse(CodeIDInvalid, "%s %q begins with @, which is kept for the engine's own", field, clip(text)).
			With("field", field).With("value", clip(text))
	}
	return nil
}

func idByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '.' || c == '_' || c == ':' || c == '-' || c == '@'
}
