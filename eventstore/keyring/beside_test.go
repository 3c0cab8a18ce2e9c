package keyring

import (
	"context"
	"strings"
	"testing"
)

// torn is a disk whose record is half written at the first reads of it.
type torn struct {
	*crashDisk
	reads int
}

func (d *torn) ReadAt(p []byte, off int64) (int, error) {
	n, err := d.crashDisk.ReadAt(p, off)
	if d.reads > 0 {
		d.reads--
		clear(p[bodyOffset:n])
	}
	return n, err
}

// TestReadBesideAnErasure: a reader that meets the record while it is written over looks
// again, and damage stays damage. Whoever has the keyring alone is never overtaken: there
// an erased record in the place of a key is damage.
func TestReadBesideAnErasure(t *testing.T) {
	for name, c := range map[string]struct {
		reads  int
		alone  bool
		damage bool
	}{
		"after it":          {},
		"while it goes on":  {reads: 2},
		"a record in ruins": {reads: 100, damage: true},
		"alone":             {alone: true, damage: true},
	} {
		disk := &crashDisk{}
		engine := mustOpen(t, disk)
		mustKey(t, engine, "a")
		found, err := scanFile(disk)
		if err != nil {
			t.Fatal(err)
		}
		tool := &FileKeys{f: &torn{disk, c.reads}, accounts: found.accounts, slots: found.slots, beside: !c.alone}
		if err := engine.Destroy(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		key, status, err := tool.Find(context.Background(), "a")
		if damaged := err != nil && strings.Contains(err.Error(), "damaged keyring: slot 0"); damaged != c.damage {
			t.Errorf("%s: %v", name, err)
		}
		if !c.damage && (err != nil || status != Destroyed || key.Generation != 1 || key.Secret != [secretSize]byte{}) {
			t.Errorf("%s: %v, status %d, %v", name, key, status, err)
		}
	}
}
