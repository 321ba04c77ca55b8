package config

import (
	"encoding"
	"fmt"
	"reflect"

	"github.com/pelletier/go-toml/v2/unstable"
)

// mistyped judges whether the TOML value that is written suits the setting that it is for, before the decoder does: that
// would take a bare number for a duration, in nanoseconds, and words the rest for programmers.
func mistyped(w written, declared map[string]reflect.Type) error {
	t, found := declared[w.key]
	if !found {
		return nil // unknown: the decoder says so
	}
	switch form := formOf(t); w.kind {
	case unstable.Table, unstable.InlineTable:
		switch form {
		case listForm:
			return fmt.Errorf("is a list of tables; write [[%s]] above each", w.key)
		case valueForm:
			return fmt.Errorf("is a single value, not a table; write it as a line in the table above it")
		}
		return nil
	case unstable.ArrayTable, unstable.Array:
		if form == tableForm {
			return fmt.Errorf("is one table, not a list; write [%s], once", w.key)
		} else if form == valueForm {
			return fmt.Errorf("is a single value, not a list; write one without brackets")
		}
		return nil
	default:
		switch form {
		case listForm:
			return fmt.Errorf("is a list of tables; write [[%s]] above each", w.key)
		case tableForm:
			return fmt.Errorf("is a table; write [%s], and its keys below", w.key)
		}
		return mistypedValue(w, t)
	}
}

// mistypedValue judges a single value.
func mistypedValue(w written, t reflect.Type) error {
	text := w.kind == unstable.String
	quoted, number := isQuoted(t), t.Kind() != reflect.String && t.Kind() != reflect.Bool
	natural := map[reflect.Kind]unstable.Kind{reflect.Bool: unstable.Bool, reflect.Int: unstable.Integer, reflect.Int64: unstable.Integer, reflect.Uint64: unstable.Integer}
	if quoted && text || !quoted && w.kind == natural[t.Kind()] {
		return nil
	}
	if err := (field{value: reflect.New(t).Elem()}).parse(w.text); err != nil {
		return err
	}
	switch {
	case !quoted:
		return fmt.Errorf("%q is a text; write it without quotes", w.text)
	case number && (w.kind == unstable.Integer || w.kind == unstable.Float):
		return nil // a score, or 0 for a duration
	}
	return fmt.Errorf("%s is no text; write it in quotes", w.text)
}

type form int

const (
	valueForm form = iota
	tableForm
	listForm
)

func formOf(t reflect.Type) form {
	switch {
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		return listForm
	case t.Kind() == reflect.Struct && !isQuoted(t):
		return tableForm
	}
	return valueForm
}

// isQuoted reports whether a value of the type is written as a TOML string.
func isQuoted(t reflect.Type) bool {
	return t.Kind() == reflect.String || reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// declaredIn notes the type of every setting of a configuration struct, and of every table, under its dotted key.
func declaredIn(prefix string, table reflect.Type, declared map[string]reflect.Type) {
	for i := range table.NumField() {
		f := table.Field(i)
		key := keyOfField(f)
		if key == "" {
			continue
		}
		declared[prefix+key] = f.Type
		switch formOf(f.Type) {
		case tableForm:
			declaredIn(prefix+key+".", f.Type, declared)
		case listForm:
			declaredIn(prefix+key+".", f.Type.Elem(), declared)
		}
	}
}
