package keyring

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json"

	"iocredits/eventstore"
)

// Ended is how many keys of an account were destroyed, and whether it has a live one.
type Ended struct {
	Keys uint32
	Live bool
}

// EndedOf tells of one account; the zero value: it never had a key.
func (k *FileKeys) EndedOf(account string) Ended {
	k.mu.RLock()
	defer k.mu.RUnlock()
	at, known := k.accounts[account]
	if !known {
		return Ended{}
	}
	return endedOf(at.generation, at.live)
}

// Ended tells of every account that had a key destroyed.
func (k *FileKeys) Ended() map[string]Ended {
	k.mu.RLock()
	defer k.mu.RUnlock()
	ended := map[string]Ended{}
	for account, at := range k.accounts {
		if e := endedOf(at.generation, at.live); e.Keys > 0 {
			ended[account] = e
		}
	}
	return ended
}

func endedOf(generation uint32, live bool) Ended {
	if live {
		return Ended{Keys: generation - 1, Live: true}
	}
	return Ended{Keys: generation}
}

// EndedIn reads the same out of an event in a log that engines share, without their
// secret; false if it is none of a keyring's. The newest of an account counts.
func EndedIn(r *eventstore.Recorded) (account string, ended Ended, ok bool) {
	account, ok = eventstore.KeyAccountOf(r.Stream)
	if !ok || r.Type != typeKeyMade && r.Type != typeKeyDestroyed {
		return "", Ended{}, false
	}
	var content keyRecord
	if err := json.Unmarshal(r.Data, &content); err != nil || content.Generation == 0 {
		return "", Ended{}, false // damage is for who opens the keyring
	}
	return account, endedOf(content.Generation, r.Type == typeKeyMade), true
}

// RestsOnKey says that an event has sealed text, or the fingerprint of a request: both
// are under its account's key.
func RestsOnKey(r *eventstore.Recorded) (bool, error) {
	meta, err := eventstore.DecodeMetadata(r.Metadata)
	return err == nil && (meta.Command.Fingerprint != "" || bytes.Contains(r.Data, []byte(`"`+sealedPrefix))), err
}

// GenerationIn is the newest key that text in an event is sealed under: 1 is the
// account's first, 0: nothing is sealed.
func GenerationIn(r *eventstore.Recorded) (newest uint32) {
	for rest := r.Data; ; {
		_, sealed, found := bytes.Cut(rest, []byte(`"`+sealedPrefix))
		if !found {
			return newest
		}
		number, _, _ := bytes.Cut(sealed, []byte("."))
		if n, err := strconv.ParseUint(string(number), 10, 32); err == nil {
			newest = max(newest, uint32(n))
		}
		rest = sealed
	}
}
