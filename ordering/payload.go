package ordering

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
)

// lengthSize is the size of the length in front of each request, in bytes.
const lengthSize = 4

// Payload is a range of requests in their canonical encoding: Count times a
// length (uint32, big endian) and that many bytes, nothing before, between or
// after. Requests travel and are stored as such ranges and not one by one,
// because at hundreds of thousands of requests a second the pieces would cost
// more than what is in them.
//
// A Payload is immutable and shared: do not modify Data.
type Payload struct {
	Count int
	Data  []byte
}

// Pack encodes requests as one payload. The payload shares no memory with them.
func Pack(requests ...[]byte) Payload {
	size := 0
	for _, request := range requests {
		size += EncodedSize(len(request))
	}
	data := make([]byte, 0, size)
	for _, request := range requests {
		data = AppendRequest(data, request)
	}
	return Payload{Count: len(requests), Data: data}
}

// AppendRequest appends the encoding of one request to a payload's data.
// It panics if the request is 4 GiB or larger: no orderer admits one.
func AppendRequest(data, request []byte) []byte {
	if uint64(len(request)) > math.MaxUint32 {
		panic(fmt.Sprintf("ordering: request of %d bytes does not fit a 32 bit length", len(request)))
	}
	data = binary.BigEndian.AppendUint32(data, uint32(len(request)))
	return append(data, request...)
}

// EncodedSize is the size in a payload's data of a request of the given size,
// both in bytes.
func EncodedSize(requestSize int) int { return lengthSize + requestSize }

// ParsePayload checks that data, which may come from anybody, is the canonical
// encoding of exactly count requests. It takes over data without a copy.
func ParsePayload(count int, data []byte) (Payload, error) {
	rest, found := data, 0
	for len(rest) > 0 {
		if len(rest) < lengthSize {
			return Payload{}, fmt.Errorf("payload ends within the length of request %d", found)
		}
		size := uint64(binary.BigEndian.Uint32(rest))
		rest = rest[lengthSize:]
		if size > uint64(len(rest)) {
			return Payload{}, fmt.Errorf("payload ends within request %d: %d bytes of %d", found, len(rest), size)
		}
		rest = rest[size:]
		found++
	}
	if found != count {
		return Payload{}, fmt.Errorf("payload holds %d requests, %d were announced", found, count)
	}
	return Payload{Count: count, Data: data}, nil
}

// Requests yields the requests in order, as windows onto Data. Data must be
// canonical, which is true of every payload that [Pack] or [ParsePayload] made
// and of every ordered block; otherwise Requests panics.
func (p Payload) Requests() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for rest := p.Data; len(rest) > 0; {
			end := lengthSize + int(binary.BigEndian.Uint32(rest))
			if !yield(rest[lengthSize:end:end]) {
				return
			}
			rest = rest[end:]
		}
	}
}
