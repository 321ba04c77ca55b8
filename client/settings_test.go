package client

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestSettingsPage: docs/client.md names every setting that has a default, and no other.
func TestSettingsPage(t *testing.T) {
	page, err := os.ReadFile("../docs/client.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "\n## Settings\n")
	section, _, found := strings.Cut(rest, "\n## ")
	if !found {
		t.Fatal("the page has lost its settings")
	}
	named := map[string]bool{}
	for line := range strings.Lines(section) {
		if first, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | "); ok && strings.HasPrefix(line, "| `") {
			for name := range strings.SplitSeq(first, ", ") {
				named[strings.Trim(name, "`")] = true
			}
		}
	}
	with := reflect.ValueOf(Config{}.withDefaults())
	for i := range with.NumField() {
		name := with.Type().Field(i).Name
		if name == "Log" {
			continue // it is where to, not how much
		}
		if !with.Field(i).IsZero() && !named[name] {
			t.Errorf("%s has a default, and is not on the page", name)
		}
		delete(named, name)
	}
	for name := range named {
		t.Errorf("%s is on the page and no setting", name)
	}
}
