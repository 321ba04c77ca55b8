package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// liveLine shows what goes on: on a terminal one line that changes in place,
// elsewhere a line now and then. One goroutine uses it.
type liveLine struct {
	out      io.Writer
	terminal bool
	every    time.Duration // between two lines where there is no terminal
	last     time.Time
	shown    bool // a line is on the terminal that the next one replaces
}

func newLiveLine(out io.Writer) *liveLine {
	file, ok := out.(*os.File)
	return &liveLine{out: out, terminal: ok && term.IsTerminal(int(file.Fd())), every: 10 * time.Second}
}

// show shows the text; an important one is not left out.
func (l *liveLine) show(text string, important bool) {
	switch {
	case l.terminal:
		fmt.Fprintf(l.out, "\r\033[K%s", text)
		l.shown = true
	case important || time.Since(l.last) >= l.every:
		fmt.Fprintln(l.out, text)
		l.last = time.Now()
	}
}

// end leaves the terminal at the beginning of a line.
func (l *liveLine) end() {
	if l.shown {
		fmt.Fprintln(l.out)
	}
}
