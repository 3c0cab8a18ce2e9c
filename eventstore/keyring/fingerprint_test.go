package keyring

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"testing"

	"pgregory.net/rapid"
)

// The fingerprint is the HMAC of its parts, as the library makes it.
func TestFingerprintIsAnHMAC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := fingerprintKey(rapid.SliceOfN(rapid.Byte(), sha256.Size, sha256.Size).Draw(t, "key"))
		parts := rapid.SliceOfN(rapid.String(), 0, 5).Draw(t, "parts")
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")

		mac := hmac.New(sha256.New, key[:])
		var text []byte
		for _, part := range append(parts, string(body)) {
			text = appendPart(text, part)
		}
		mac.Write(text)
		if got, want := key.sum(parts, body), encoding.EncodeToString(mac.Sum(nil)[:fingerprintSize]); got != want {
			t.Fatalf("%s, not %s", got, want)
		}
	})
}

// TestNoKeyStaysInThePool of lists, not even where a body took a longer one.
func TestNoKeyStaysInThePool(t *testing.T) {
	key := fingerprintKey{0xaa, 0xbb, 0xcc}
	padded := key.appendPad(nil, innerPad)
	for range 100 { // the pool may give another one
		for _, size := range []int{100, 2 * maxList} {
			key.sum([]string{"account"}, make([]byte, size))
			list := lists.Get().(*[]byte)
			if kept := (*list)[:cap(*list)]; bytes.Contains(kept, padded) {
				t.Fatalf("after a body of %d bytes the pool has the key", size)
			}
			lists.Put(list)
		}
	}
}
