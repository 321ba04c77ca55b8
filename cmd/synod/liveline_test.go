package main

import (
	"bytes"
	"testing"
	"time"
)

func TestLiveLineMakesRoomForTheLog(t *testing.T) {
	var screen bytes.Buffer
	line := &liveLine{out: &screen, terminal: true}
	line.Write([]byte("starting\n"))
	line.show("one", false)
	line.Write([]byte("warning\n"))
	line.show("two", false)
	line.end()
	line.end()
	const want = "starting\n" + clearLine + "one" + clearLine + "warning\n" + "one" + clearLine + "two" + "\n"
	if got := screen.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestLiveLineIsRareWithoutATerminal(t *testing.T) {
	var file bytes.Buffer
	line := &liveLine{out: &file, every: time.Hour}
	for _, text := range []string{"first", "second", "third"} {
		line.show(text, text == "third")
	}
	line.end()
	if got, want := file.String(), "first\nthird\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
