package keyring

import (
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
