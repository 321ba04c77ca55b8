package load

import (
	"encoding/binary"
	"math/rand/v2"
)

// checkMask makes the last eight bytes of a request differ from the first.
const checkMask = 0x9e3779b97f4a7c15

// filler makes requests of one size that no engine can compress or share.
type filler struct{ noise []byte }

func newFiller(size int) filler {
	noise := make([]byte, size)
	source := rand.NewChaCha8([32]byte{1})
	source.Read(noise) // never fails
	return filler{noise: noise}
}

// request builds a fresh request: its number, noise, and the number again,
// masked, to see it corrupted or cut.
func (f filler) request(id uint64) []byte {
	r := make([]byte, len(f.noise))
	copy(r, f.noise)
	binary.LittleEndian.PutUint64(r, id)
	binary.LittleEndian.PutUint64(r[len(r)-8:], id^checkMask)
	return r
}

// requestID returns the number of a request; ok is false if it is damaged.
func requestID(r []byte, size int) (id uint64, ok bool) {
	if len(r) != size {
		return 0, false
	}
	id = binary.LittleEndian.Uint64(r)
	return id, binary.LittleEndian.Uint64(r[len(r)-8:]) == id^checkMask
}
