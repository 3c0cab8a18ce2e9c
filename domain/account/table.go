package account

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// table is a map for few values: rows in the order of their keys. What a Go map makes
// for its first value has room for eight: of purchases some 600 bytes, of each account
// that ever bought. In JSON it is what a map is.
type table[V any] []row[V]

type row[V any] struct {
	key   string
	value V
}

func (t table[V]) find(key string) (at int, found bool) {
	return slices.BinarySearchFunc(t, key, func(r row[V], key string) int { return strings.Compare(r.key, key) })
}

// get gives the value of a key, or the zero value and false.
func (t table[V]) get(key string) (value V, found bool) {
	at, found := t.find(key)
	if found {
		value = t[at].value
	}
	return value, found
}

// put stores a value in place of the one that the key has.
func (t *table[V]) put(key string, value V) {
	at, found := t.find(key)
	if !found {
		*t = slices.Insert(*t, at, row[V]{key: key})
	}
	(*t)[at].value = value
}

// MarshalJSONTo writes an object.
func (t table[V]) MarshalJSONTo(to *jsontext.Encoder) error {
	if err := to.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for i := range t {
		if err := to.WriteToken(jsontext.String(t[i].key)); err != nil {
			return err
		}
		if err := json.MarshalEncode(to, t[i].value); err != nil {
			return err
		}
	}
	return to.WriteToken(jsontext.EndObject)
}

// UnmarshalJSONFrom reads an object, in any order.
func (t *table[V]) UnmarshalJSONFrom(from *jsontext.Decoder) error {
	var values map[string]V
	if err := json.UnmarshalDecode(from, &values); err != nil {
		return err
	}
	*t = nil
	for key, value := range values {
		t.put(key, value)
	}
	return nil
}
