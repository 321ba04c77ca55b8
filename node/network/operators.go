package network

import (
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/synod-network/synod/node/pki"
)

// operatorsDir holds the operators' authority and the certificate of a first operator. Where sequencers have operators of
// their own, each makes an authority with "synod cert" instead.
const operatorsDir = "operators"

// The certificate of a sequencer's listener for operators, and its key.
const (
	adminCert = "admin-cert.pem"
	adminKey  = "admin-key.pem"
)

// Operator is where the certificates of a network's first operator are.
type Operator struct{ Authority, Certificate, Key string }

// OperatorAt returns where they are in the network in dir, whether they exist or not.
func OperatorAt(dir string) Operator {
	at := func(name string) string { return filepath.Join(dir, operatorsDir, name) }
	return Operator{Authority: at("ca-cert.pem"), Certificate: at("operator-cert.pem"), Key: at("operator-key.pem")}
}

// newAuthority makes an authority and its first operator.
func newAuthority(draft, name string, now time.Time) (*pki.Authority, error) {
	operator := OperatorAt(draft)
	home := filepath.Dir(operator.Authority)
	if err := os.Mkdir(home, 0o700); err != nil {
		return nil, err
	}
	authority, err := pki.CreateAuthority(name+" operators", operator.Authority, filepath.Join(home, "ca-key.pem"), now)
	if err != nil {
		return nil, err
	}
	return authority, authority.Client("operator", operator.Certificate, operator.Key, now)
}

func (p Plan) writeCertificates(draft string) error {
	authority, err := newAuthority(draft, p.Name, p.Now)
	if err != nil {
		return err
	}
	hosts := []string{loopback, "::1", "localhost"}
	if !slices.Contains(hosts, p.Host) {
		hosts = append(hosts, p.Host)
	}
	for i := range p.Sequencers {
		node := NodeAt(draft, i)
		cert, key := filepath.Join(node.Dir, adminCert), filepath.Join(node.Dir, adminKey)
		if err := authority.Server(node.Name, append(slices.Clone(hosts), node.Name), cert, key, p.Now); err != nil {
			return err
		}
	}
	return nil
}
