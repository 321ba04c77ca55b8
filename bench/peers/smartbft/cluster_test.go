package smartbft

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"
	"time"

	"github.com/hyperledger-labs/SmartBFT/pkg/types"

	"github.com/synod-network/synod/bench/peers/load"
)

// Ordering through a crash of the leader, with the verdict of load.Run.
func TestClusterOrders(t *testing.T) {
	if testing.Short() {
		t.Skip("runs whole clusters for seconds")
	}
	tuning := Best()
	w := load.Workload{
		Name: "short", Nodes: 4, Size: 256, Rate: 500, Outstanding: 20_000,
		WarmUp: 100 * time.Millisecond, Measure: 2500 * time.Millisecond, CrashAfter: 200 * time.Millisecond,
	}
	for name, handing := range map[string]Handing{"to the leader": ToLeader, "to all": ToAll} {
		t.Run(name, func(t *testing.T) {
			r, err := load.Run(context.Background(), name, Start(handing, tuning), w, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if r.OrderedPerSecond < 100 {
				t.Errorf("ordered %.0f/s: did not go on after the crash", r.OrderedPerSecond)
			}
		})
	}
}

func TestProposal(t *testing.T) {
	requests := [][]byte{[]byte("request1"), []byte("longer request 2")}
	p := assemble([]byte("metadata"), requests)
	if err := checkHeader(p); err != nil {
		t.Error(err)
	}
	got, err := requestsOf(p.Payload)
	if err != nil || len(got) != 2 || !bytes.Equal(got[0], requests[0]) || !bytes.Equal(got[1], requests[1]) {
		t.Errorf("got %q, %v; want %q", got, err, requests)
	}
	for cut := 1; cut < len(p.Payload); cut++ {
		if cut == 4+len(requests[0]) {
			continue // the first request alone is well-formed
		}
		if _, err := requestsOf(p.Payload[:cut]); err == nil {
			t.Errorf("took a payload cut at %d", cut)
		}
	}
	p.Payload[6]++
	if checkHeader(p) == nil {
		t.Error("took a payload that is not the header's")
	}
}

func TestSignature(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := signer{id: 1, key: key, public: map[uint64]*ecdsa.PublicKey{1: &key.PublicKey}}
	p := assemble([]byte("metadata"), [][]byte{[]byte("request1")})
	good := s.signProposal(p, []byte("auxiliary"))
	if aux, err := s.verifyProposal(*good, p); err != nil || string(aux) != "auxiliary" {
		t.Fatalf("own signature: got %q, %v", aux, err)
	}
	other := assemble([]byte("metadata"), [][]byte{[]byte("request2")})
	forged := types.Signature{ID: 1, Msg: good.Msg, Value: bytes.Clone(good.Value)}
	forged.Value[len(forged.Value)-1]++
	for name, try := range map[string]func() error{
		"of another proposal": func() error { _, err := s.verifyProposal(*good, other); return err },
		"forged":              func() error { _, err := s.verifyProposal(forged, p); return err },
		"of a stranger":       func() error { return s.verify(types.Signature{ID: 2, Msg: good.Msg, Value: good.Value}) },
	} {
		if try() == nil {
			t.Errorf("took a signature %s", name)
		}
	}
}
