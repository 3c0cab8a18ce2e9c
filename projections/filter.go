package projections

import (
	"context"
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// nameFilter answers "certainly not claimed" from memory: nearly every claim asks
// for a name that nobody has, and Pebble would look through its memtables and
// every level for it.
//
// Invariant: once it is complete, it has every name of its generation. A name is
// put in before the batch that claims it is committed, so before Through()
// passes the claim; what was there when the generation was opened is put in by
// load, beside that. Until load has finished it answers "perhaps" to everything.
//
// It is a Bloom filter in blocks of one cache line. One that is full gets a larger
// one beside it, so it grows with the names: 16 bits each. A full one says "perhaps"
// to 0.17 % of the names that nobody has claimed, and each of those is a question to
// the disk. Beyond the largest there are more of them; no answer is ever wrong.
type nameFilter struct {
	complete atomic.Bool
	seed     maphash.Seed
	// layers is replaced as a whole: readers take no lock.
	layers atomic.Pointer[[]*filterLayer]
	mu     sync.Mutex
}

// filterLayer is a Bloom filter of a fixed size.
type filterLayer struct {
	blocks   []filterBlock
	count    int
	capacity int
}

// filterBlock is one cache line.
type filterBlock [8]atomic.Uint64

const (
	// namesOfBlock makes 16 bits a name.
	namesOfBlock = 32
	firstLayer   = 1 << 18
	layerGrowth  = 4
	maxLayers    = 5
	filterProbes = 5
)

func newNameFilter() *nameFilter {
	f := &nameFilter{seed: maphash.MakeSeed()}
	f.layers.Store(&[]*filterLayer{newLayer(firstLayer)})
	return f
}

func newLayer(capacity int) *filterLayer {
	return &filterLayer{blocks: make([]filterBlock, (capacity+namesOfBlock-1)/namesOfBlock), capacity: capacity}
}

// add puts a name's key in.
func (f *nameFilter) add(key []byte) {
	hash := maphash.Bytes(f.seed, key)
	f.mu.Lock()
	defer f.mu.Unlock()
	layers := *f.layers.Load()
	last := layers[len(layers)-1]
	if last.count >= last.capacity && len(layers) < maxLayers {
		last = newLayer(last.capacity * layerGrowth)
		grown := append(append(make([]*filterLayer, 0, len(layers)+1), layers...), last)
		f.layers.Store(&grown)
	}
	last.count++
	block := last.block(hash)
	for probe := range filterProbes {
		word, bit := place(hash, probe)
		block[word].Or(bit)
	}
}

// lacks tells that nobody has claimed the name, for certain.
func (f *nameFilter) lacks(key []byte) bool {
	if !f.complete.Load() {
		return false
	}
	hash := maphash.Bytes(f.seed, key)
	for _, layer := range *f.layers.Load() {
		if layer.has(hash) {
			return false
		}
	}
	return true
}

func (l *filterLayer) block(hash uint64) *filterBlock {
	at, _ := bits.Mul64(hash, uint64(len(l.blocks)))
	return &l.blocks[at]
}

func (l *filterLayer) has(hash uint64) bool {
	block := l.block(hash)
	for probe := range filterProbes {
		if word, bit := place(hash, probe); block[word].Load()&bit == 0 {
			return false
		}
	}
	return true
}

// place is a bit of a block: nine bits of the hash for each probe. The block
// itself comes from the hash's upper end.
func place(hash uint64, probe int) (word int, bit uint64) {
	at := hash >> (9 * probe)
	return int(at >> 6 & 7), 1 << (at & 63)
}

// load puts in every name that db has now, in the background: done is called
// when it has ended. Claims that come meanwhile are added beside it.
func (f *nameFilter) load(ctx context.Context, db *pebble.DB, done func(error)) error {
	it, err := db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: []byte{namePrefix}, UpperBound: []byte{namePrefix + 1}})
	if err != nil {
		return err
	}
	go func() {
		for ok := it.First(); ok && ctx.Err() == nil; ok = it.Next() {
			f.add(it.Key())
		}
		err := it.Close()
		if ctx.Err() == nil && err == nil {
			f.complete.Store(true)
		}
		done(err)
	}()
	return nil
}
