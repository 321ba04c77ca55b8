package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// field is one setting of a configuration struct: a leaf value, or a list of tables.
type field struct {
	key   string // dotted from the root
	doc   string
	value reflect.Value // addressable
}

// fieldsOf returns the settings of the struct that target points to, tables flattened, in the order of declaration.
func fieldsOf(target any) []field {
	return collect("", reflect.ValueOf(target).Elem())
}

func collect(prefix string, table reflect.Value) []field {
	var fields []field
	for i := range table.NumField() {
		declared := table.Type().Field(i)
		key := keyOfField(declared)
		if key == "" {
			continue
		}
		value := table.Field(i)
		if isTable(value) {
			fields = append(fields, collect(prefix+key+".", value)...)
			continue
		}
		fields = append(fields, field{key: prefix + key, doc: declared.Tag.Get("doc"), value: value})
	}
	return fields
}

// keyOfField is the key of a struct's field in its table, or empty if it is no setting.
func keyOfField(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
	if key == "-" {
		return ""
	}
	return key
}

func isTable(value reflect.Value) bool { return formOf(value.Type()) == tableForm }

func (f field) isList() bool { return formOf(f.value.Type()) == listForm }

// elements returns the settings of one element of a list, with their zero values.
func (f field) elements() []field {
	if !f.isList() {
		return nil
	}
	return collect("", reflect.New(f.value.Type().Elem()).Elem())
}

// inline returns a table of a list as TOML writes it in one line.
func inline(table reflect.Value) string {
	var parts []string
	for _, f := range collect("", table) {
		parts = append(parts, f.key+" = "+f.text())
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

// text returns the value as it is written in a TOML file. Lists have no single text; see [inline].
func (f field) text() string {
	if marshaler, ok := f.value.Addr().Interface().(encoding.TextMarshaler); ok {
		text, err := marshaler.MarshalText()
		if err != nil {
			return strconv.Quote(err.Error())
		}
		return strconv.Quote(string(text))
	}
	if f.value.Kind() == reflect.String {
		return strconv.Quote(f.value.String())
	}
	return fmt.Sprint(f.value.Interface())
}

// parse sets the value from the text of an environment variable or a flag.
func (f field) parse(text string) error {
	if unmarshaler, ok := f.value.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return unmarshaler.UnmarshalText([]byte(text))
	}
	switch f.value.Kind() {
	case reflect.String:
		f.value.SetString(text)
	case reflect.Bool:
		on, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		f.value.SetBool(on)
	case reflect.Int, reflect.Int64:
		number, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is no whole number", text)
		}
		f.value.SetInt(number)
	default:
		return fmt.Errorf("values of type %s can be set in the file only", f.value.Type())
	}
	return nil
}
