package stories

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestReload: HUP takes over a new log level, and keeps the old configuration if the new one is wrong, without a pause.
func TestReload(t *testing.T) {
	c := found(t, 1)
	c.start()
	s := c.nodes[0]
	says := func(text string) {
		t.Helper()
		within(t, patience, "the log says "+text, func() error {
			if !strings.Contains(s.stderr(), text) {
				return errors.New("not yet")
			}
			return nil
		})
	}
	rewrite := func(old, with string) {
		t.Helper()
		content, err := os.ReadFile(s.at.ConfigFile)
		if err != nil {
			t.Fatal(err)
		}
		changed := bytes.Replace(content, []byte(old), []byte(with), 1)
		if bytes.Equal(changed, content) {
			t.Fatalf("%s does not contain %s", s.at.ConfigFile, old)
		}
		if err := os.WriteFile(s.at.ConfigFile, changed, 0o644); err != nil {
			t.Fatal(err)
		}
		s.signal(syscall.SIGHUP)
	}
	rewrite(`level = "info"`, `level = "loud"`)
	says("kept the old configuration")
	rewrite(`level = "loud"`, `level = "debug"`)
	says("configuration reloaded")
	c.ready(s)
	if code := s.stop(); code != 0 {
		t.Errorf("exit code %d after TERM", code)
	}
	says(`"level":"DEBUG"`)
}
