package httpapi

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"iocredits/domain"
)

const (
	idempotencyHeader = "Idempotency-Key"
	replayedHeader    = "Idempotency-Replayed"
	maxIdempotencyKey = 255
)

// checkIdempotencyKey takes the header where the contract has one.
func (k *call) checkIdempotencyKey() error {
	if !k.route.keyed {
		return nil
	}
	given := k.Request().Header[idempotencyHeader]
	if len(given) == 0 {
		if k.route.needsKey {
			return domain.Refuse(domain.CodeIdempotencyKeyMissing, "send an Idempotency-Key, and the same one when you try again").
				With("field", idempotencyHeader)
		}
		return nil
	}
	if k.route.needsKey && len(given) == 1 && given[0] == "" { // with the code that an empty key of a batch's line gets
		return domain.Refuse(domain.CodeIdempotencyKeyMissing, "the Idempotency-Key is empty; send one, and the same one when you try again").
			With("field", idempotencyHeader)
	}
	if len(given) > 1 {
		return domain.Refuse(domain.CodeFieldInvalid, "there are %d Idempotency-Keys", len(given)).
			With("field", idempotencyHeader).With("value", clip(strings.Join(given, ", ")))
	}
	k.commandID = given[0]
	return checkKey(idempotencyHeader, given[0])
}

// checkKey accepts 1 to 255 printable ASCII characters. Spaces at its ends are refused: a
// header loses them, so a line's key that had some would be another key in a single request.
func checkKey(field, key string) error {
	if len(key) == 0 || len(key) > maxIdempotencyKey {
		return domain.RefuseLength(domain.CodeFieldInvalid, field, key, 1, maxIdempotencyKey)
	}
	if key[0] == ' ' || key[len(key)-1] == ' ' {
		return domain.Refuse(domain.CodeFieldInvalid, "%s begins or ends with a space, which no header can carry", field).
			With("field", field).With("value", clip(key))
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return domain.Refuse(domain.CodeFieldInvalid, "%s has characters that aren't printable ASCII", field).
				With("field", field).With("value", clip(key))
		}
	}
	return nil
}

// onlyAt reads If-Match: the revision that the account has to be at; nil: any.
func (k *call) onlyAt() (*int64, error) {
	given := k.Request().Header["If-Match"]
	if len(given) == 0 || len(given) == 1 && given[0] == "*" {
		return nil, nil
	}
	text := strings.TrimSuffix(strings.TrimPrefix(given[0], `"`), `"`)
	revision, err := strconv.ParseInt(text, 10, 64)
	if err != nil || len(given) > 1 || etagOf(revision) != given[0] {
		return nil, domain.Refuse(domain.CodeFieldInvalid, "If-Match is no ETag of a balance").
			With("field", "If-Match").With("value", clip(strings.Join(given, ", ")))
	}
	return &revision, nil
}

// refuseIfMatch is for what is about more than one account: whoever sends a revision there
// would believe to be protected by it.
func (k *call) refuseIfMatch() error {
	revision, err := k.onlyAt()
	if err != nil || revision == nil {
		return err
	}
	return domain.Refuse(domain.CodeFieldInvalid, "If-Match is about one account, and a batch is about many: send alone what has to be at a revision").
		With("field", "If-Match").With("value", etagOf(*revision))
}

func etagOf(revision int64) string { return `"` + strconv.FormatInt(revision, 10) + `"` }

// requestIDs makes ids that don't repeat, not even across restarts.
type requestIDs struct {
	boot string
	next *atomic.Uint64
}

func newRequestIDs() requestIDs {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the process instead
	return requestIDs{boot: hex.EncodeToString(b[:]) + "-", next: new(atomic.Uint64)}
}

// requestID takes the client's, if it is one, so that traces meet.
func (s *Server) requestID(r *http.Request) string {
	if given := r.Header["X-Request-Id"]; len(given) == 1 && domain.CheckID("X-Request-Id", given[0]) == nil {
		return given[0]
	}
	return s.requestIDs.boot + strconv.FormatUint(s.requestIDs.next.Add(1), 36)
}
