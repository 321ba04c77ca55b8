// Package wire writes and reads protobuf messages by hand, field by field: values and transactions are many and small, and their
// form is fixed.
package wire

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrMalformed says that bytes are not the message they should be.
var ErrMalformed = errors.New("malformed message")

// Message appends a length-delimited field whose content write appends.
func Message(b []byte, field protowire.Number, write func([]byte) ([]byte, error)) ([]byte, error) {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	start := len(b)
	b, err := write(append(b, 0)) // most are shorter than 128 bytes
	if err != nil {
		return b, err
	}
	size := len(b) - start - 1
	if more := protowire.SizeVarint(uint64(size)) - 1; more > 0 {
		b = append(b, make([]byte, more)...)
		copy(b[start+1+more:], b[start+1:])
	}
	protowire.AppendVarint(b[:start], uint64(size))
	return b, nil
}

// Text appends a field that holds a string or bytes.
func Text[T string | []byte](b []byte, field protowire.Number, s T) []byte {
	b = protowire.AppendVarint(protowire.AppendTag(b, field, protowire.BytesType), uint64(len(s)))
	return append(b, s...)
}

// Flag appends a field that holds a bool, unless it is false.
func Flag(b []byte, field protowire.Number, set bool) []byte {
	if !set {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), 1)
}

// Each calls use for every field of a message: with its bytes if it is length-delimited, else with its number.
func Each(b []byte, use func(field protowire.Number, kind protowire.Type, bytes []byte, n uint64) error) error {
	for len(b) > 0 {
		field, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return ErrMalformed
		}
		b = b[size:]
		var bytes []byte
		var n uint64
		switch kind {
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			n, size = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			bytes, size = protowire.ConsumeBytes(b)
		default:
			return ErrMalformed
		}
		if size < 0 {
			return ErrMalformed
		}
		b = b[size:]
		if err := use(field, kind, bytes, n); err != nil {
			return err
		}
	}
	return nil
}
