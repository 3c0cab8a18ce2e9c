package keyring_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore"
	"iocredits/eventstore/keyring"
)

func TestGenerationIn(t *testing.T) {
	for text, want := range map[string]uint32{
		`{}`: 0, `{"reason":"s1."}`: 0, `{"reason":"s1.x.AAAA"}`: 0, `{"reason":"not s1.7.AAAA"}`: 0,
		`{"reason":"s1.1.AAAA"}`: 1, `{"a":"s1.12.AAAA","b":"s1.3.AAAA"}`: 12, `{"a":["s1.2.A","s1.4294967295.A","s1.4294967296.A"]}`: 4294967295,
	} {
		require.Equal(t, want, keyring.GenerationIn(&eventstore.Recorded{Event: eventstore.Event{Data: []byte(text)}}), text)
	}
}
