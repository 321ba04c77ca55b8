package sim

import (
	"encoding/binary"

	"github.com/synod-network/synod/bft"
)

// A request of a simulated client names itself, so that the checker can follow
// it: kind, number, the member it was handed to, and padding. An order by the
// network's owners to change the committee is a request as well, numbered so
// that a copy of it has no effect.
const (
	kindPlain byte = iota
	kindOrder
)

const requestHead = 1 + 8 + 2

type requestID uint64

func encodeRequest(id requestID, origin int, padding int) []byte {
	b := make([]byte, requestHead, requestHead+padding)
	b[0] = kindPlain
	binary.BigEndian.PutUint64(b[1:], uint64(id))
	binary.BigEndian.PutUint16(b[9:], uint16(origin))
	return append(b, make([]byte, padding)...)
}

// order is a change of the committee: Leave is replaced by Join. A zero key
// stands for nobody.
type order struct {
	number      uint64
	leave, join bft.PublicKey
}

func encodeOrder(id requestID, origin int, o order) []byte {
	b := encodeRequest(id, origin, 0)
	b[0] = kindOrder
	b = binary.BigEndian.AppendUint64(b, o.number)
	b = append(b, o.leave[:]...)
	return append(b, o.join[:]...)
}

// request is a decoded request; a lying member may order anything, so what does
// not decode is skipped by the application.
type request struct {
	id     requestID
	origin int
	order  *order
}

func decodeRequest(b []byte) (r request, ok bool) {
	if len(b) < requestHead || b[0] > kindOrder {
		return request{}, false
	}
	r.id = requestID(binary.BigEndian.Uint64(b[1:]))
	r.origin = int(binary.BigEndian.Uint16(b[9:]))
	if b[0] == kindOrder {
		rest := b[requestHead:]
		if len(rest) != 8+32+32 {
			return request{}, false
		}
		r.order = &order{number: binary.BigEndian.Uint64(rest)}
		copy(r.order.leave[:], rest[8:])
		copy(r.order.join[:], rest[40:])
	}
	return r, true
}

// eachRequest takes a payload apart. The payload was verified: it is a list.
func eachRequest(payload []byte, yield func([]byte)) {
	for len(payload) >= 4 {
		size := int(binary.BigEndian.Uint32(payload))
		yield(payload[4 : 4+size])
		payload = payload[4+size:]
	}
}

func appendRequest(payload, request []byte) []byte {
	payload = binary.BigEndian.AppendUint32(payload, uint32(len(request)))
	return append(payload, request...)
}
