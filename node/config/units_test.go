package config_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/synod-network/synod/node/config"
)

func TestSizesAsWritten(t *testing.T) {
	for text, want := range map[string]config.Size{
		"0B": 0, "512B": 512, "1KiB": 1024, "4MiB": 4 << 20, "2GiB": 2 << 30, "1TiB": 1 << 40,
	} {
		var got config.Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want || got.String() != text {
			t.Errorf("%s: %d written as %s, %v", text, got, got, err)
		}
	}
	for _, text := range []string{"", "4", "4MB", "-1B", "4 MiB", "1.5MiB", "9999999999TiB", "MiB"} {
		if err := new(config.Size).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestUnitsParseWhatTheyWrite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := config.Size(rapid.Int64Range(0, 1<<62).Draw(t, "size"))
		span := config.Duration(rapid.Int64Min(0).Draw(t, "span"))
		instant := config.Instant(rapid.Int64Range(0, 1<<53).Draw(t, "instant"))
		var size2 config.Size
		var span2 config.Duration
		var instant2 config.Instant
		for _, err := range []error{
			size2.UnmarshalText([]byte(size.String())), span2.UnmarshalText([]byte(span.String())), instant2.UnmarshalText([]byte(instant.String())),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if size2 != size || span2 != span || instant2 != instant {
			t.Fatalf("%s %s %s became %s %s %s", size, span, instant, size2, span2, instant2)
		}
	})
}
