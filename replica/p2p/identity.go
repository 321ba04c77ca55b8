package p2p

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/synod-network/synod/keys"
)

// protocolVersion changes when the bytes inside TLS change in a way that old nodes cannot read.
const protocolVersion = 1

const protocolPrefix = "synod-peer/"

// protocol is the ALPN name (RFC 7301) of a lane in a network.
func protocol(lane Lane, network [32]byte) string {
	return fmt.Sprintf("%s%d/%s/%s", protocolPrefix, protocolVersion, lane, hex.EncodeToString(network[:]))
}

func laneOf(protocolName string, network [32]byte) (Lane, bool) {
	for _, lane := range []Lane{Live, Bulk} {
		if protocol(lane, network) == protocolName {
			return lane, true
		}
	}
	return 0, false
}

// certificateOf wraps the key for TLS. The certificate is the same each time, names nobody, and lasts until the date
// that RFC 5280 §4.1.2.5 reserves for "no end": the list of peers is what ends trust.
func certificateOf(key keys.PrivateKey) (tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	signer := key.Signer()
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make the certificate of %s: %w", key.Public(), err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: signer}, nil
}

// baseTLS accepts every certificate in form; VerifyConnection, which each side sets, is what decides. Tickets are off:
// a resumed session would outlive the removal of a peer.
func baseTLS(certificate tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion:                  tls.VersionTLS13,
		Certificates:                []tls.Certificate{certificate},
		ClientAuth:                  tls.RequireAnyClientCert,
		InsecureSkipVerify:          true, // no chain, no name: the key itself is compared
		SessionTicketsDisabled:      true,
		DynamicRecordSizingDisabled: true, // full records from the first byte
	}
}

var errNoKey = errors.New("certificate does not hold an Ed25519 key")

// peerKey is the key whose possession the other end has proved in the handshake.
func peerKey(state tls.ConnectionState) (keys.PublicKey, error) {
	if len(state.PeerCertificates) == 0 {
		return keys.PublicKey{}, errNoKey
	}
	key, ok := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok || len(key) != ed25519.PublicKeySize {
		return keys.PublicKey{}, errNoKey
	}
	return keys.PublicKey(key), nil
}
