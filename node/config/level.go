package config

import (
	"fmt"
	"log/slog"
	"strings"
)

// Level is the least important line that is logged: debug, info, warn or error.
type Level slog.Level

// String returns the level in lower case.
func (l Level) String() string { return strings.ToLower(slog.Level(l).String()) }

// MarshalText writes the level in lower case.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads one of the four levels, in either case.
func (l *Level) UnmarshalText(text []byte) error {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if strings.EqualFold(level.String(), string(text)) {
			*l = Level(level)
			return nil
		}
	}
	return fmt.Errorf("%q is no level; use debug, info, warn or error", text)
}
