package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/synod-network/synod/node/pki"
)

var now = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

// folder has an authority "a", a second one "b", and certificates of a server and a client by the first.
type folder struct {
	t   *testing.T
	dir string
}

func (f folder) at(name string) string { return filepath.Join(f.dir, name) }

func made(t *testing.T) (folder, *pki.Authority) {
	t.Helper()
	f := folder{t, t.TempDir()}
	var authorities []*pki.Authority
	for _, name := range []string{"a", "b"} {
		authority, err := pki.CreateAuthority(name+" operators", f.at(name+".crt"), f.at(name+".key"), now)
		if err != nil {
			t.Fatal(err)
		}
		authorities = append(authorities, authority)
	}
	if err := authorities[0].Server("sequencer1", []string{"127.0.0.1", "::1", "sequencer1.example.org"}, f.at("server.crt"), f.at("server.key"), now); err != nil {
		t.Fatal(err)
	}
	if err := authorities[0].Client("alice", f.at("client.crt"), f.at("client.key"), now); err != nil {
		t.Fatal(err)
	}
	return f, authorities[0]
}

func (f folder) certificate(name string) *x509.Certificate {
	f.t.Helper()
	content, err := os.ReadFile(f.at(name))
	if err != nil {
		f.t.Fatal(err)
	}
	block, _ := pem.Decode(content)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// TestCertificatesAreGoodForOneThing: each is accepted by its own authority, for its own use, under its own hosts and in its time, and
// for nothing else.
func TestCertificatesAreGoodForOneThing(t *testing.T) {
	f, _ := made(t)
	for _, tc := range []struct {
		name, certificate, authority, host string
		use                                x509.ExtKeyUsage
		at                                 time.Time
		good                               bool
	}{
		{"a server by its name", "server.crt", "a.crt", "sequencer1.example.org", x509.ExtKeyUsageServerAuth, now, true},
		{"by an address", "server.crt", "a.crt", "127.0.0.1", x509.ExtKeyUsageServerAuth, now, true},
		{"by an address of the other kind", "server.crt", "a.crt", "[::1]", x509.ExtKeyUsageServerAuth, now, true},
		{"under another name", "server.crt", "a.crt", "sequencer2.example.org", x509.ExtKeyUsageServerAuth, now, false},
		{"at another address", "server.crt", "a.crt", "127.0.0.2", x509.ExtKeyUsageServerAuth, now, false},
		{"as a client", "server.crt", "a.crt", "", x509.ExtKeyUsageClientAuth, now, false},
		{"before another authority", "server.crt", "b.crt", "127.0.0.1", x509.ExtKeyUsageServerAuth, now, false},
		{"to a clock that is slow", "server.crt", "a.crt", "127.0.0.1", x509.ExtKeyUsageServerAuth, now.Add(-59 * time.Minute), true},
		{"before its time", "server.crt", "a.crt", "127.0.0.1", x509.ExtKeyUsageServerAuth, now.Add(-2 * time.Hour), false},
		{"on its last day", "server.crt", "a.crt", "127.0.0.1", x509.ExtKeyUsageServerAuth, now.Add(pki.LeafValid - time.Hour), true},
		{"after its time", "server.crt", "a.crt", "127.0.0.1", x509.ExtKeyUsageServerAuth, now.Add(pki.LeafValid + time.Hour), false},
		{"a client", "client.crt", "a.crt", "", x509.ExtKeyUsageClientAuth, now, true},
		{"a client as a server", "client.crt", "a.crt", "", x509.ExtKeyUsageServerAuth, now, false},
		{"a client before another authority", "client.crt", "b.crt", "", x509.ExtKeyUsageClientAuth, now, false},
		{"a client after its time", "client.crt", "a.crt", "", x509.ExtKeyUsageClientAuth, now.Add(pki.LeafValid + time.Hour), false},
	} {
		pool := x509.NewCertPool()
		pool.AddCert(f.certificate(tc.authority))
		_, err := f.certificate(tc.certificate).Verify(x509.VerifyOptions{Roots: pool, DNSName: tc.host, KeyUsages: []x509.ExtKeyUsage{tc.use}, CurrentTime: tc.at})
		if (err == nil) != tc.good {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	if name := f.certificate("client.crt").Subject.CommonName; name != "alice" {
		t.Errorf("the client is called %q in logs", name)
	}
	if _, err := tls.LoadX509KeyPair(f.at("client.crt"), f.at("client.key")); err != nil {
		t.Error(err)
	}
}

// TestAnOperatorCannotMakeOperators: a certificate of an operator, or one signed under it, makes nobody an operator.
func TestAnOperatorCannotMakeOperators(t *testing.T) {
	f, _ := made(t)
	if _, err := pki.OpenAuthority(f.at("client.crt"), f.at("client.key")); err == nil || !strings.Contains(err.Error(), "is no authority's certificate") {
		t.Errorf("a client's files as an authority's: %v", err)
	}
	if c := f.certificate("client.crt"); c.IsCA || c.KeyUsage&x509.KeyUsageCertSign != 0 {
		t.Error("a client's certificate may sign others")
	}
	if c := f.certificate("a.crt"); !c.IsCA || !c.MaxPathLenZero || c.KeyUsage != x509.KeyUsageCertSign || c.NotAfter != now.Add(pki.AuthorityValid) {
		t.Errorf("the authority: signs others %t, their signers too %t, until %s", c.IsCA, !c.MaxPathLenZero, c.NotAfter)
	}
}

func TestKeysAreForTheirOwnerAlone(t *testing.T) {
	f, _ := made(t)
	for file, want := range map[string]fs.FileMode{"a.key": 0o600, "client.key": 0o600, "server.key": 0o600, "a.crt": 0o644} {
		info, err := os.Stat(f.at(file))
		if err != nil || info.Mode().Perm()&^want != 0 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
}

// TestNothingIsOverwritten: where a file is, none of the two is written.
func TestNothingIsOverwritten(t *testing.T) {
	f, authority := made(t)
	before, err := os.ReadFile(f.at("client.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := authority.Client("mallory", f.at("client.crt"), f.at("other.key"), now); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "nothing is overwritten") {
		t.Errorf("over a certificate: %v", err)
	}
	if err := authority.Client("mallory", f.at("other.crt"), f.at("client.key"), now); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a key: %v", err)
	}
	if _, err := pki.CreateAuthority("c", f.at("a.crt"), f.at("a.key"), now); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over an authority: %v", err)
	}
	if err := authority.Client("mallory", f.at("both.pem"), filepath.Join(f.at("."), "both.pem"), now); err == nil || !strings.Contains(err.Error(), "name two files") {
		t.Errorf("one file for both: %v", err)
	}
	if _, err := os.Stat(f.at("both.pem")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half of a pair was left: %v", err)
	}
	after, err := os.ReadFile(f.at("client.key"))
	if err != nil || string(after) != string(before) {
		t.Errorf("the key has changed: %v", err)
	}
	for _, left := range []string{"other.crt", "other.key"} {
		if _, err := os.Stat(f.at(left)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was left behind", left)
		}
	}
}

// TestTheLongestName: a name may have as many bytes as RFC 5280 lets it have.
func TestTheLongestName(t *testing.T) {
	f, authority := made(t)
	name := strings.Repeat("n", 64)
	if err := authority.Client(name, f.at("long.crt"), f.at("long.key"), now); err != nil || f.certificate("long.crt").Subject.CommonName != name {
		t.Error(err)
	}
}

func TestAnOpenedAuthoritySignsAsBefore(t *testing.T) {
	f, _ := made(t)
	again, err := pki.OpenAuthority(f.at("a.crt"), f.at("a.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Client("bob", f.at("bob.crt"), f.at("bob.key"), now); err != nil {
		t.Fatal(err)
	}
	if err := f.certificate("bob.crt").CheckSignatureFrom(f.certificate("a.crt")); err != nil {
		t.Error(err)
	}
	if f.certificate("bob.crt").SerialNumber.Cmp(f.certificate("client.crt").SerialNumber) == 0 {
		t.Error("two certificates have one serial number")
	}
}

func TestWrongFilesAndNames(t *testing.T) {
	f, authority := made(t)
	if err := os.WriteFile(f.at("text"), []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 65)
	for _, tc := range []struct {
		name string
		do   func() error
		want string
	}{
		{"no such file", func() error { _, err := pki.OpenAuthority(f.at("none"), f.at("a.key")); return err }, "no such file"},
		{"no PEM", func() error { _, err := pki.OpenAuthority(f.at("text"), f.at("a.key")); return err }, "text holds no whole CERTIFICATE in PEM"},
		{"the two mixed up", func() error { _, err := pki.OpenAuthority(f.at("a.key"), f.at("a.crt")); return err }, "a.key holds no whole CERTIFICATE in PEM"},
		{"no key in PEM", func() error { _, err := pki.OpenAuthority(f.at("a.crt"), f.at("text")); return err }, "text holds no whole PRIVATE KEY in PEM"},
		{"another's key", func() error { _, err := pki.OpenAuthority(f.at("a.crt"), f.at("b.key")); return err }, "is not the key of"},
		{"no name", func() error { return authority.Client("", f.at("x"), f.at("y"), now) }, "must have 1 to 64 bytes"},
		{"a long name", func() error { return authority.Client(long, f.at("x"), f.at("y"), now) }, "must have 1 to 64 bytes"},
		{"no host", func() error { return authority.Server("s", nil, f.at("x"), f.at("y"), now) }, "needs the hosts"},
		{"a host with a scheme", func() error { return authority.Server("s", []string{"https://s"}, f.at("x"), f.at("y"), now) }, `"https://s" is no host`},
		{"a host with a port", func() error { return authority.Server("s", []string{"s:7115"}, f.at("x"), f.at("y"), now) }, `"s:7115" is no host`},
		{"an empty host", func() error { return authority.Server("s", []string{""}, f.at("x"), f.at("y"), now) }, `"" is no host`},
		{"no folder", func() error { return authority.Client("s", f.at("none/x"), f.at("none/y"), now) }, "no such file"},
	} {
		if err := tc.do(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}
