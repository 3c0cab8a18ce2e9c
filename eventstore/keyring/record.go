package keyring

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// The file of keys is an array of records of one size, so that a key is erased
// where it stands:
//
//	 0  CRC-32C of the rest, big-endian like all numbers
//	 4  'K' '1'
//	 6  status: 1 live, 2 destroyed, 3 void
//	 7  length of the account's name
//	 8  generation
//	12  slot number of the first record of the same batch
//	16  secret, zeros unless live
//	80  account's name, then zeros
//
// 256 divides every disk's sector, so a record is written whole or not at all,
// and never shares the fate of its neighbour.
const (
	recordSize    = 256
	maxAccount    = 128
	secretOffset  = 16
	accountOffset = secretOffset + secretSize
	statusLive    = 1
	statusErased  = 2
	statusVoid    = 3
	recordMagic   = "K1"
	bodyOffset    = 4
	maxSlots      = 1<<32 - 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type record struct {
	status     byte
	generation uint32
	// first is the slot of the first record that was written together with
	// this one; see scan.
	first   uint32
	secret  [secretSize]byte
	account string
}

func (r record) encode() []byte {
	b := make([]byte, recordSize)
	copy(b[bodyOffset:], recordMagic)
	b[6] = r.status
	b[7] = byte(len(r.account))
	binary.BigEndian.PutUint32(b[8:], r.generation)
	binary.BigEndian.PutUint32(b[12:], r.first)
	copy(b[secretOffset:], r.secret[:])
	copy(b[accountOffset:accountOffset+maxAccount], r.account)
	binary.BigEndian.PutUint32(b, crc32.Checksum(b[bodyOffset:], castagnoli))
	return b
}

func decodeRecord(b []byte) (record, error) {
	if len(b) != recordSize || crc32.Checksum(b[bodyOffset:], castagnoli) != binary.BigEndian.Uint32(b) {
		return record{}, errors.New("checksum is wrong")
	}
	if string(b[bodyOffset:6]) != recordMagic || b[6] < statusLive || b[6] > statusVoid || b[7] > maxAccount {
		return record{}, errors.New("format is unknown")
	}
	r := record{
		status:     b[6],
		generation: binary.BigEndian.Uint32(b[8:]),
		first:      binary.BigEndian.Uint32(b[12:]),
		account:    string(b[accountOffset : accountOffset+int(b[7])]),
	}
	copy(r.secret[:], b[secretOffset:])
	return r, nil
}
