package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Render returns a TOML file that sets every key of the configuration that target points to, each with its documentation above
// it. Loading the file gives back the same values. The header is put on top as a comment.
func Render(target any, header string) []byte {
	var out strings.Builder
	comment(&out, header)
	renderTable(&out, "", reflect.ValueOf(target).Elem())
	return []byte(out.String())
}

// renderTable writes the plain settings of a table first: in TOML whatever follows a [header] belongs to it.
func renderTable(out *strings.Builder, prefix string, table reflect.Value) {
	type nested struct {
		key, doc string
		value    reflect.Value
	}
	var tables []nested
	for i := range table.NumField() {
		declared := table.Type().Field(i)
		key := keyOfField(declared)
		if key == "" {
			continue
		}
		f := field{key: key, doc: declared.Tag.Get("doc"), value: table.Field(i)}
		if isTable(f.value) || f.isList() {
			tables = append(tables, nested{prefix + key, f.doc, f.value})
			continue
		}
		out.WriteString("\n")
		comment(out, f.doc)
		fmt.Fprintf(out, "%s = %s\n", key, f.text())
	}
	for _, t := range tables {
		out.WriteString("\n")
		comment(out, t.doc)
		if t.value.Kind() == reflect.Struct {
			fmt.Fprintf(out, "[%s]\n", t.key)
			renderTable(out, t.key+".", t.value)
			continue
		}
		renderList(out, t.key, t.value)
	}
}

func renderList(out *strings.Builder, key string, list reflect.Value) {
	if list.Len() == 0 {
		example := reflect.New(list.Type().Elem()).Elem()
		fmt.Fprintf(out, "# [[%s]]\n", key)
		for _, f := range collect("", example) {
			comment(out, f.doc)
			fmt.Fprintf(out, "# %s = %s\n", f.key, f.text())
		}
		return
	}
	for i := range list.Len() {
		if i > 0 {
			out.WriteString("\n")
		}
		fmt.Fprintf(out, "[[%s]]\n", key)
		for _, f := range collect("", list.Index(i)) {
			if i == 0 {
				comment(out, f.doc)
			}
			fmt.Fprintf(out, "%s = %s\n", f.key, f.text())
		}
	}
}

const commentWidth = 100

// comment writes text as comment lines, broken between words.
func comment(out *strings.Builder, text string) {
	line := "#"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > commentWidth {
			out.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	if line != "#" {
		out.WriteString(line + "\n")
	}
}
