package members

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// Token is a sequencer's word that a member authenticated. It is good at every
// sequencer of the network, until it expires, its key or its issuer's key
// is changed, or it is revoked.
type Token struct {
	ID     TokenID
	Member topology.Member
	// Key is the fingerprint of the key with which the member authenticated.
	Key keys.Fingerprint
	// Issuer is the sequencer that says so, and IssuerKey the protocol key with which
	// it signed.
	Issuer    topology.Member
	IssuerKey keys.PublicKey
	// Issued and Expires are in µs since the Unix epoch, by the issuer's clock.
	Issued, Expires int64
}

// TokenID is drawn at random for each token.
type TokenID [16]byte

const (
	// MaxTokenLife bounds how long a token is good.
	MaxTokenLife = time.Hour
	// clockSkew is how far the clocks of sequencers may be apart without harm to who
	// walks from one to another.
	clockSkew = 30 * time.Second

	tokenVersion = 1
	maxToken     = 2048 // characters
)

const domainToken keys.Domain = "synod/sequencer/token/1"

var errToken = errors.New("it is no token of a sequencer")

// content is what is signed.
func (t *Token) content() []byte {
	b := append([]byte{tokenVersion}, t.ID[:]...)
	b = append(b, t.Key[:]...)
	b = append(b, t.IssuerKey[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(t.Issued))
	b = binary.BigEndian.AppendUint64(b, uint64(t.Expires))
	for _, m := range []topology.Member{t.Member, t.Issuer} {
		name := m.String()
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(name))), name...)
	}
	return b
}

// sign returns the token as it is shown.
func (t *Token) sign(network sequencing.NetworkID, key keys.PrivateKey) string {
	content := t.content()
	signature := key.SignDomain(network, domainToken, content)
	return base64.RawURLEncoding.EncodeToString(append(content, signature[:]...))
}

// parseToken reads what sign writes, and nothing else that reads alike; it verifies the signature. Whether the
// signer may sign is not asked here.
func parseToken(network sequencing.NetworkID, shown string) (*Token, error) {
	if len(shown) > maxToken || strings.ContainsAny(shown, "\r\n") { // which the decoder would skip
		return nil, errToken
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(shown)
	if err != nil || len(data) < len(keys.Signature{}) {
		return nil, errToken
	}
	content, signature := data[:len(data)-64], keys.Signature(data[len(data)-64:])
	t, err := decodeToken(content)
	if err != nil {
		return nil, err
	}
	if !keys.VerifyDomain(t.IssuerKey, network, domainToken, content, signature) {
		return nil, errors.New("its signature is not valid in this network")
	}
	return t, nil
}

func decodeToken(b []byte) (*Token, error) {
	const fixed = 1 + 16 + 32 + 32 + 8 + 8
	if len(b) < fixed || b[0] != tokenVersion {
		return nil, errToken
	}
	t := &Token{ID: TokenID(b[1:17]), Key: keys.Fingerprint(b[17:49]), IssuerKey: keys.PublicKey(b[49:81])}
	t.Issued, t.Expires = int64(binary.BigEndian.Uint64(b[81:])), int64(binary.BigEndian.Uint64(b[89:]))
	rest := b[fixed:]
	for _, m := range []*topology.Member{&t.Member, &t.Issuer} {
		if len(rest) < 2 || int(binary.BigEndian.Uint16(rest)) > len(rest)-2 {
			return nil, errToken
		}
		n := 2 + int(binary.BigEndian.Uint16(rest))
		parsed, err := topology.ParseMember(string(rest[2:n]))
		if err != nil {
			return nil, errToken
		}
		*m, rest = parsed, rest[n:]
	}
	if len(rest) > 0 {
		return nil, errToken
	}
	return t, nil
}

// inTime says why a token is not good at a time, whatever the topology.
func (t *Token) inTime(now time.Time) error {
	switch at := now.UnixMicro(); {
	case at >= t.Expires:
		return fmt.Errorf("it expired at %s", time.UnixMicro(t.Expires).UTC().Format(time.RFC3339))
	case t.Issued > at+clockSkew.Microseconds() || t.Expires-t.Issued > MaxTokenLife.Microseconds() || t.Expires < t.Issued:
		return errors.New("its times are those of no token that a sequencer gives out")
	}
	return nil
}

// within says why a token is not good by the topology as it is.
func (t *Token) within(view topology.Snapshot) error {
	switch {
	case view.Status(t.Member) != topology.Active:
		return fmt.Errorf("%s is not an active member any more", t.Member)
	case !slices.ContainsFunc(view.SigningKeys(t.Member, keys.SequencerAuthentication), func(k keys.PublicKey) bool { return k.Fingerprint() == t.Key }):
		return fmt.Errorf("the key with which %s authenticated is not one of its keys any more", t.Member)
	case t.Issuer.Role != topology.Sequencer || view.Status(t.Issuer) != topology.Active:
		return fmt.Errorf("%s, which gave it out, is not a sequencer of the network", t.Issuer)
	case !slices.Contains(view.SigningKeys(t.Issuer, keys.Protocol), t.IssuerKey):
		return fmt.Errorf("the key with which %s gave it out is not one of its keys any more", t.Issuer)
	}
	return nil
}

// genuine is a token whose signature was verified. It is asked with every call, and each time that something is told,
// whether it still holds; the topology seldom changes, and need not be read as often.
type genuine struct {
	*Token
	by         sequencing.MemberID // the issuer
	sequencers atomic.Int32        // how many there were when the topology was read last
	settled    atomic.Int64        // the state of the topology within which it was found good last, see [State.Settled]
}

// holds says why a token is not good now.
func (g *genuine) holds(state State, now time.Time) error {
	if err := g.inTime(now); err != nil {
		return err
	}
	settled := int64(state.Settled())
	if settled > 0 && g.settled.Load() == settled {
		return nil
	}
	err := errors.New("the topology is not there")
	state.Topology(func(view topology.Snapshot) {
		err = g.within(view)
		g.sequencers.Store(int32(len(view.Sequencers().Sequencers)))
	})
	if err == nil {
		g.settled.Store(settled)
	}
	return err
}

// tokenCache remembers tokens whose signature was verified, the last used ones.
type tokenCache = recent[[sha256.Size]byte, *genuine]
