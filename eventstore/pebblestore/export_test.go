package pebblestore

// FoldEvery makes a store write its index after so many events.
func (o Options) FoldEvery(events int) Options {
	o.foldEvents = events
	return o
}

// MemTable makes a store begin a new log after about so many bytes.
func (o Options) MemTable(bytes uint64) Options {
	o.memTable = bytes
	return o
}

// MaxExtent is how many positions one key of the index has.
const MaxExtent = maxExtent
