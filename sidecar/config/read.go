package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/synod-network/synod/node/config"
)

// reader fills a layout from a file and remembers what came from where.
type reader struct {
	document []byte
	environ  map[string]string
	values   []Value
	notes    []Note
}

// read fills a pointer to a layout: what the file says, then defaults. It notes keys that have no effect.
func (r *reader) read(layout any) error {
	if err := toml.Unmarshal(r.document, layout); err != nil {
		return located(err)
	}
	if err := r.noteUnknown(layout); err != nil {
		return err
	}
	return r.complete(reflect.ValueOf(layout).Elem(), "")
}

// noteUnknown finds keys of the file that the layout does not have.
func (r *reader) noteUnknown(layout any) error {
	fresh := reflect.New(reflect.TypeOf(layout).Elem()).Interface()
	err := toml.NewDecoder(bytes.NewReader(r.document)).DisallowUnknownFields().Decode(fresh)
	var unknown *toml.StrictMissingError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &unknown):
		return located(err)
	}
	known := keysOf(reflect.TypeOf(layout).Elem(), "")
	for _, u := range unknown.Errors {
		key := strings.Join(u.Key(), ".")
		if strings.HasPrefix(key, "rpc_server.") {
			continue // noted as a whole
		}
		line, _ := u.Position()
		reason := fmt.Sprintf("line %d: there is no such key", line)
		if closest := config.Nearest(key, known); closest != "" {
			reason += "; did you mean " + closest + "?"
		}
		r.note(key, reason)
	}
	return nil
}

func (r *reader) note(key, reason string) {
	if n := (Note{Key: key, Reason: reason}); !slices.Contains(r.notes, n) {
		r.notes = append(r.notes, n)
	}
}

// keysOf lists the dotted keys of a layout.
func keysOf(of reflect.Type, prefix string) (keys []string) {
	for field, key := range fields(of, prefix) {
		keys = append(keys, key)
		if inner := tableType(field.Type); inner != nil {
			keys = append(keys, keysOf(inner, key+".")...)
		}
	}
	return keys
}

// fields yields the fields of a layout with their dotted keys, those of embedded structs among them.
func fields(of reflect.Type, prefix string) func(yield func(reflect.StructField, string) bool) {
	return func(yield func(reflect.StructField, string) bool) {
		for _, field := range reflect.VisibleFields(of) {
			if field.Anonymous {
				continue
			}
			if !yield(field, prefix+field.Tag.Get("toml")) {
				return
			}
		}
	}
}

// tableType is the struct behind a pointer to a table or a list of tables, nil for anything else.
func tableType(of reflect.Type) reflect.Type {
	if of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	if of.Kind() == reflect.Struct {
		return of
	}
	return nil
}

// complete gives absent keys their defaults, and complains about those that have none.
func (r *reader) complete(table reflect.Value, prefix string) error {
	for field, key := range fields(table.Type(), prefix) {
		value := table.FieldByIndex(field.Index)
		if err := r.completeField(field, value, key); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) completeField(field reflect.StructField, value reflect.Value, key string) error {
	_, optional := field.Tag.Lookup("optional")
	inner := tableType(field.Type)
	switch {
	case inner != nil && value.Kind() == reflect.Slice:
		for i := range value.Len() {
			if err := r.complete(value.Index(i), fmt.Sprintf("%s[%d].", key, i)); err != nil {
				return err
			}
		}
		return nil
	case inner != nil && value.IsNil() && inner == reflect.TypeFor[synodSection]():
		value.Set(reflect.New(inner))
	case inner != nil && value.IsNil() && optional:
		return nil
	case inner != nil && value.IsNil():
		return fmt.Errorf("the table [%s] is missing: %s", key, field.Tag.Get("doc"))
	case inner == nil && value.Kind() == reflect.Slice:
		r.show(field, key, fmt.Sprintf("%q", value.Interface()), "file")
		return nil
	}
	if inner != nil {
		return r.complete(value.Elem(), key+".")
	}
	return r.completeScalar(field, value, key, optional)
}

func (r *reader) completeScalar(field reflect.StructField, value reflect.Value, key string, optional bool) error {
	origin := "file"
	if value.IsNil() {
		text, found := field.Tag.Lookup("default")
		switch {
		case optional:
			return nil
		case !found:
			return fmt.Errorf("%s is missing: %s", key, field.Tag.Get("doc"))
		}
		value.Set(reflect.New(field.Type.Elem()))
		if err := set(value.Elem(), text); err != nil {
			return fmt.Errorf("%s: the default %q: %w", key, text, err)
		}
		origin = "default"
	}
	if reason, unused := field.Tag.Lookup("unused"); unused {
		r.note(key, "has no effect: "+reason)
		return nil
	}
	r.show(field, key, fmt.Sprint(value.Elem().Interface()), origin)
	return nil
}

func (r *reader) show(field reflect.StructField, key, value, origin string) {
	if _, secret := field.Tag.Lookup("secret"); secret {
		value = hidden
	}
	r.values = append(r.values, Value{Key: key, Value: value, Origin: origin})
}

// hidden stands for a password.
const hidden = "(hidden)"

func set(value reflect.Value, text string) error {
	if unmarshaler, ok := value.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return unmarshaler.UnmarshalText([]byte(text))
	}
	switch value.Kind() {
	case reflect.String:
		value.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return err
		}
		value.SetBool(b)
	default:
		n, err := strconv.ParseUint(text, 10, value.Type().Bits())
		if err != nil {
			return err
		}
		value.SetUint(n)
	}
	return nil
}

func environment(environ []string) map[string]string {
	all := make(map[string]string)
	for _, pair := range environ {
		if name, value, found := strings.Cut(pair, "="); found {
			all[name] = value
		}
	}
	return all
}

// logLevel reads RUST_LOG, by which Casper's sidecar is told how much to say: a level, or a list of target=level of which the
// bare level counts, else the first.
func (r *reader) logLevel() (slog.Level, error) {
	text, found := r.environ["RUST_LOG"]
	if !found || strings.TrimSpace(text) == "" {
		return slog.LevelInfo, nil
	}
	chosen := ""
	for part := range strings.SplitSeq(text, ",") {
		_, level, targeted := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case !targeted:
			chosen = strings.TrimSpace(part)
		case chosen == "":
			chosen = level
		}
	}
	levels := map[string]slog.Level{
		"error": slog.LevelError, "warn": slog.LevelWarn, "info": slog.LevelInfo, "debug": slog.LevelDebug, "trace": slog.LevelDebug - 4, "off": slog.LevelError + 100,
	}
	level, known := levels[strings.ToLower(chosen)]
	if !known {
		r.note("environment RUST_LOG", fmt.Sprintf("%q names no level: write error, warn, info, debug or trace", text))
		return slog.LevelInfo, nil
	}
	r.values = append(r.values, Value{Key: "log level", Value: strings.ToLower(chosen), Origin: "environment RUST_LOG"})
	return level, nil
}
