// Package config reads a node's configuration: one TOML file, every value of which can be overridden for one run.
//
// A configuration is a Go struct. Its fields carry three things: the key (`toml:"leader_timeout"`), one sentence for
// operators (`doc:"…"`), and, in the value that the caller starts from, the default. From that one declaration this
// package
//
//   - loads: flags > environment > file > defaults ([Load]), refusing unknown keys and bad values in one line that
//     names file, line, key and a likely fix;
//   - explains: every effective value with where it came from ([Loaded.Values]);
//   - documents: a file with every key, its sentence and its value ([Render]).
//
// The environment's names are the keys in capitals behind SYNOD_, with two underscores for each dot:
// SYNOD_LOG__LEVEL=debug sets log.level. A further suffix _FILE reads the value from a file, for secrets that are mounted
// rather than passed. Lists of tables, such as [[peers]], come from the file alone.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Validator is a configuration that can judge itself once all sources are applied.
type Validator interface {
	// Validate returns a [KeyError] for the first value that cannot work.
	Validate() error
}

// KeyError says which key holds a value that cannot work, why, and what to write instead.
type KeyError struct {
	Key    string // dotted, "public.listen"
	Reason string // includes the fix
}

func (e *KeyError) Error() string { return e.Key + ": " + e.Reason }

// Keyf returns a [KeyError].
func Keyf(key, format string, args ...any) error {
	return &KeyError{Key: key, Reason: fmt.Sprintf(format, args...)}
}

// Override sets one key above file and environment.
type Override struct {
	Key    string // dotted
	Value  string // as it would be written in the environment
	Origin string // "flag --log-level"
}

// Sources are what configuration is read from beside the defaults.
type Sources struct {
	File      string     // path of the TOML file
	Environ   []string   // as from os.Environ; nil for none
	Overrides []Override // flags, the strongest
}

// Value is one effective setting.
type Value struct {
	Key    string `json:"key"`    // dotted; "peers[0]" for a table of a list
	Value  string `json:"value"`  // as it would be written in the file
	Origin string `json:"origin"` // "default", "node.toml:12", "environment SYNOD_LOG__LEVEL", "flag --set"
}

// Loaded tells where the values of a configuration came from.
type Loaded struct {
	fields  []field
	origins map[string]string
	file    string
}

// Load fills target, which must be a pointer to a struct that holds the defaults, from the sources. The error is one line for
// an operator and wraps nothing that callers branch on, except that a missing file satisfies errors.Is(err, os.ErrNotExist).
func Load(target Validator, sources Sources) (*Loaded, error) {
	loaded := &Loaded{fields: fieldsOf(target), origins: map[string]string{}, file: sources.File}
	if err := loaded.readFile(target); err != nil {
		return nil, err
	}
	if err := loaded.readEnvironment(sources.Environ); err != nil {
		return nil, err
	}
	for _, override := range sources.Overrides {
		if err := loaded.set(override.Key, override.Value, override.Origin); err != nil {
			return nil, fmt.Errorf("%s: %w", override.Origin, err)
		}
	}
	if err := target.Validate(); err != nil {
		return nil, loaded.locate(err)
	}
	return loaded, nil
}

// Values returns every setting in the order of the struct's fields, each table of a list as one value.
func (l *Loaded) Values() []Value {
	values := make([]Value, 0, len(l.fields))
	for _, f := range l.fields {
		origin, found := l.origins[f.key]
		if !found {
			origin = "default"
		}
		if !f.isList() {
			values = append(values, Value{Key: f.key, Value: f.text(), Origin: origin})
			continue
		}
		for i := range f.value.Len() {
			values = append(values, Value{Key: fmt.Sprintf("%s[%d]", f.key, i), Value: inline(f.value.Index(i)), Origin: origin})
		}
	}
	return values
}

func (l *Loaded) readFile(target any) error {
	document, err := os.ReadFile(l.file)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	settings, err := writtenIn(document)
	if err != nil {
		return l.explain(err)
	}
	declared := map[string]reflect.Type{}
	declaredIn("", reflect.TypeOf(target).Elem(), declared)
	for _, w := range settings {
		origin := fmt.Sprintf("%s:%d", l.file, w.line)
		if err := mistyped(w, declared); err != nil {
			return fmt.Errorf("%s: %s: %w", origin, w.key, err)
		}
		if _, seen := l.origins[w.key]; !seen { // a list of tables is at its first header
			l.origins[w.key] = origin
		}
	}
	if err := toml.NewDecoder(bytes.NewReader(document)).DisallowUnknownFields().Decode(target); err != nil {
		return l.explain(err)
	}
	return nil
}

// explain turns the decoder's errors into one line each operator can act on.
func (l *Loaded) explain(err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		first := unknown.Errors[0]
		line, _ := first.Position()
		key := strings.Join(first.Key(), ".")
		return fmt.Errorf("%s:%d: unknown key %s%s", l.file, line, key, suggestion(key, l.knownKeys()))
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		line, _ := bad.Position()
		reason := strings.TrimPrefix(bad.Error(), "toml: ")
		if key := strings.Join(bad.Key(), "."); key != "" {
			return fmt.Errorf("%s:%d: %s: %s", l.file, line, key, reason)
		}
		return fmt.Errorf("%s:%d: %s", l.file, line, reason)
	}
	return fmt.Errorf("%s: %w", l.file, err)
}

// locate names the place that the key of a validation error was set at.
func (l *Loaded) locate(err error) error {
	var bad *KeyError
	if !errors.As(err, &bad) {
		return fmt.Errorf("%s: %w", l.file, err)
	}
	origin, found := l.origins[bad.Key]
	if !found {
		origin = l.file // a default that only makes sense once the file says more
	}
	return fmt.Errorf("%s: %w", origin, err)
}

const environmentPrefix = "SYNOD_"

func (l *Loaded) readEnvironment(environ []string) error {
	for _, f := range l.fields {
		name := environmentName(f.key)
		text, found := lookup(environ, name)
		if !found {
			path, fromFile := lookup(environ, name+"_FILE")
			if !fromFile {
				continue
			}
			name += "_FILE"
			content, err := os.ReadFile(path)
			if err != nil {
				return fmt.Errorf("environment %s: %w", name, err)
			}
			text = strings.TrimRight(string(content), "\r\n")
		}
		if err := l.set(f.key, text, "environment "+name); err != nil {
			return fmt.Errorf("environment %s: %w", name, err)
		}
	}
	return l.misspelt(environ)
}

// misspelt refuses variables that nearly name a key. Others are left alone: container platforms add variables of their own that
// begin with a service's name.
func (l *Loaded) misspelt(environ []string) error {
	known := map[string]bool{}
	var names []string
	for _, f := range l.fields {
		if !f.isList() {
			name := environmentName(f.key)
			known[name], known[name+"_FILE"] = true, true
			names = append(names, name)
		}
	}
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, environmentPrefix) || known[name] {
			continue
		}
		if closest := Nearest(name, names); closest != "" {
			return fmt.Errorf("environment %s: unknown variable; did you mean %s?", name, closest)
		}
	}
	return nil
}

func (l *Loaded) set(key, text, origin string) error {
	for _, f := range l.fields {
		if f.key != key {
			continue
		}
		if f.isList() {
			return fmt.Errorf("%s is a list and can be set in the file only", key)
		}
		if err := f.parse(text); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		l.origins[key] = origin
		return nil
	}
	return fmt.Errorf("unknown key %s%s", key, suggestion(key, l.knownKeys()))
}

func (l *Loaded) knownKeys() []string {
	var keys []string
	for _, f := range l.fields {
		keys = append(keys, f.key)
		for _, element := range f.elements() {
			keys = append(keys, f.key+"."+element.key)
		}
	}
	return keys
}

func environmentName(key string) string {
	return environmentPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "__"))
}

func lookup(environ []string, name string) (string, bool) {
	for _, variable := range environ {
		if value, found := strings.CutPrefix(variable, name+"="); found {
			return value, true
		}
	}
	return "", false
}
