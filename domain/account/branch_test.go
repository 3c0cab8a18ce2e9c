package account

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBranchSharesNothingItChanges: a field that somebody adds is copied, or is one of
// those that are looked up in the state below.
func TestBranchSharesNothingItChanges(t *testing.T) {
	lasting := map[string]bool{"Purchases": true, "Refunded": true, "Left": true, "Lent": true, "Expired": true}
	s := New()
	fields := reflect.ValueOf(s).Elem()
	for i := range fields.NumField() {
		switch f := fields.Field(i); f.Kind() {
		case reflect.Map:
			f.Set(reflect.MakeMap(f.Type()))
			f.SetMapIndex(reflect.Zero(f.Type().Key()), reflect.Zero(f.Type().Elem()))
		case reflect.Slice:
			f.Set(reflect.MakeSlice(f.Type(), 1, 8))
		default:
		}
	}
	b := reflect.ValueOf(s.branch()).Elem()
	for i := range fields.NumField() {
		f, name := fields.Field(i), fields.Type().Field(i).Name
		if f.Kind() != reflect.Map && f.Kind() != reflect.Slice {
			continue
		}
		if lasting[name] {
			require.Zero(t, b.Field(i).Len(), name)
			continue
		}
		require.Equal(t, 1, b.Field(i).Len(), name)
		require.NotEqual(t, f.UnsafePointer(), b.Field(i).UnsafePointer(), name)
	}
}
