package lfjson

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/synod-network/synod/daml/value"
)

// Encode writes a value that has its types.
func Encode(v value.Value) ([]byte, error) { return Append(nil, v) }

// Append writes a value that has its types behind b.
func Append(b []byte, v value.Value) ([]byte, error) { return appendValue(b, v, 0) }

func appendString(b []byte, s string) []byte {
	quoted, _ := json.Marshal(s) // strings always can be written
	return append(b, quoted...)
}

func appendValue(b []byte, v value.Value, depth int) ([]byte, error) {
	if depth > value.MaxNesting {
		return b, value.ErrNesting
	}
	var err error
	switch v := v.(type) {
	case value.Unit:
		return append(b, "{}"...), nil
	case value.Bool:
		return strconv.AppendBool(b, bool(v)), nil
	case value.Int64:
		return append(strconv.AppendInt(append(b, '"'), int64(v), 10), '"'), nil
	case value.Numeric:
		return appendString(b, numeric(v)), nil
	case value.Text:
		return appendString(b, string(v)), nil
	case value.Party:
		return appendString(b, string(v)), nil
	case value.Timestamp:
		return appendString(b, v.String()), nil
	case value.Date:
		return appendString(b, v.String()), nil
	case value.ContractID:
		return appendString(b, v.String()), nil
	case *value.Enum:
		return appendString(b, v.Con), nil
	case *value.Optional:
		return appendOptional(b, v, depth)
	case *value.List:
		b = append(b, '[')
		for i := 0; v.Length > 0; v = v.Tail {
			if i++; i > 1 {
				b = append(b, ',')
			}
			if b, err = appendValue(b, v.Head, depth+1); err != nil {
				return b, err
			}
		}
		return append(b, ']'), nil
	case *value.Map:
		return appendMap(b, v, depth)
	case *value.Record:
		return appendRecord(b, v, depth)
	case *value.Variant:
		b = appendString(append(b, `{"tag":`...), v.Con)
		b, err = appendValue(append(b, `,"value":`...), v.Arg, depth+1)
		return append(b, '}'), err
	}
	return b, fmt.Errorf("values of kind %d cannot be written as JSON", v.Kind())
}

// numeric writes all digits of the scale.
func numeric(n value.Numeric) string {
	s := n.String()
	if s[len(s)-1] == '.' {
		return s[:len(s)-1]
	}
	return s
}

func appendOptional(b []byte, v *value.Optional, depth int) ([]byte, error) {
	if v.V == nil {
		return append(b, "null"...), nil
	}
	inner, nested := v.V.(*value.Optional)
	if !nested {
		return appendValue(b, v.V, depth+1)
	}
	if inner.V == nil {
		return append(b, "[]"...), nil
	}
	b, err := appendValue(append(b, '['), v.V, depth+1)
	return append(b, ']'), err
}

func appendMap(b []byte, v *value.Map, depth int) ([]byte, error) {
	var err error
	text := v.Kind() == value.KindTextMap
	open, shut := byte('['), byte(']')
	if text {
		open, shut = '{', '}'
	}
	b = append(b, open)
	first := true
	for key, part := range v.All() {
		if !first {
			b = append(b, ',')
		}
		first = false
		if text {
			b = append(appendString(b, string(key.(value.Text))), ':')
		} else {
			if b, err = appendValue(append(b, '['), key, depth+1); err != nil {
				return b, err
			}
			b = append(b, ',')
		}
		if b, err = appendValue(b, part, depth+1); err != nil {
			return b, err
		}
		if !text {
			b = append(b, ']')
		}
	}
	return append(b, shut), nil
}

func appendRecord(b []byte, v *value.Record, depth int) ([]byte, error) {
	if v.Type == nil {
		return b, fmt.Errorf("a record whose type is not known cannot be written as JSON")
	}
	var err error
	b = append(b, '{')
	for i, f := range v.Fields {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, v.Type.Names[i]), ':')
		if b, err = appendValue(b, f, depth+1); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}
