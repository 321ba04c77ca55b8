package trustadmin_test

import (
	"bytes"
	"encoding/hex"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/replica/trust"
	"github.com/synod-network/synod/replica/warden"
	"github.com/synod-network/synod/sequencer/trustadmin"
)

var network = [32]byte{'t'}

func key(i byte) keys.PrivateKey { return keys.FromSeed([32]byte{i}) }

func peer(i byte) keys.PublicKey { return key(i).Public() }

// judged is the service of the first of four members, called self, one, two and three, all of which are linked. What it decides is
// stored in a file at path; empty: nowhere.
func judged(t *testing.T, path string) (*trustadmin.Service, *warden.Warden, *bytes.Buffer) {
	t.Helper()
	w, err := warden.Open(warden.Config{Key: key(0), Network: network, Path: path, Names: func() map[keys.PublicKey]string {
		return map[keys.PublicKey]string{peer(0): "self", peer(1): "one", peer(2): "two", peer(3): "three", peer(9): "newcomer"}
	}, Now: func() time.Time { return time.UnixMicro(5_000_000) }, Passed: func() time.Duration { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	w.SetMembers([]keys.PublicKey{peer(0), peer(1), peer(2), peer(3)})
	for i := byte(1); i < 4; i++ {
		w.SetLinked(peer(i), true)
	}
	log := &bytes.Buffer{}
	return trustadmin.New(w, func() uint64 { return 7 }, slog.New(slog.NewTextHandler(log, nil))), w, log
}

// wants wants a failure with a code and a reason.
func wants(t *testing.T, what string, err error, code codes.Code, reason string) {
	t.Helper()
	var got string
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			got = info.GetReason()
		}
	}
	if status.Code(err) != code || got != reason {
		t.Errorf("%s: %v, for reason %q; want %v, %q", what, err, got, code, reason)
	}
}

// TestEachRefusalHasItsReason: programs tell by it what to do, and nobody is told that something was done which was not.
func TestEachRefusalHasItsReason(t *testing.T) {
	s, w, log := judged(t, "")
	ban := func(peer string, length *durationpb.Duration, reason string) error {
		_, err := s.BanPeer(t.Context(), &adminv1.BanPeerRequest{Peer: peer, Duration: length, Reason: reason})
		return err
	}
	wants(t, "a stranger", ban("nobody", nil, ""), codes.NotFound, "UNKNOWN_PEER")
	wants(t, "itself", ban("self", nil, ""), codes.InvalidArgument, "INVALID")
	wants(t, "for ever", ban("one", durationpb.New(100*365*24*time.Hour), ""), codes.InvalidArgument, "INVALID")
	wants(t, "for no time that there is", ban("one", &durationpb.Duration{Seconds: 1, Nanos: -1}, ""), codes.InvalidArgument, "INVALID")
	wants(t, "with many words", ban("one", nil, strings.Repeat("x", 241)), codes.InvalidArgument, "INVALID")
	if _, err := s.ProtectPeer(t.Context(), &adminv1.ProtectPeerRequest{Peer: "one", Protected: true}); err != nil {
		t.Fatal(err)
	}
	wants(t, "a protected one", ban("one", nil, ""), codes.FailedPrecondition, "PROTECTED")
	if !strings.Contains(log.String(), "result=failed") || strings.Contains(log.String(), `action="ban a peer" by="this process" from=here peer=one duration=0s reason="" result=done`) {
		t.Errorf("the log has %s", log)
	}
	if err := ban("two", nil, strings.Repeat("x", 240)); err != nil {
		t.Errorf("with as many words as can be: %v", err)
	}
	wants(t, "one that ordering needs", ban("three", nil, ""), codes.FailedPrecondition, "QUORUM_GUARD")
	for _, o := range w.Report().Peers {
		if banned := o.Standing == trust.Banned; banned != (o.Peer == peer(2)) {
			t.Errorf("%s is %s", w.Name(o.Peer), o.Standing)
		}
	}
	for name, found := range map[string]bool{"two": true, "newcomer": false} {
		if answer, err := s.UnbanPeer(t.Context(), &adminv1.UnbanPeerRequest{Peer: name}); err != nil || answer.GetFound() != found || answer.GetPeer().GetBan() != nil {
			t.Errorf("unban: %v, %v", answer, err)
		}
	}
	for _, protected := range []bool{true, false} {
		if answer, err := s.ProtectPeer(t.Context(), &adminv1.ProtectPeerRequest{Peer: "one", Protected: protected}); err != nil || answer.GetPeer().GetProtected() != protected {
			t.Errorf("protect: %v, %v", answer, err)
		}
	}
}

// TestWhatIsNotStoredIsSaid: whatever the operator changes is in force, and he knows that a restart would undo it.
func TestWhatIsNotStoredIsSaid(t *testing.T) {
	s, w, _ := judged(t, filepath.Join(t.TempDir(), "gone", "trust"))
	_, err := s.ProtectPeer(t.Context(), &adminv1.ProtectPeerRequest{Peer: "one", Protected: true})
	wants(t, "protect", err, codes.Internal, "NOT_STORED")
	_, err = s.BanPeer(t.Context(), &adminv1.BanPeerRequest{Peer: "two"})
	wants(t, "ban", err, codes.Internal, "NOT_STORED")
	if standing, _ := w.Treatment(peer(2)); standing != trust.Banned {
		t.Errorf("after the ban: %s", standing)
	}
	_, err = s.UnbanPeer(t.Context(), &adminv1.UnbanPeerRequest{Peer: "two"})
	wants(t, "unban", err, codes.Internal, "NOT_STORED")
}

// TestWhatIsTold: the list is short, all is told of one peer, and proofs and notices are whole, so that others can check them.
func TestWhatIsTold(t *testing.T) {
	s, w, _ := judged(t, "")
	w.Prove(peer(3), trust.Equivocation, "two blocks", []byte("proof"))
	other, err := warden.Open(warden.Config{Key: key(1), Network: network})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Ban(peer(0), time.Hour, "no friend"); err != nil {
		t.Fatal(err)
	}
	_, notice := other.Treatment(peer(0))
	_ = w.Told(peer(1), notice) // says what it says
	list, err := s.ListPeerTrust(t.Context(), &adminv1.ListPeerTrustRequest{})
	if err != nil || list.GetCounts().GetRejections() != 7 || len(list.GetPeers()) != 3 || list.GetSelfSuspectUntil() != 0 {
		t.Fatalf("%v, %v", list, err)
	}
	for _, p := range list.GetPeers() {
		if len(p.GetHistory()) != 0 || len(p.GetEvidence()) != 0 || (p.GetProofs() == 1) != (p.GetName() == "three") {
			t.Errorf("in the list: %v", p)
		}
	}
	explain := func(peer string) *adminv1.PeerTrust {
		t.Helper()
		answer, err := s.ExplainPeerTrust(t.Context(), &adminv1.ExplainPeerTrustRequest{Peer: peer})
		if err != nil {
			t.Fatal(err)
		}
		return answer.GetPeer()
	}
	if p := explain("three"); len(p.GetHistory()) == 0 || len(p.GetEvidence()) != 1 || string(p.GetEvidence()[0].GetProof()) != "proof" || p.GetEvidence()[0].GetAt() != 5_000_000 {
		t.Errorf("of the one that is at odds with itself: %v", p)
	}
	if n, _, err := warden.VerifyNotice(network, explain("one").GetBannedBy().GetNotice()); err != nil || n.By != peer(1) || n.To != peer(0) {
		t.Errorf("the notice of the one that bans this node: %v, %v", n, err)
	}
	nothing := peer(9)
	if p := explain("newcomer"); p.GetName() != "newcomer" || p.GetKey() != hex.EncodeToString(nothing[:]) || p.GetMember() || p.GetScore() != 0 {
		t.Errorf("of one of which nothing is known: %v", p)
	}
}
