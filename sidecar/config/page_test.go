package config

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the tables of docs/sidecar/configuration.md")

// TestConfigurationPage keeps the tables of keys in the documentation equal to the structs that read them.
func TestConfigurationPage(t *testing.T) {
	const page = "../../docs/sidecar/configuration.md"
	written, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	want := string(written)
	for name, of := range map[string]reflect.Type{"1.x": reflect.TypeFor[file1](), "2.x": reflect.TypeFor[file2]()} {
		begin, end := "<!-- keys "+name+" -->\n", "<!-- end -->"
		before, rest, found := strings.Cut(want, begin)
		_, after, closed := strings.Cut(rest, end)
		if !found || !closed {
			t.Fatalf("%s has no place for the keys of %s", page, name)
		}
		want = before + begin + "| Key | Default | |\n|---|---|---|\n" + rows(of, "") + end + after
	}
	if want == string(written) {
		return
	}
	if !*update {
		t.Fatalf("%s is stale; go test ./sidecar/config -run TestConfigurationPage -update", page)
	}
	if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func rows(of reflect.Type, prefix string) string {
	var text strings.Builder
	for field, key := range fields(of, prefix) {
		doc, inner := field.Tag.Get("doc"), tableType(field.Type)
		switch {
		case inner != nil && field.Type.Kind() == reflect.Slice:
			fmt.Fprintf(&text, "| **`[[%s]]`** | | %s |\n", key, doc)
		case inner != nil:
			fmt.Fprintf(&text, "| **`[%s]`** | %s | %s |\n", key, absent(field, ""), doc)
		default:
			if reason, unused := field.Tag.Lookup("unused"); unused {
				doc += " No effect: " + reason + "."
			}
			fmt.Fprintf(&text, "| `%s` | %s | %s |\n", key, absent(field, "required"), doc)
		}
		if inner != nil {
			text.WriteString(rows(inner, key+"."))
		}
	}
	return text.String()
}

func absent(field reflect.StructField, otherwise string) string {
	if value, found := field.Tag.Lookup("default"); found {
		return "`" + value + "`"
	}
	if _, optional := field.Tag.Lookup("optional"); optional {
		return "optional"
	}
	return otherwise
}
