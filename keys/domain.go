package keys

import "strings"

// Domain is one kind of message that is signed or sealed, such as "synod/topology/transaction/1". What is signed in one
// domain of one network means nothing in another domain, or in another network. Domains are constants of the program:
// they begin with "synod/" and hold no NUL, so that no domain and message read as another domain and message.
type Domain string

const domainPrefix = "synod/"

// bind returns the domain, a NUL, the network id, and the message. The NUL ends the domain and the network id has a fixed
// size, so that the three can be told apart again and nothing else has the same bytes. It panics on what is no domain,
// which no input can bring about.
func (d Domain) bind(network [32]byte, message []byte) []byte {
	if !strings.HasPrefix(string(d), domainPrefix) || strings.ContainsRune(string(d), 0) {
		panic("keys: " + string(d) + " is no domain")
	}
	bound := make([]byte, 0, len(d)+1+len(network)+len(message))
	bound = append(bound, d...)
	bound = append(bound, 0)
	bound = append(bound, network[:]...)
	return append(bound, message...)
}

// SignDomain signs message for one network and one domain.
func (k PrivateKey) SignDomain(network [32]byte, domain Domain, message []byte) Signature {
	return k.Sign(domain.bind(network, message))
}

// VerifyDomain reports whether signature is by key over message in this network and domain, under the rule of [Verify].
func VerifyDomain(key PublicKey, network [32]byte, domain Domain, message []byte, signature Signature) bool {
	return Verify(key, domain.bind(network, message), signature)
}

// Signed is what [VerifyDomain] verifies, for a [BatchVerifier].
func (d Domain) Signed(key PublicKey, network [32]byte, message []byte, signature Signature) Signed {
	return Signed{Key: key, Message: d.bind(network, message), Signature: signature}
}

// VerifyDomain reports whether signature is by key over message in this network and domain, under the rule of [Verify].
func (r *Ring) VerifyDomain(key PublicKey, network [32]byte, domain Domain, message []byte, signature Signature) bool {
	return r.Verify(key, domain.bind(network, message), signature)
}
