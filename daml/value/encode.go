package value

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/synod-network/synod/daml/internal/wire"
)

// The stored form of a value: protobuf messages without the names of types and fields, trailing Nones left out. Field numbers are
// those of the Daml ledger's own value.proto, so that stored values can be exchanged.
const (
	fieldUnit       = 1
	fieldBool       = 2
	fieldInt64      = 3
	fieldDate       = 4
	fieldTimestamp  = 5
	fieldNumeric    = 6
	fieldParty      = 7
	fieldText       = 8
	fieldContractID = 9
	fieldOptional   = 10
	fieldList       = 11
	fieldGenMap     = 12
	fieldRecord     = 13
	fieldVariant    = 14
	fieldEnum       = 15
	fieldTextMap    = 16
)

// Append appends the stored form of a value to b.
func Append(b []byte, v Value) ([]byte, error) { return appendValue(b, v, 0) }

func appendValue(b []byte, v Value, depth int) ([]byte, error) {
	if depth > MaxNesting {
		return b, ErrNesting
	}
	switch v := v.(type) {
	case Unit:
		return protowire.AppendBytes(protowire.AppendTag(b, fieldUnit, protowire.BytesType), nil), nil
	case Bool:
		return protowire.AppendVarint(protowire.AppendTag(b, fieldBool, protowire.VarintType), protowire.EncodeBool(bool(v))), nil
	case Int64:
		return protowire.AppendVarint(protowire.AppendTag(b, fieldInt64, protowire.VarintType), protowire.EncodeZigZag(int64(v))), nil
	case Date:
		return protowire.AppendVarint(protowire.AppendTag(b, fieldDate, protowire.VarintType), uint64(int64(v))), nil
	case Timestamp:
		return protowire.AppendFixed64(protowire.AppendTag(b, fieldTimestamp, protowire.Fixed64Type), uint64(v)), nil
	case Numeric:
		return wire.Text(b, fieldNumeric, v.String()), nil
	case Party:
		return wire.Text(b, fieldParty, string(v)), nil
	case Text:
		return wire.Text(b, fieldText, string(v)), nil
	case ContractID:
		return wire.Text(b, fieldContractID, string(v)), nil
	case *Enum:
		return wire.Message(b, fieldEnum, func(b []byte) ([]byte, error) { return wire.Text(b, 1, v.Con), nil })
	}
	return appendCompound(b, v, depth+1)
}

func appendCompound(b []byte, v Value, depth int) ([]byte, error) {
	part := func(b []byte, field protowire.Number, v Value) ([]byte, error) {
		return wire.Message(b, field, func(b []byte) ([]byte, error) { return appendValue(b, v, depth) })
	}
	switch v := v.(type) {
	case *Optional:
		return wire.Message(b, fieldOptional, func(b []byte) ([]byte, error) {
			if v.V == nil {
				return b, nil
			}
			return part(b, 1, v.V)
		})
	case *List:
		return wire.Message(b, fieldList, func(b []byte) (_ []byte, err error) {
			for e := range v.All() {
				if b, err = part(b, 1, e); err != nil {
					return b, err
				}
			}
			return b, nil
		})
	case *Record:
		return wire.Message(b, fieldRecord, func(b []byte) (_ []byte, err error) {
			for _, f := range v.Fields[:v.Kept()] {
				if b, err = wire.Message(b, 1, func(b []byte) ([]byte, error) { return part(b, 1, f) }); err != nil {
					return b, err
				}
			}
			return b, nil
		})
	case *Variant:
		return wire.Message(b, fieldVariant, func(b []byte) ([]byte, error) { return part(wire.Text(b, 1, v.Con), 2, v.Arg) })
	case *Map:
		field := protowire.Number(fieldGenMap)
		if v.text {
			field = fieldTextMap
		}
		return wire.Message(b, field, func(b []byte) (_ []byte, err error) {
			for key, e := range v.All() {
				if b, err = wire.Message(b, 1, func(b []byte) (_ []byte, err error) {
					if v.text {
						b = wire.Text(b, 1, string(key.(Text)))
					} else if b, err = part(b, 1, key); err != nil {
						return b, err
					}
					return part(b, 2, e)
				}); err != nil {
					return b, err
				}
			}
			return b, nil
		})
	}
	return b, fmt.Errorf("values of kind %d cannot be stored", v.Kind())
}

// Decode reads the stored form of a value. The value has no types yet.
func Decode(b []byte) (Value, error) { return decodeValue(b, 0) }

// wireTypes says how each field of a value is written.
var wireTypes = [...]protowire.Type{
	fieldUnit: protowire.BytesType, fieldBool: protowire.VarintType, fieldInt64: protowire.VarintType, fieldDate: protowire.VarintType,
	fieldTimestamp: protowire.Fixed64Type, fieldNumeric: protowire.BytesType, fieldParty: protowire.BytesType,
	fieldText: protowire.BytesType, fieldContractID: protowire.BytesType, fieldOptional: protowire.BytesType,
	fieldList: protowire.BytesType, fieldGenMap: protowire.BytesType, fieldRecord: protowire.BytesType,
	fieldVariant: protowire.BytesType, fieldEnum: protowire.BytesType, fieldTextMap: protowire.BytesType,
}

func decodeValue(b []byte, depth int) (v Value, err error) {
	if depth > MaxNesting {
		return nil, ErrNesting
	}
	err = wire.Each(b, func(field protowire.Number, kind protowire.Type, bytes []byte, n uint64) (err error) {
		if v != nil || field < 1 || int(field) >= len(wireTypes) || wireTypes[field] != kind {
			return wire.ErrMalformed
		}
		v, err = decodeOne(field, bytes, n, depth)
		return err
	})
	if err == nil && v == nil {
		err = wire.ErrMalformed
	}
	return v, err
}

func decodeOne(field protowire.Number, bytes []byte, n uint64, depth int) (Value, error) {
	switch field {
	case fieldUnit:
		return Unit{}, nil
	case fieldBool:
		return Bool(n != 0), nil
	case fieldInt64:
		return Int64(protowire.DecodeZigZag(n)), nil
	case fieldDate:
		return MakeDate(int64(n))
	case fieldTimestamp:
		return MakeTimestamp(int64(n))
	case fieldNumeric:
		return ParseNumeric(string(bytes))
	case fieldParty:
		return ParseParty(string(bytes))
	case fieldText:
		return decodeText(bytes)
	case fieldContractID:
		return MakeContractID(bytes)
	case fieldEnum:
		return decodeEnum(bytes)
	case fieldOptional:
		return decodeOptional(bytes, depth)
	case fieldList:
		parts, err := decodeParts(bytes, depth+1)
		return ListOf(parts...), err
	case fieldRecord:
		return decodeRecord(bytes, depth)
	case fieldVariant:
		return decodeVariant(bytes, depth)
	}
	return decodeMap(bytes, field == fieldTextMap, depth)
}

func decodeText(bytes []byte) (Text, error) {
	if !utf8.Valid(bytes) || strings.IndexByte(string(bytes), 0) >= 0 {
		return "", errors.New("text is not valid UTF-8 without NUL")
	}
	return Text(bytes), nil
}

// decodeParts reads a message that repeats values in field 1.
func decodeParts(b []byte, depth int) (parts []Value, err error) {
	err = wire.Each(b, func(field protowire.Number, kind protowire.Type, bytes []byte, _ uint64) error {
		if field != 1 || kind != protowire.BytesType {
			return wire.ErrMalformed
		}
		v, err := decodeValue(bytes, depth)
		parts = append(parts, v)
		return err
	})
	return parts, err
}

func decodeOptional(b []byte, depth int) (Value, error) {
	parts, err := decodeParts(b, depth+1)
	switch {
	case err != nil:
		return nil, err
	case len(parts) == 0:
		return None(), nil
	case len(parts) > 1:
		return nil, wire.ErrMalformed
	}
	return Some(parts[0]), nil
}

func decodeRecord(b []byte, depth int) (Value, error) {
	r := &Record{}
	err := wire.Each(b, func(field protowire.Number, kind protowire.Type, bytes []byte, _ uint64) error {
		if field != 1 || kind != protowire.BytesType {
			return wire.ErrMalformed
		}
		parts, err := decodeParts(bytes, depth+1)
		if err == nil && len(parts) != 1 {
			err = wire.ErrMalformed
		}
		r.Fields = append(r.Fields, parts...)
		return err
	})
	return r, err
}

// decodePair reads a message with a text or value in field 1, and a value in field 2.
func decodePair(b []byte, text bool, depth int) (first, second Value, err error) {
	err = wire.Each(b, func(field protowire.Number, kind protowire.Type, bytes []byte, _ uint64) (err error) {
		switch {
		case kind != protowire.BytesType:
			return wire.ErrMalformed
		case field == 1 && first == nil && text:
			first, err = decodeText(bytes)
		case field == 1 && first == nil:
			first, err = decodeValue(bytes, depth+1)
		case field == 2 && second == nil:
			second, err = decodeValue(bytes, depth+1)
		default:
			return wire.ErrMalformed
		}
		return err
	})
	if first == nil && text {
		first = Text("")
	}
	if err == nil && (first == nil || second == nil) {
		err = wire.ErrMalformed
	}
	return first, second, err
}

func decodeVariant(b []byte, depth int) (Value, error) {
	con, arg, err := decodePair(b, true, depth)
	if err != nil {
		return nil, err
	}
	return &Variant{Con: string(con.(Text)), Arg: arg}, nil
}

func decodeEnum(b []byte) (Value, error) {
	e := &Enum{}
	err := wire.Each(b, func(field protowire.Number, kind protowire.Type, bytes []byte, _ uint64) error {
		if field != 1 || kind != protowire.BytesType || !utf8.Valid(bytes) {
			return wire.ErrMalformed
		}
		e.Con = string(bytes)
		return nil
	})
	return e, err
}

func decodeMap(b []byte, text bool, depth int) (Value, error) {
	m := EmptyGenMap()
	if text {
		m = EmptyTextMap()
	}
	var builder MapBuilder
	err := wire.Each(b, func(field protowire.Number, kind protowire.Type, bytes []byte, _ uint64) error {
		if field != 1 || kind != protowire.BytesType {
			return wire.ErrMalformed
		}
		key, part, err := decodePair(bytes, text, depth)
		builder.Add(key, part)
		return err
	})
	if err == nil && text {
		err = builder.CheckOrder()
	}
	return builder.Map(m), err
}
