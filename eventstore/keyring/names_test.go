package keyring

import (
	"context"
	"strings"
	"testing"
	"unsafe"
)

// TestNamesKeepNoRequest: an account's name is a part of its request's line, often of
// one of many lines. What is kept for as long as the engine runs must not keep those.
func TestNamesKeepNoRequest(t *testing.T) {
	request := strings.Clone("GET /v1/accounts/ann HTTP/1.1")
	account := request[len("GET /v1/accounts/"):][:len("ann")]
	keys := mustOpen(t, &crashDisk{})
	s := NewSealer(keys, 1)
	within := func(name string) bool {
		at := uintptr(unsafe.Pointer(unsafe.StringData(name)))
		from := uintptr(unsafe.Pointer(unsafe.StringData(request)))
		return at >= from && at < from+uintptr(len(request))
	}
	check := func() {
		t.Helper()
		for name := range keys.accounts {
			if within(name) {
				t.Errorf("the keyring keeps the request of %q", name)
			}
		}
		for name, e := range s.cache.entries {
			if within(name) || within(e.Value.account) {
				t.Errorf("the cache keeps the request of %q", name)
			}
		}
	}
	if !within(account) {
		t.Fatal("the account's name is no part of its request")
	}
	use := func(account string) {
		t.Helper()
		if _, err := s.Fingerprint(context.Background(), account, "GET", "/", "ann", nil); err != nil {
			t.Fatal(err)
		}
	}
	use(account)
	check()
	use("bob") // drops ann from the cache
	use(account)
	if err := s.Destroy(context.Background(), account); err != nil {
		t.Fatal(err)
	}
	check()
	use(account)
	check()
	if len(keys.accounts) != 2 || len(s.cache.entries) != 1 {
		t.Errorf("%d accounts, %d in the cache", len(keys.accounts), len(s.cache.entries))
	}
}
