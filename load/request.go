package load

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"time"

	"github.com/synod-network/synod/ordering"
)

// A request is
//
//	run (8 bytes) session (4) sequence (8) due (8) checksum (4) noise
//
// big endian. The checksum is CRC-32C over everything but itself: it notices
// faults, not forgers.
const (
	atSession  = 8
	atSequence = 12
	atDue      = 20
	atChecksum = 28
	// MinSize is the smallest request, in bytes.
	MinSize = 32
)

// label is what a request says about itself.
type label struct {
	session  uint32
	sequence uint64
	due      time.Duration // since the start of the run
}

// writer makes the requests of one run.
type writer struct {
	run   uint64
	size  int
	table *crc32.Table
	noise []byte // random, longer than a request: each takes a window of it
}

func newWriter(run uint64, size int) *writer {
	// Noise is the same for the same run, and too long for compression to profit.
	source := rand.NewPCG(run, run)
	noise := make([]byte, 0, size+1<<16)
	for len(noise) < size+1<<16 {
		noise = binary.BigEndian.AppendUint64(noise, source.Uint64())
	}
	return &writer{run: run, size: size, table: crc32.MakeTable(crc32.Castagnoli), noise: noise}
}

// append adds one request to a payload's data.
func (w *writer) append(data []byte, l label) []byte {
	data = binary.BigEndian.AppendUint32(data, uint32(w.size))
	from := len(data)
	data = binary.BigEndian.AppendUint64(data, w.run)
	data = binary.BigEndian.AppendUint32(data, l.session)
	data = binary.BigEndian.AppendUint64(data, l.sequence)
	data = binary.BigEndian.AppendUint64(data, uint64(l.due))
	data = append(data, 0, 0, 0, 0)
	window := w.noise[(l.sequence*61)&(1<<16-1):]
	data = append(data, window[:w.size-MinSize]...)
	request := data[from:]
	binary.BigEndian.PutUint32(request[atChecksum:], w.checksum(request))
	return data
}

func (w *writer) checksum(request []byte) uint32 {
	sum := crc32.Update(0, w.table, request[:atChecksum])
	return crc32.Update(sum, w.table, request[MinSize:])
}

// foreign is the session of a request that is not of this run, or was altered.
const foreign = ^uint32(0)

// read returns the label of a request of this run. What others submit meanwhile,
// and what does not match its checksum, is foreign.
func (w *writer) read(request []byte) label {
	if len(request) != w.size || binary.BigEndian.Uint64(request) != w.run ||
		binary.BigEndian.Uint32(request[atChecksum:]) != w.checksum(request) {
		return label{session: foreign}
	}
	return label{
		session:  binary.BigEndian.Uint32(request[atSession:]),
		sequence: binary.BigEndian.Uint64(request[atSequence:]),
		due:      time.Duration(binary.BigEndian.Uint64(request[atDue:])),
	}
}

// batch makes consecutive requests of one session, due a fixed interval apart.
func (w *writer) batch(session uint32, first uint64, s span) ordering.Payload {
	data := make([]byte, 0, s.count*ordering.EncodedSize(w.size))
	for i := range s.count {
		data = w.append(data, label{session: session, sequence: first + uint64(i), due: s.due + time.Duration(i)*s.interval})
	}
	return ordering.Payload{Count: s.count, Data: data}
}
