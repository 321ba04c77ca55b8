package lfjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/synod-network/synod/daml/shape"
	"github.com/synod-network/synod/daml/value"
)

// Decode reads a value of a type. Optional fields of records may be left out.
func Decode(s *shape.Shape, text []byte) (value.Value, error) {
	parsed, err := Parse(text)
	if err != nil {
		return nil, err
	}
	return FromParsed(s, parsed)
}

// maxDepth bounds the nesting of JSON: each level of a value takes at most two of JSON.
const maxDepth = 2*value.MaxNesting + 4

// Parse reads JSON, keeping numbers as they are written and the order of objects.
func Parse(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	parsed, err := parse(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more behind the JSON value")
	}
	return parsed, nil
}

// Object is a JSON object in the order of its text.
type Object []Member

// Member is a name and value of an object.
type Member struct {
	Name  string
	Value any
}

// Get returns the value of a member.
func (o Object) Get(name string) (any, bool) {
	for _, m := range o {
		if m.Name == name {
			return m.Value, true
		}
	}
	return nil, false
}

func parse(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, value.ErrNesting
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		object, names := Object{}, map[string]bool{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			if names[name.(string)] {
				return nil, fmt.Errorf("object has %.80q twice", name)
			}
			names[name.(string)] = true
			v, err := parse(d, depth+1)
			if err != nil {
				return nil, err
			}
			object = append(object, Member{name.(string), v})
		}
		_, err = d.Token()
		return object, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := parse(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	return token, nil
}

// FromParsed turns what Parse returned into a value of a type.
func FromParsed(s *shape.Shape, parsed any) (value.Value, error) { return decode(s, parsed, 0) }

func wrong(s *shape.Shape, parsed any) error {
	return fmt.Errorf("want %s (as %s), got %s", shape.Print(s.Type), form(s), show(parsed))
}

// form says how JSON writes values of a type.
func form(s *shape.Shape) string {
	switch s.Kind {
	case value.KindUnit:
		return "{}"
	case value.KindBool:
		return "true or false"
	case value.KindInt64, value.KindNumeric:
		return `a string like "42"`
	case value.KindTimestamp:
		return `a string like "2026-01-31T12:00:00Z"`
	case value.KindDate:
		return `a string like "2026-01-31"`
	case value.KindParty, value.KindText, value.KindEnum:
		return "a string"
	case value.KindContractID:
		return "a string of hexadecimal digits"
	case value.KindOptional:
		if s.Args[0].Kind == value.KindOptional {
			return "null, [] or [value]"
		}
		return "null or the value"
	case value.KindList:
		return "an array"
	case value.KindGenMap:
		return "an array of pairs [key, value]"
	case value.KindVariant:
		return `an object {"tag": …, "value": …}`
	}
	return "an object"
}

func show(parsed any) string {
	switch p := parsed.(type) {
	case nil:
		return "null"
	case Object:
		return "an object"
	case []any:
		return "an array"
	case string:
		return strconv.Quote(short(p))
	}
	return short(fmt.Sprint(parsed)) // numbers can be long too
}

func short(text string) string {
	if len(text) > 60 {
		return strings.ToValidUTF8(text[:60], "") + "…"
	}
	return text
}

func decode(s *shape.Shape, parsed any, depth int) (value.Value, error) {
	if depth > value.MaxNesting {
		return nil, value.ErrNesting
	}
	switch s.Kind {
	case value.KindUnit:
		if o, ok := parsed.(Object); !ok || len(o) != 0 {
			return nil, wrong(s, parsed)
		}
		return value.Unit{}, nil
	case value.KindBool:
		b, ok := parsed.(bool)
		if !ok {
			return nil, wrong(s, parsed)
		}
		return value.Bool(b), nil
	case value.KindOptional:
		return decodeOptional(s, parsed, depth)
	case value.KindList:
		list, ok := parsed.([]any)
		if !ok {
			return nil, wrong(s, parsed)
		}
		elements := make([]value.Value, len(list))
		for i, e := range list {
			var err error
			if elements[i], err = decode(s.Args[0], e, depth+1); err != nil {
				return nil, fmt.Errorf("element %d: %w", i, err)
			}
		}
		return value.ListOf(elements...), nil
	case value.KindTextMap:
		return decodeTextMap(s, parsed, depth)
	case value.KindGenMap:
		return decodeMap(s, parsed, depth)
	case value.KindRecord:
		return decodeRecord(s, parsed, depth)
	case value.KindVariant:
		return decodeVariant(s, parsed, depth)
	}
	return decodeScalar(s, parsed)
}

// decodeScalar reads what is written as a string.
func decodeScalar(s *shape.Shape, parsed any) (value.Value, error) {
	text, ok := parsed.(string)
	if n, isNumber := parsed.(json.Number); isNumber && (s.Kind == value.KindInt64 || s.Kind == value.KindNumeric) {
		text, ok = n.String(), true
	}
	if !ok {
		return nil, wrong(s, parsed)
	}
	var v value.Value
	var err error
	switch s.Kind {
	case value.KindInt64:
		var n int64
		if n, err = strconv.ParseInt(text, 10, 64); err != nil {
			err = errors.New("an Int64 is a whole number from -9223372036854775808 to 9223372036854775807")
		}
		v = value.Int64(n)
	case value.KindNumeric:
		v, err = value.ParseNumericAt(text, s.Scale)
	case value.KindText:
		if strings.IndexByte(text, 0) >= 0 {
			return nil, errors.New("text must not contain the null character")
		}
		v = value.Text(text)
	case value.KindParty:
		v, err = value.ParseParty(text)
	case value.KindTimestamp:
		v, err = value.ParseTimestamp(text)
	case value.KindDate:
		v, err = value.ParseDate(text)
	case value.KindContractID:
		v, err = value.ParseContractID(text)
	case value.KindEnum:
		rank := slices.Index(s.Data.Names, text)
		if rank < 0 {
			return nil, fmt.Errorf("%s has no constructor %q; it has %s", s.Data.ID.Qualified(), short(text), strings.Join(s.Data.Names, ", "))
		}
		v = &value.Enum{Type: s.Data, Con: text, Rank: rank}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", wrong(s, parsed), err)
	}
	return v, nil
}

func decodeOptional(s *shape.Shape, parsed any, depth int) (value.Value, error) {
	if parsed == nil {
		return value.None(), nil
	}
	if s.Args[0].Kind == value.KindOptional { // nested, so that null would mean two things
		list, ok := parsed.([]any)
		if !ok || len(list) > 1 {
			return nil, wrong(s, parsed)
		}
		if len(list) == 0 {
			return value.Some(value.None()), nil
		}
		parsed = list[0]
	}
	inner, err := decode(s.Args[0], parsed, depth+1)
	if err != nil {
		return nil, err
	}
	return value.Some(inner), nil
}

func decodeTextMap(s *shape.Shape, parsed any, depth int) (value.Value, error) {
	o, ok := parsed.(Object)
	if !ok {
		return nil, wrong(s, parsed)
	}
	m := value.EmptyTextMap()
	for _, member := range o {
		v, err := decode(s.Args[0], member.Value, depth+1)
		if err == nil {
			m, err = m.Insert(value.Text(member.Name), v)
		}
		if err != nil {
			return nil, fmt.Errorf("%q: %w", member.Name, err)
		}
	}
	return m, nil
}

func decodeMap(s *shape.Shape, parsed any, depth int) (value.Value, error) {
	list, ok := parsed.([]any)
	if !ok {
		return nil, wrong(s, parsed)
	}
	m := value.EmptyGenMap()
	for i, e := range list {
		pair, ok := e.([]any)
		if !ok || len(pair) != 2 {
			return nil, wrong(s, parsed)
		}
		key, err := decode(s.Args[0], pair[0], depth+1)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
		v, err := decode(s.Args[1], pair[1], depth+1)
		if err == nil {
			m, err = m.Insert(key, v)
		}
		if err != nil {
			return nil, fmt.Errorf("value %d: %w", i, err)
		}
	}
	return m, nil
}

func decodeRecord(s *shape.Shape, parsed any, depth int) (value.Value, error) {
	parts, err := s.Parts()
	if err != nil {
		return nil, err
	}
	o, ok := parsed.(Object)
	if !ok {
		return nil, wrong(s, parsed)
	}
	for _, m := range o {
		if !slices.Contains(s.Data.Names, m.Name) {
			return nil, fmt.Errorf("%s has no field %q; it has %s", s.Data.ID.Qualified(), short(m.Name), strings.Join(s.Data.Names, ", "))
		}
	}
	r := &value.Record{Type: s.Data, Fields: make([]value.Value, len(parts))}
	for i, part := range parts {
		name := s.Data.Names[i]
		member, given := o.Get(name)
		if !given && part.Kind != value.KindOptional {
			return nil, fmt.Errorf("field %q of %s is missing", name, s.Data.ID.Qualified())
		}
		if r.Fields[i], err = decode(part, member, depth+1); err != nil {
			return nil, fmt.Errorf("field %s: %w", name, err)
		}
	}
	return r, nil
}

func decodeVariant(s *shape.Shape, parsed any, depth int) (value.Value, error) {
	parts, err := s.Parts()
	if err != nil {
		return nil, err
	}
	o, _ := parsed.(Object)
	tagged, _ := o.Get("tag")
	tag, ok := tagged.(string)
	arg, given := o.Get("value")
	if !ok || !given || len(o) != 2 {
		return nil, wrong(s, parsed)
	}
	rank := slices.Index(s.Data.Names, tag)
	if rank < 0 {
		return nil, fmt.Errorf("%s has no constructor %q; it has %s", s.Data.ID.Qualified(), short(tag), strings.Join(s.Data.Names, ", "))
	}
	v, err := decode(parts[rank], arg, depth+1)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tag, err)
	}
	return &value.Variant{Type: s.Data, Con: tag, Rank: rank, Arg: v}, nil
}
