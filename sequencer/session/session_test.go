package session_test

import (
	"testing"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/session"
)

// A signature is good for exactly what was signed, by exactly who signed, in one network.
func TestNothingElseIsSigned(t *testing.T) {
	key, other := keys.FromSeed([32]byte{1}), keys.FromSeed([32]byte{2})
	network, elsewhere := sequencing.NetworkID{1}, sequencing.NetworkID{2}

	login := session.Login{Member: "PAR::a", Sequencer: "SEQ::s", Nonce: session.Nonce{7}}
	signature := login.Sign(network, key)
	if !login.Signed(network, key.Public(), signature) {
		t.Error("the login that was signed is refused")
	}
	for name, wrong := range map[string]bool{
		"network":   login.Signed(elsewhere, key.Public(), signature),
		"key":       login.Signed(network, other.Public(), signature),
		"member":    session.Login{Member: "PAR::b", Sequencer: "SEQ::s", Nonce: session.Nonce{7}}.Signed(network, key.Public(), signature),
		"sequencer": session.Login{Member: "PAR::a", Sequencer: "SEQ::t", Nonce: session.Nonce{7}}.Signed(network, key.Public(), signature),
		"boundary":  session.Login{Member: "PAR::aSEQ::", Sequencer: "s", Nonce: session.Nonce{7}}.Signed(network, key.Public(), signature),
		"nonce":     session.Login{Member: "PAR::a", Sequencer: "SEQ::s", Nonce: session.Nonce{8}}.Signed(network, key.Public(), signature),
		"events":    session.Events{Member: "PAR::a"}.Signed(nil, network, key.Public(), signature),
	} {
		if wrong {
			t.Errorf("login: another %s is accepted", name)
		}
	}

	events := session.Events{Member: "PAR::a", After: 3, Encoded: [][]byte{[]byte("x"), []byte("y")}, Known: 9}
	signature = events.Sign(network, key)
	if !events.Signed(nil, network, key.Public(), signature) {
		t.Error("the events that were signed are refused")
	}
	for name, wrong := range map[string]session.Events{
		"member":  {Member: "PAR::b", After: 3, Encoded: events.Encoded, Known: 9},
		"after":   {Member: "PAR::a", After: 4, Encoded: events.Encoded, Known: 9},
		"known":   {Member: "PAR::a", After: 3, Encoded: events.Encoded, Known: 8},
		"order":   {Member: "PAR::a", After: 3, Encoded: [][]byte{[]byte("y"), []byte("x")}, Known: 9},
		"fewer":   {Member: "PAR::a", After: 3, Encoded: events.Encoded[:1], Known: 9},
		"between": {Member: "PAR::a", After: 3, Encoded: [][]byte{[]byte("xy")}, Known: 9},
	} {
		if wrong.Signed(nil, network, key.Public(), signature) {
			t.Errorf("events: another %s is accepted", name)
		}
	}
}
