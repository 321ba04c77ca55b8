package telemetry

import (
	"io"
	"log/slog"
	"os"

	"github.com/lmittmann/tint"
	"golang.org/x/term"
)

// LogFormat is how log lines look.
type LogFormat string

// The formats of the log.
const (
	LogAuto LogFormat = "auto" // text on a terminal, JSON elsewhere
	LogText LogFormat = "text" // for eyes
	LogJSON LogFormat = "json" // one object a line: ts, level, msg, node, then what the line is about
)

// NewLogger returns a logger that writes to out. The level can be changed while it is in use. Node names the process's node; it
// is left out when empty.
func NewLogger(out io.Writer, format LogFormat, level slog.Leveler, node string) *slog.Logger {
	terminal := isTerminal(out)
	var handler slog.Handler
	if format == LogText || format == LogAuto && terminal {
		handler = tint.NewTextHandler(out, &tint.Options{
			Level:      level,
			TimeFormat: "15:04:05.000",
			NoColor:    !terminal || os.Getenv("NO_COLOR") != "",
		})
	} else {
		handler = slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level, ReplaceAttr: shortTime})
	}
	logger := slog.New(handler)
	if node != "" {
		logger = logger.With("node", node)
	}
	return logger
}

// shortTime renames slog's "time" to the field's customary "ts" and makes it UTC.
func shortTime(groups []string, attr slog.Attr) slog.Attr {
	if len(groups) == 0 && attr.Key == slog.TimeKey {
		return slog.Time("ts", attr.Value.Time().UTC())
	}
	return attr
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
