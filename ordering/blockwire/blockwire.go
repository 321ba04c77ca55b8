// Package blockwire is how ordered blocks travel in the ordering API: [Split]
// cuts a block into messages that any gRPC client takes, a [Joiner] puts the
// messages of one stream together again and believes none of them.
package blockwire

import (
	"errors"
	"fmt"
	"iter"
	"math"

	orderingv1 "github.com/synod-network/synod/api/synod/ordering/v1"
	"github.com/synod-network/synod/ordering"
)

// PartSize is the most block data in one message, in bytes. It is part of the
// API.
const PartSize = 1 << 20

// Split yields the parts of a block in order. They share the block's memory.
func Split(block ordering.Block) iter.Seq[*orderingv1.SubscribeResponse] {
	return func(yield func(*orderingv1.SubscribeResponse) bool) {
		part, room := &orderingv1.SubscribeResponse{Header: header(block)}, PartSize
		for _, payload := range block.Payloads {
			for data := payload.Data; len(data) > 0; {
				if room == 0 {
					if !yield(part) {
						return
					}
					part, room = &orderingv1.SubscribeResponse{}, PartSize
				}
				size := min(room, len(data))
				part.Data = append(part.Data, data[:size])
				data, room = data[size:], room-size
			}
		}
		part.LastPart = true
		yield(part)
	}
}

func header(block ordering.Block) *orderingv1.BlockHeader {
	size := 0
	for _, payload := range block.Payloads {
		size += len(payload.Data)
	}
	return &orderingv1.BlockHeader{
		Height:         uint64(block.Height),
		Digest:         block.Digest[:],
		PreviousDigest: block.Previous[:],
		Epoch:          block.Epoch,
		TimeMicros:     block.Time,
		RequestCount:   uint32(block.RequestCount()),
		DataSize:       uint64(size),
	}
}

// Joiner makes blocks of the messages of one Subscribe stream. The zero value is
// not usable: say with [NewJoiner] how large a block may get.
type Joiner struct {
	limit  uint64
	header *orderingv1.BlockHeader // of the block being joined, nil between two
	data   []byte
}

// NewJoiner returns a joiner that refuses blocks with more than limit bytes of
// data.
func NewJoiner(limit uint64) *Joiner { return &Joiner{limit: limit} }

// Add takes the next message of the stream. With the last part of a block it
// returns the block and true. An error means that the other side breaks the
// API's rules; the joiner is then of no more use.
func (j *Joiner) Add(part *orderingv1.SubscribeResponse) (ordering.Block, bool, error) {
	if err := j.open(part.GetHeader()); err != nil {
		return ordering.Block{}, false, err
	}
	for _, data := range part.GetData() {
		if uint64(len(j.data)+len(data)) > j.header.GetDataSize() {
			return ordering.Block{}, false, fmt.Errorf("block %d holds more data than the %d bytes announced", j.header.GetHeight(), j.header.GetDataSize())
		}
		j.data = append(j.data, data...)
	}
	if !part.GetLastPart() {
		return ordering.Block{}, false, nil
	}
	block, err := j.close()
	return block, err == nil, err
}

// open begins a block with its header, or goes on with one without.
func (j *Joiner) open(header *orderingv1.BlockHeader) error {
	switch {
	case header == nil && j.header == nil:
		return errors.New("a block begins without a header")
	case header == nil:
		return nil
	case j.header != nil:
		return fmt.Errorf("block %d begins before block %d has ended", header.GetHeight(), j.header.GetHeight())
	case header.GetDataSize() > j.limit:
		return fmt.Errorf("block %d announces %d bytes of data, at most %d are admitted", header.GetHeight(), header.GetDataSize(), j.limit)
	case len(header.GetDigest()) != len(ordering.Digest{}) || len(header.GetPreviousDigest()) != len(ordering.Digest{}):
		return fmt.Errorf("block %d has digests of %d and %d bytes", header.GetHeight(), len(header.GetDigest()), len(header.GetPreviousDigest()))
	case header.GetTimeMicros() > math.MaxInt64-int64(header.GetRequestCount()):
		return fmt.Errorf("block %d runs past the end of time", header.GetHeight())
	}
	j.header = header
	// Announced is not arrived: what is allocated at once stays small.
	j.data = make([]byte, 0, min(header.GetDataSize(), 4*PartSize))
	return nil
}

func (j *Joiner) close() (ordering.Block, error) {
	header, data := j.header, j.data
	j.header, j.data = nil, nil
	if uint64(len(data)) != header.GetDataSize() {
		return ordering.Block{}, fmt.Errorf("block %d ends after %d bytes of data of %d", header.GetHeight(), len(data), header.GetDataSize())
	}
	payload, err := ordering.ParsePayload(int(header.GetRequestCount()), data)
	if err != nil {
		return ordering.Block{}, fmt.Errorf("block %d: %w", header.GetHeight(), err)
	}
	block := ordering.Block{
		Height:   ordering.Height(header.GetHeight()),
		Digest:   ordering.Digest(header.GetDigest()),
		Previous: ordering.Digest(header.GetPreviousDigest()),
		Epoch:    header.GetEpoch(),
		Time:     header.GetTimeMicros(),
	}
	if payload.Count > 0 {
		block.Payloads = []ordering.Payload{payload}
	}
	return block, nil
}
