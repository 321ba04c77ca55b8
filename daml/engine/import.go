package engine

import (
	"fmt"
	"slices"

	"github.com/synod-network/synod/daml/shape"
	"github.com/synod-network/synod/daml/value"
)

// Origin says where a value comes from that is to get a type, and so what it has to keep to.
type Origin uint8

const (
	// FromLedger is a stored contract: fields by position, no trailing Nones unless it has its types, no local contract ids.
	FromLedger Origin = iota
	// FromClient is an argument of a command: fields by name if all have one, no local contract ids.
	FromClient
	// FromProgram is a value that a program built itself.
	FromProgram
)

// Import checks a value against the shape of a type, and returns it as a value of that type. Between versions of a type it adds
// Nones for fields that the value lacks, and drops fields that the type lacks if they are None.
func Import(s *shape.Shape, v value.Value, from Origin) (value.Value, error) {
	return importer{from}.value(s, v, 0)
}

type importer struct{ from Origin }

func mismatch(s *shape.Shape, v value.Value) error {
	return fmt.Errorf("mismatching type: %s and value: %s", shape.Print(s.Type), Show(v))
}

func (im importer) value(s *shape.Shape, v value.Value, depth int) (value.Value, error) {
	if depth > value.MaxNesting {
		return nil, value.ErrNesting
	}
	if v == nil || v.Kind() != s.Kind {
		if v == nil {
			v = value.Unit{}
		}
		return nil, mismatch(s, v)
	}
	switch v := v.(type) {
	case value.Numeric:
		return im.numeric(s, v)
	case value.ContractID:
		if im.from != FromProgram && v.Suffix() == "" {
			return nil, fmt.Errorf("contract id %s is local to the transaction that creates the contract", v)
		}
	case *value.Optional:
		if v.V == nil {
			return v, nil
		}
		inner, err := im.value(s.Args[0], v.V, depth+1)
		if err != nil || inner == v.V {
			return v, err
		}
		return value.Some(inner), nil
	case *value.List:
		return im.list(s, v, depth)
	case *value.Map:
		return im.mapping(s, v, depth)
	case *value.Record:
		return im.record(s, v, depth)
	case *value.Variant:
		return im.variant(s, v, depth)
	case *value.Enum:
		rank := slices.Index(s.Data.Names, v.Con)
		if rank < 0 {
			return nil, fmt.Errorf("type %s has no constructor %s", s.Data.ID.Qualified(), v.Con)
		}
		return &value.Enum{Type: s.Data, Con: s.Data.Names[rank], Rank: rank}, nil
	}
	return v, nil
}

func (im importer) numeric(s *shape.Shape, v value.Numeric) (value.Value, error) {
	if v.Scale() == s.Scale {
		return v, nil
	}
	if im.from != FromClient {
		return nil, fmt.Errorf("non-normalized Numeric: the type expects scale %d, but the value has scale %d", s.Scale, v.Scale())
	}
	n, err := v.Cast(s.Scale)
	if err != nil {
		return nil, fmt.Errorf("%s as Numeric %d: %w", v, s.Scale, err)
	}
	return n, nil
}

func (im importer) list(s *shape.Shape, v *value.List, depth int) (value.Value, error) {
	elements := make([]value.Value, 0, v.Length)
	changed := false
	for e := range v.All() {
		typed, err := im.value(s.Args[0], e, depth+1)
		if err != nil {
			return nil, err
		}
		changed = changed || typed != e
		elements = append(elements, typed)
	}
	if !changed {
		return v, nil
	}
	return value.ListOf(elements...), nil
}

func (im importer) mapping(s *shape.Shape, v *value.Map, depth int) (value.Value, error) {
	of := s.Args[len(s.Args)-1]
	empty := value.EmptyTextMap()
	if s.Kind == value.KindGenMap {
		empty = value.EmptyGenMap()
	}
	var b value.MapBuilder
	fresh := empty
	for key, part := range v.All() {
		var err error
		if s.Kind == value.KindGenMap {
			if key, err = im.value(s.Args[0], key, depth+1); err != nil {
				return nil, err
			}
		}
		if part, err = im.value(of, part, depth+1); err != nil {
			return nil, err
		}
		if im.from == FromClient { // in any order, the last of equals counts
			if fresh, err = fresh.Insert(key, part); err != nil {
				return nil, err
			}
		}
		b.Add(key, part)
	}
	if im.from == FromClient {
		return fresh, nil
	}
	return b.Map(empty), b.CheckOrder()
}

func (im importer) variant(s *shape.Shape, v *value.Variant, depth int) (value.Value, error) {
	if err := im.sameName(s, v.Type); err != nil {
		return nil, err
	}
	rank := slices.Index(s.Data.Names, v.Con)
	if rank < 0 {
		return nil, fmt.Errorf("type %s has no constructor %s", s.Data.ID.Qualified(), v.Con)
	}
	parts, err := s.Parts()
	if err != nil {
		return nil, err
	}
	arg, err := im.value(parts[rank], v.Arg, depth+1)
	if err != nil || arg == v.Arg && v.Type == s.Data {
		return v, err
	}
	return &value.Variant{Type: s.Data, Con: s.Data.Names[rank], Rank: rank, Arg: arg}, nil
}

// sameName checks that a value which names its type names the right one, of any version.
func (im importer) sameName(s *shape.Shape, t *value.DataType) error {
	if t != nil && t.ID != (value.Identifier{}) && t.ID.Qualified() != s.Data.ID.Qualified() {
		return fmt.Errorf("the type is %s, but the value says %s", s.Data.ID.Qualified(), t.ID.Qualified())
	}
	return nil
}

func (im importer) record(s *shape.Shape, v *value.Record, depth int) (value.Value, error) {
	if err := im.sameName(s, v.Type); err != nil {
		return nil, err
	}
	if v.Type == nil && im.from == FromLedger && v.Kept() < len(v.Fields) {
		return nil, fmt.Errorf("unexpected trailing None in a stored record of type %s", s.Data.ID.Qualified())
	}
	parts, err := s.Parts()
	if err != nil {
		return nil, err
	}
	given := v.Fields
	if v.Type != nil && im.from == FromClient {
		if given, err = fieldsByName(s, v); err != nil {
			return nil, err
		}
	}
	fields := make([]value.Value, len(parts))
	changed := v.Type != s.Data || len(given) != len(parts)
	for i, part := range parts {
		if i >= len(given) || given[i] == nil {
			if part.Kind != value.KindOptional {
				return nil, fmt.Errorf("missing non-optional field %q of %s, cannot upgrade non-optional fields", s.Data.Names[i], s.Data.ID.Qualified())
			}
			fields[i], changed = value.None(), true
			continue
		}
		if fields[i], err = im.value(part, given[i], depth+1); err != nil {
			return nil, fmt.Errorf("field %s: %w", s.Data.Names[i], err)
		}
		changed = changed || fields[i] != given[i]
	}
	for i := len(parts); i < len(given); i++ {
		if err := droppable(given[i]); err != nil {
			return nil, fmt.Errorf("field %d of %s: %w", i, s.Data.ID.Qualified(), err)
		}
	}
	if !changed {
		return v, nil
	}
	return &value.Record{Type: s.Data, Fields: fields}, nil
}

// droppable says whether a field may be dropped that the type does not have.
func droppable(v value.Value) error {
	o, ok := v.(*value.Optional)
	switch {
	case !ok:
		return fmt.Errorf("found non-optional extra field, cannot remove for downgrading")
	case o.V != nil:
		return fmt.Errorf("an optional contract field with a value of Some may not be dropped during downgrading")
	}
	return nil
}

// fieldsByName sorts the fields of a record into the order of its type. Fields that the type does not have come last.
func fieldsByName(s *shape.Shape, v *value.Record) ([]value.Value, error) {
	names := v.Type.Names
	if len(names) < len(v.Fields) || slices.Contains(names, "") || slices.Equal(names, s.Data.Names) {
		return v.Fields, nil
	}
	given := make([]value.Value, len(s.Data.Names))
	var extra []value.Value
	for i, f := range v.Fields {
		if slices.Contains(names[:i], names[i]) {
			return nil, fmt.Errorf("duplicate label %s in record", names[i])
		}
		if at := slices.Index(s.Data.Names, names[i]); at >= 0 {
			given[at] = f
		} else {
			extra = append(extra, f)
		}
	}
	return append(given, extra...), nil
}
