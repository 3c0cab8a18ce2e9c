package spherepay

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// SignatureHeader carries the signature of a webhook.
const SignatureHeader = "signature"

// Sign gives the signature of a webhook's raw body.
func Sign(secret, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// Verify tells whether a signature is the secret's over exactly this body, in
// constant time. An empty secret verifies nothing.
func Verify(secret, body []byte, signature string) bool {
	return len(secret) > 0 && hmac.Equal([]byte(Sign(secret, body)), []byte(signature))
}
