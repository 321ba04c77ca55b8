package network

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/synod-network/synod/node/pki"
)

// operatorsDir holds the operators' authority and the certificate of a first operator. Where sequencers have operators of
// their own, each makes an authority with "synod cert" instead.
const operatorsDir = "operators"

// Operator is where the certificates of a network's first operator are.
type Operator struct{ Authority, Certificate, Key string }

// OperatorAt returns where they are in the network in dir, whether they exist or not.
func OperatorAt(dir string) Operator {
	at := func(name string) string { return filepath.Join(dir, operatorsDir, name) }
	return Operator{Authority: at("ca-cert.pem"), Certificate: at("operator-cert.pem"), Key: at("operator-key.pem")}
}

func (p Plan) writeCertificates(draft string) error {
	operator := OperatorAt(draft)
	home := filepath.Dir(operator.Authority)
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	authority, err := pki.CreateAuthority(p.Name+" operators", operator.Authority, filepath.Join(home, "ca-key.pem"), p.Now)
	if err != nil {
		return err
	}
	if err := authority.Client("operator", operator.Certificate, operator.Key, p.Now); err != nil {
		return err
	}
	hosts := []string{loopback, "::1", "localhost"}
	if !slices.Contains(hosts, p.Host) {
		hosts = append(hosts, p.Host)
	}
	for i := range p.Sequencers {
		node := NodeAt(draft, i)
		cert, key := filepath.Join(node.Dir, "admin-cert.pem"), filepath.Join(node.Dir, "admin-key.pem")
		if err := authority.Server(node.Name, append(slices.Clone(hosts), node.Name), cert, key, p.Now); err != nil {
			return err
		}
	}
	return nil
}
