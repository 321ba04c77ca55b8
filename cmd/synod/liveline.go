package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// liveLine shows what goes on: on a terminal one line that changes in place,
// elsewhere a line now and then. It is a writer too, for a log that shares the
// terminal: the line makes room for what is written.
type liveLine struct {
	out      io.Writer
	terminal bool
	every    time.Duration // between two lines where there is no terminal

	mu   sync.Mutex
	last time.Time // of the last line where there is no terminal
	text string    // what the terminal shows
}

func newLiveLine(out io.Writer) *liveLine {
	file, ok := out.(*os.File)
	return &liveLine{out: out, terminal: ok && term.IsTerminal(int(file.Fd())), every: 10 * time.Second}
}

// clearLine takes the cursor to the beginning of an empty line (ECMA-48).
const clearLine = "\r\x1b[K"

// show shows the text; an important one is not left out.
func (l *liveLine) show(text string, important bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.terminal:
		fmt.Fprint(l.out, clearLine, text)
		l.text = text
	case important || time.Since(l.last) >= l.every:
		fmt.Fprintln(l.out, text)
		l.last = time.Now()
	}
}

// Write implements [io.Writer] for whole lines.
func (l *liveLine) Write(lines []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text == "" {
		return l.out.Write(lines)
	}
	fmt.Fprint(l.out, clearLine)
	n, err := l.out.Write(lines)
	fmt.Fprint(l.out, l.text)
	return n, err
}

// end leaves the terminal at the beginning of a line.
func (l *liveLine) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text != "" {
		fmt.Fprintln(l.out)
	}
	l.text = ""
}
