package projections

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
)

// ObjectRecord is an object of an account as its events made it, with who did
// what to it and when.
type ObjectRecord struct {
	Account string
	Kind    account.ObjectKind
	ID      string
	// Object is of Kind's type.
	Object account.Object
	// Steps are the events that changed its status and those of account.StepOf,
	// oldest first; the middle of a life with very many is left out.
	Steps []ObjectStep
	// Events is how many events it has had.
	Events int
	// Revision and Position of the last of them.
	Revision int64
	Position eventstore.Position
	// CreatedAt and ChangedAt are when the first and the last were recorded.
	CreatedAt, ChangedAt time.Time
}

// ObjectStep is one thing that happened to an object.
type ObjectStep struct {
	Event       string               `json:"event"`
	Transaction domain.TransactionID `json:"transaction_id"`
	At          time.Time            `json:"at"`
	Actor       string               `json:"actor"`
	Role        string               `json:"role"`
	Status      string               `json:"status"`
	// Amount is the money that came or went, where the step is about that.
	Amount domain.Amount `json:"amount,omitzero"`
}

// maxSteps bounds a record; the first keptSteps always stay.
const (
	maxSteps  = 100
	keptSteps = 20
)

// storedObject is the stored form.
type storedObject struct {
	Object    jsontext.Value      `json:"object"`
	Steps     []ObjectStep        `json:"steps"`
	Events    int                 `json:"events"`
	Revision  int64               `json:"revision"`
	Position  eventstore.Position `json:"position"`
	CreatedAt time.Time           `json:"created_at"`
	ChangedAt time.Time           `json:"changed_at"`
}

func (r *ObjectRecord) queueKey() []byte {
	at := r.CreatedAt
	if dated, ok := r.Object.(account.Dated); ok {
		at = dated.QueueTime()
	}
	return queueKey(r.Kind, r.Object.Status(), at, r.Account, r.ID)
}

// NewObjectRecord is an object that nothing has happened to. MUST: kind is one
// that account.NewObject knows.
func NewObjectRecord(name string, kind account.ObjectKind, id string) *ObjectRecord {
	return &ObjectRecord{Account: name, Kind: kind, ID: id, Object: account.NewObject(kind)}
}

// Apply folds the object's next event in.
func (r *ObjectRecord) Apply(f eventstore.Fact) {
	if r.Events == 0 {
		r.CreatedAt = f.Meta.RecordedAt
	}
	before := r.Object.Status()
	r.Object.Apply(f.Body)
	r.Events, r.Revision, r.Position, r.ChangedAt = r.Events+1, f.Revision, f.Position, f.Meta.RecordedAt
	status := r.Object.Status()
	is, amount := account.StepOf(f.Body)
	if status == before && !is {
		return
	}
	if len(r.Steps) == maxSteps {
		r.Steps = slices.Delete(r.Steps, keptSteps, keptSteps+1)
	}
	r.Steps = append(r.Steps, ObjectStep{
		Event: f.Type, Transaction: f.ID, At: f.Meta.RecordedAt, Actor: f.Meta.Actor, Role: f.Meta.Role, Status: status, Amount: amount,
	})
}

func applyObject(w *writer, s *step) error {
	kind, id, ok := account.ObjectOf(s.Body)
	if !ok {
		return nil
	}
	k := objectKey(s.Account, kind, id)
	stored, err := w.get(k)
	if err != nil {
		return err
	}
	r := NewObjectRecord(s.Account, kind, id)
	if stored != nil {
		if r, err = decodeObject(s.Account, kind, id, stored); err != nil {
			return err
		}
		w.delete(r.queueKey())
		if inOrderOfChange(kind) {
			w.delete(changedKey(kind, r.Position))
		}
	}
	w.purchases = w.purchases || stored == nil && kind == account.ObjectPurchase
	r.Apply(*s.Fact)
	value, err := r.encode()
	if err != nil {
		return err
	}
	w.set(k, value)
	w.set(r.queueKey(), []byte{})
	if inOrderOfChange(kind) {
		w.set(changedKey(kind, r.Position), changedValue(s.Account, id))
	}
	return nil
}

func (r *ObjectRecord) encode() ([]byte, error) {
	object, err := json.Marshal(r.Object, json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	return json.Marshal(storedObject{
		Object: object, Steps: r.Steps, Events: r.Events,
		Revision: r.Revision, Position: r.Position, CreatedAt: r.CreatedAt, ChangedAt: r.ChangedAt,
	})
}

func decodeObject(name string, kind account.ObjectKind, id string, value []byte) (*ObjectRecord, error) {
	object := account.NewObject(kind)
	if object == nil {
		return nil, fmt.Errorf("object of unknown kind %q", kind)
	}
	var stored storedObject
	if err := json.Unmarshal(value, &stored); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(stored.Object, object); err != nil {
		return nil, err
	}
	return &ObjectRecord{
		Account: name, Kind: kind, ID: id, Object: object, Steps: stored.Steps, Events: stored.Events,
		Revision: stored.Revision, Position: stored.Position, CreatedAt: stored.CreatedAt, ChangedAt: stored.ChangedAt,
	}, nil
}

func objectKey(name string, kind account.ObjectKind, id string) []byte {
	return key(objectPrefix, name, []byte(string(kind)+"/"+id)...)
}

func queueKey(kind account.ObjectKind, status string, at time.Time, name, id string) []byte {
	k := append(queueStart(kind, status), appendTime(nil, at)...)
	k = append(k, name...)
	k = append(k, 0)
	return append(k, id...)
}

// queueStart is what all keys of a kind and status begin with.
func queueStart(kind account.ObjectKind, status string) []byte {
	k := append([]byte{queuePrefix}, kind...)
	k = append(k, 0)
	k = append(k, status...)
	return append(k, 0)
}

// Object gives one object; false if the account has none of that kind and id.
func (v *Views) Object(ctx context.Context, name string, kind account.ObjectKind, id string) (*ObjectRecord, bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	m, leave, err := v.read()
	if err != nil {
		return nil, false, err
	}
	defer leave()
	r, err := getObject(m, name, kind, id)
	return r, r != nil, err
}

func getObject(db pebble.Reader, name string, kind account.ObjectKind, id string) (*ObjectRecord, error) {
	return lookup(db, objectKey(name, kind, id), func(value []byte) (*ObjectRecord, error) {
		return decodeObject(name, kind, id, value)
	})
}

// ObjectPage is part of a list of objects.
type ObjectPage struct {
	Items []*ObjectRecord
	// Next is the cursor of the page after it; empty: this is the end.
	Next string
}

// QueueSince lists the objects of a kind in a status over all accounts, in the order
// of their queue: oldest first, without what stands in it for a time before since
// (zero: all). after is the cursor of the page before, or empty.
// Error: CodeFieldInvalid for a cursor that isn't this queue's.
func (v *Views) QueueSince(ctx context.Context, kind account.ObjectKind, status string, since time.Time, limit int, after string) (ObjectPage, error) {
	start := queueStart(kind, status)
	from := start
	if !since.IsZero() {
		from = appendTime(bytes.Clone(start), since)
	}
	return v.objects(ctx, keyRange{start: start, from: from}, limit, after, func(db pebble.Reader, k []byte) (*ObjectRecord, error) {
		rest := k[len(start)+timeBytes:]
		name, id, _ := bytes.Cut(rest, []byte{0})
		return getObject(db, string(name), kind, string(id))
	})
}

// Objects lists the objects of a kind of one account, by id.
func (v *Views) Objects(ctx context.Context, name string, kind account.ObjectKind, limit int, after string) (ObjectPage, error) {
	return v.objectsOf(ctx, name, kind, false, limit, after)
}

// ObjectsDown is Objects with the last id first.
func (v *Views) ObjectsDown(ctx context.Context, name string, kind account.ObjectKind, limit int, after string) (ObjectPage, error) {
	return v.objectsOf(ctx, name, kind, true, limit, after)
}

func (v *Views) objectsOf(ctx context.Context, name string, kind account.ObjectKind, down bool, limit int, after string) (ObjectPage, error) {
	start := objectKey(name, kind, "")
	return v.objects(ctx, keyRange{start, start, down}, limit, after, func(db pebble.Reader, k []byte) (*ObjectRecord, error) {
		return getObject(db, name, kind, string(k[len(start):]))
	})
}

// keyRange is the keys that begin with start, from a key of them on; down: the last first.
type keyRange struct {
	start, from []byte
	down        bool
}

// bounds are those of what is behind a cursor of the range; empty: of all.
func (r keyRange) bounds(cursor string) (lower, upper []byte, err error) {
	if !r.down {
		lower, err = afterKey(r.start, r.from, cursor)
		return lower, keyAfter(r.start), err
	}
	k, err := afterKey(append([]byte(downMark), r.start...), nil, cursor)
	if err != nil || k == nil {
		return r.from, keyAfter(r.start), err
	}
	return r.from, k[len(downMark) : len(k)-1], nil // below the key itself
}

// cursor is of a page that ends with a key. A list the other way round doesn't take it.
func (r keyRange) cursor(last []byte) string {
	if r.down {
		last = append([]byte(downMark), last...)
	}
	return keyCursor(last)
}

// downMark begins no key.
const downMark = "<"

// objects pages over a range of keys. The cursor is the last key, so a page goes on
// rightly while objects come and go.
func (v *Views) objects(ctx context.Context, keys keyRange, limit int, after string, read func(pebble.Reader, []byte) (*ObjectRecord, error)) (page ObjectPage, err error) {
	m, leave, err := v.read() // a queue and its objects as of one moment
	if err != nil {
		return page, err
	}
	defer leave()
	lower, upper, err := keys.bounds(after)
	if err != nil {
		return page, err
	}
	it, err := m.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return page, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	first, step := it.First, it.Next
	if keys.down {
		first, step = it.Last, it.Prev
	}
	var last []byte // key of the page
	for ok := first(); ok; ok = step() {
		if len(page.Items) == limit {
			page.Next = keys.cursor(last)
			break
		}
		r, err := read(m, it.Key())
		if err != nil {
			return page, err
		}
		if r == nil {
			return page, fmt.Errorf("%w: no object behind %q", errDamaged, it.Key())
		}
		last = append(last[:0], it.Key()...)
		page.Items = append(page.Items, r)
	}
	return page, it.Error()
}

// keyCursor makes a cursor of a key, which shows only what the page showed.
func keyCursor(k []byte) string { return base64.RawURLEncoding.EncodeToString(k) }

// afterKey is where a list goes on behind a cursor.
func afterKey(start, from []byte, cursor string) ([]byte, error) {
	if cursor == "" {
		return from, nil
	}
	k, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || !bytes.HasPrefix(k, start) {
		return nil, refuseCursor(cursor, "is none that this list gave out")
	}
	return append(k, 0), nil
}

// keyAfter is the first key that doesn't begin with start. MUST: start doesn't end in 0xff.
func keyAfter(start []byte) []byte {
	end := bytes.Clone(start)
	end[len(end)-1]++
	return end
}
