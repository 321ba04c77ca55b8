package stories

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/synod-network/synod/node/network"
	"github.com/synod-network/synod/node/pki"
)

// TestReload: HUP takes over a new log level, and keeps the old configuration if the new one is wrong, without a pause. An authority of
// operators that cannot be read lets nobody in or out; with another one, the operators of before are refused.
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
	c.exchangeOperators(s)
	if code := s.stop(); code != 0 {
		t.Errorf("exit code %d after TERM", code)
	}
	says(`"level":"DEBUG"`)
}

// exchangeOperators gives a node an authority that cannot be read, and then another one.
func (c *cluster) exchangeOperators(s *sequencer) {
	c.t.Helper()
	t, dir, operator := c.t, c.t.TempDir(), network.OperatorAt(c.net.Dir)
	at := func(name string) string { return filepath.Join(dir, name) }
	content, err := os.ReadFile(operator.Authority)
	if err != nil {
		t.Fatal(err)
	}
	write(t, at("server-ca"), content) // the certificate that the node shows stays
	ask := func(cert, key string) (string, error) {
		out, err := exec.Command(binary, "status", "--admin", s.config.Admin.GRPC, "--tls-ca", at("server-ca"), "--tls-cert", cert, "--tls-key", key).CombinedOutput()
		return string(out), err
	}
	write(t, s.config.Admin.CA, content[:len(content)/2])
	s.signal(syscall.SIGHUP)
	within(t, patience, "the log says that the authority cannot be read", func() error {
		if !strings.Contains(s.stderr(), "holds no certificate in PEM") {
			return errors.New("not yet")
		}
		return nil
	})
	if out, err := ask(operator.Certificate, operator.Key); err != nil {
		t.Errorf("the operator, after an authority that cannot be read: %v: %s", err, out)
	}
	successor, err := pki.CreateAuthority("successor", at("ca"), at("ca-key"), time.Now())
	if err == nil {
		err = successor.Client("successor", at("cert"), at("key"), time.Now())
	}
	if err != nil {
		t.Fatal(err)
	}
	if content, err = os.ReadFile(at("ca")); err != nil {
		t.Fatal(err)
	}
	write(t, s.config.Admin.CA, content)
	s.signal(syscall.SIGHUP)
	within(t, patience, "the new operator is served", func() error {
		out, err := ask(at("cert"), at("key"))
		if err != nil {
			err = errors.New(out)
		}
		return err
	})
	var ended *exec.ExitError
	if out, err := ask(operator.Certificate, operator.Key); !errors.As(err, &ended) || ended.ExitCode() != 78 {
		t.Errorf("the operator of before: %v: %s", err, out)
	}
}
