// Package pki makes the certificates with which operators and sequencers know each other on the admin listeners: an
// authority of the operators' own, a server's certificate for each sequencer, a client's for each operator.
//
// They have nothing to do with the keys by which a sequencer is a member of its network. Whoever holds the authority's key
// can make himself an operator: keep it where the sequencers are not.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/synod-network/synod/internal/wholefile"
)

// How long certificates hold. An authority is replaced rarely, because all nodes must learn of it.
const (
	AuthorityValid = 10 * 365 * 24 * time.Hour
	LeafValid      = 2 * 365 * 24 * time.Hour
	// backdated is for clocks that are behind.
	backdated = time.Hour
)

// Authority signs certificates.
type Authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// CreateAuthority makes an authority and writes its certificate and its key to two files, which must not exist.
func CreateAuthority(name, certFile, keyFile string, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the authority's key: %w", err)
	}
	template, err := certificate(name, now, AuthorityValid)
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign
	a := &Authority{certificate: template, key: key}
	return a, a.issue(template, key, certFile, keyFile)
}

// OpenAuthority reads the files that CreateAuthority wrote.
func OpenAuthority(certFile, keyFile string) (*Authority, error) {
	der, err := readPEM(certFile, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	a := &Authority{}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("authority's certificate %s: %w", certFile, err)
	}
	if !a.certificate.IsCA {
		return nil, fmt.Errorf("%s is no authority's certificate; name the file that synod cert authority wrote", certFile)
	}
	if der, err = readPEM(keyFile, "PRIVATE KEY"); err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("authority's key %s: %w", keyFile, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("authority's key %s cannot sign", keyFile)
	}
	public, ok := a.certificate.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(signer.Public()) {
		return nil, fmt.Errorf("%s is not the key of %s; name the two files that belong together", keyFile, certFile)
	}
	a.key = signer
	return a, nil
}

// Server makes the certificate of a listener that is reached under some hosts, which are names or IP addresses.
func (a *Authority) Server(name string, hosts []string, certFile, keyFile string, now time.Time) error {
	if len(hosts) == 0 {
		return errors.New("a server's certificate needs the hosts under which the server is reached")
	}
	template, err := certificate(name, now, LeafValid)
	if err != nil {
		return err
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if host == "" || strings.ContainsAny(host, ":/@[] ") {
			return fmt.Errorf("%q is no host; write a name or an IP address, without scheme and port", host)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return a.leaf(template, x509.ExtKeyUsageServerAuth, certFile, keyFile)
}

// Client makes the certificate of an operator. The name is what the sequencers' logs call the operator.
func (a *Authority) Client(name, certFile, keyFile string, now time.Time) error {
	template, err := certificate(name, now, LeafValid)
	if err != nil {
		return err
	}
	return a.leaf(template, x509.ExtKeyUsageClientAuth, certFile, keyFile)
}

func (a *Authority) leaf(template *x509.Certificate, usage x509.ExtKeyUsage, certFile, keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{usage}
	return a.issue(template, key, certFile, keyFile)
}

// issue signs the certificate of a key and writes both, the key first: a certificate without its key misleads.
func (a *Authority) issue(template *x509.Certificate, key crypto.Signer, certFile, keyFile string) error {
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return fmt.Errorf("sign the certificate of %s: %w", template.Subject.CommonName, err)
	}
	if template == a.certificate {
		if a.certificate, err = x509.ParseCertificate(der); err != nil {
			return fmt.Errorf("read back the authority's certificate: %w", err)
		}
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode a key: %w", err)
	}
	if filepath.Clean(keyFile) == filepath.Clean(certFile) {
		return fmt.Errorf("%s cannot hold both a certificate and its key; name two files", certFile)
	}
	if err := writePEM(keyFile, "PRIVATE KEY", private, 0o600); err != nil {
		return err
	}
	if err := writePEM(certFile, "CERTIFICATE", der, 0o644); err != nil {
		_ = os.Remove(keyFile) // it was made just now, and is of no use without; the first error says more
		return err
	}
	return nil
}

// maxName bounds a name in a certificate (RFC 5280, appendix A.1: ub-common-name).
const maxName = 64

func certificate(name string, now time.Time, valid time.Duration) (*x509.Certificate, error) {
	if name == "" || len(name) > maxName {
		return nil, fmt.Errorf("the name %q in a certificate must have 1 to %d bytes", name, maxName)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("choose a serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-backdated), NotAfter: now.Add(valid),
	}, nil
}

func readPEM(file, kind string) ([]byte, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the authority, which synod cert authority makes: %w", err)
	}
	block, _ := pem.Decode(content)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("%s holds no whole %s in PEM; if it was cut off as it was written, move it away and make it anew", file, kind)
	}
	return block.Bytes, nil
}

func writePEM(file, kind string, der []byte, mode os.FileMode) error {
	err := wholefile.Create(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%w: %s; nothing is overwritten: name another file, or move it away", fs.ErrExist, file)
	case err != nil:
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}
