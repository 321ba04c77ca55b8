package membership

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/synod-network/synod/topology"
)

// MaxTransactions bounds the transactions of one change.
const MaxTransactions = 64

// MaxSignatures bounds their signatures, together, consents of node keys included: every sequencer checks all of them in the order.
const MaxSignatures = 256

// ErrMalformed says that bytes are no list of topology transactions.
var ErrMalformed = errors.New("no list of topology transactions")

// Encode returns the form in which topology transactions are ordered, in
// [sequencing.TopologyChange]: their number, and each behind its length, both in 32
// bits, big endian. Each is encoded as [topology.SignedTransaction.Encode] does.
func Encode(transactions ...[]byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(transactions)))
	for _, t := range transactions {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(t))), t...)
	}
	return b
}

// Decode reads what [Encode] writes. The error matches [ErrMalformed]. A list that
// decodes is canonical: encoding it gives the same bytes.
func Decode(data []byte) ([]topology.UnverifiedTransaction, error) {
	if len(data) < 4 || binary.BigEndian.Uint32(data) == 0 || binary.BigEndian.Uint32(data) > MaxTransactions {
		return nil, fmt.Errorf("%w: want 1 to %d", ErrMalformed, MaxTransactions)
	}
	list := make([]topology.UnverifiedTransaction, binary.BigEndian.Uint32(data))
	rest, signatures := data[4:], 0
	for i := range list {
		if len(rest) < 4 || uint64(binary.BigEndian.Uint32(rest)) > uint64(len(rest)-4) {
			return nil, fmt.Errorf("%w: it ends within transaction %d of %d", ErrMalformed, i+1, len(list))
		}
		size := int(binary.BigEndian.Uint32(rest))
		u, err := topology.DecodeTransaction(rest[4 : 4+size])
		if err != nil {
			return nil, fmt.Errorf("%w: transaction %d: %w", ErrMalformed, i+1, err)
		}
		if signatures += len(u.Signatures); signatures > MaxSignatures {
			return nil, fmt.Errorf("%w: the transactions have more than %d signatures together: send them in several changes", ErrMalformed, MaxSignatures)
		}
		list[i], rest = u, rest[4+size:]
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%w: %d bytes follow its end", ErrMalformed, len(rest))
	}
	return list, nil
}
