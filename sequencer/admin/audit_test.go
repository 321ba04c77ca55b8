package admin_test

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/replica/warden"
	"github.com/synod-network/synod/sequencer/admin"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/trustadmin"
)

// TestEveryChangeIsAudited: each call by which an operator changes something leaves one line that says who, what, to whom and how it
// ended, whatever the level of the log is. A call that is added is missed here.
func TestEveryChangeIsAudited(t *testing.T) {
	var log bytes.Buffer
	level := &slog.LevelVar{}
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level}))
	endpoints, err := admin.OpenEndpoints(filepath.Join(t.TempDir(), "operators", "peers.json"))
	if err != nil {
		t.Fatal(err)
	}
	pruner, err := admin.NewPruner(filepath.Join(t.TempDir(), "operators", "pruning.json"), &kept{head: 9}, ordered{&kept{head: 9}}, logger)
	if err != nil {
		t.Fatal(err)
	}
	peers := named(endpoints)
	judge, err := warden.Open(warden.Config{Key: membertest.Key("self"), Names: func() map[keys.PublicKey]string { return map[keys.PublicKey]string{nodeKey(7): "sequencer7"} }})
	if err != nil {
		t.Fatal(err)
	}
	c := convene(t)
	alice := c.joined()
	decisions := admin.NewMembers(admin.MembersConfig{Network: c.network.ID, State: c.state, Submit: c.order, Log: logger,
		Key: func() keys.PrivateKey { return membertest.Protocol(c.network.Sequencers[0]) }})
	address, dir := served(t, admin.NewNode(admin.NodeConfig{Level: level, Log: logger}), admin.NewBft(nodeKey(1), four(), peers, logger), pruner, decisions,
		trustadmin.New(judge, func() uint64 { return 0 }, logger))
	conn := dial(t, address, dir, "ours-client")
	nodes, bfts, prunings := adminv1.NewNodeServiceClient(conn), adminv1.NewBftServiceClient(conn), adminv1.NewPruningServiceClient(conn)
	decides, trusts := adminv1.NewMemberServiceClient(conn), adminv1.NewTrustServiceClient(conn)
	cron := "30 2 * * *"
	purchase := c.network.RequestBy(&sequencing.TrafficPurchase{Member: sequencing.MemberID(alice), Serial: 1, Total: 5}, membertest.Protocol(c.network.Sequencers[1]))
	ctx := t.Context()
	type call struct {
		do    func() error
		wants []string
	}
	changes := map[string]call{
		"NodeService.SetLogLevel": {func() error {
			_, err := nodes.SetLogLevel(ctx, &adminv1.SetLogLevelRequest{Level: "error"}) // from here on, information is not logged
			return err
		}, []string{`action="set the log level"`, "before=info", "level=error", "result=done"}},
		"BftService.AddPeerEndpoint": {func() error {
			_, err := bfts.AddPeerEndpoint(ctx, &adminv1.AddPeerEndpointRequest{Peer: "sequencer2", Address: "g:2"})
			return err
		}, []string{`action="add a peer endpoint"`, "peer=sequencer2", "address=g:2", "result=done"}},
		"BftService.RemovePeerEndpoint": {func() error {
			_, err := bfts.RemovePeerEndpoint(ctx, &adminv1.RemovePeerEndpointRequest{Peer: "sequencer3"})
			return err
		}, []string{`action="remove a peer endpoint"`, "peer=sequencer3", "result=done"}},
		"PruningService.Prune": {func() error {
			_, err := prunings.Prune(ctx, &adminv1.PruneRequest{Retention: durationpb.New(time.Hour)})
			return err
		}, []string{"action=prune", "result="}},
		"PruningService.SetPruningSchedule": {func() error {
			_, err := prunings.SetPruningSchedule(ctx, &adminv1.SetPruningScheduleRequest{Cron: &cron, MaxDuration: durationpb.New(time.Hour), Retention: durationpb.New(time.Hour)})
			return err
		}, []string{`action="set the pruning schedule"`, "30 2 * * *", "result=done"}},
		"PruningService.ClearPruningSchedule": {func() error {
			_, err := prunings.ClearPruningSchedule(ctx, &adminv1.ClearPruningScheduleRequest{})
			return err
		}, []string{`action="clear the pruning schedule"`, "result=done"}},
		"MemberService.ProposeTraffic": {func() error {
			_, err := decides.ProposeTraffic(ctx, &adminv1.ProposeTrafficRequest{Member: alice, Total: 5})
			return err
		}, []string{`action="sign a decision"`, alice, "by purchase 1", "submitted=false", "result=done"}},
		"MemberService.ProposeDisable": {func() error {
			_, err := decides.ProposeDisable(ctx, &adminv1.ProposeDisableRequest{Member: alice})
			return err
		}, []string{`action="sign a decision"`, alice, "is shut out for good", "result=done"}},
		"MemberService.Sign": {func() error {
			_, err := decides.Sign(ctx, &adminv1.SignRequest{Request: purchase})
			return err
		}, []string{`action="sign a decision"`, "signatures=2", "needed=3", "result=done"}},
		"TrustService.BanPeer": {func() error {
			_, err := trusts.BanPeer(ctx, &adminv1.BanPeerRequest{Peer: "sequencer7", Reason: "maintenance"})
			return err
		}, []string{`action="ban a peer"`, "peer=sequencer7", "reason=maintenance", "result=done"}},
		"TrustService.UnbanPeer": {func() error {
			_, err := trusts.UnbanPeer(ctx, &adminv1.UnbanPeerRequest{Peer: "sequencer7"})
			return err
		}, []string{`action="clear what is held against a peer"`, "peer=sequencer7", "result=done"}},
		"TrustService.ProtectPeer": {func() error {
			_, err := trusts.ProtectPeer(ctx, &adminv1.ProtectPeerRequest{Peer: "sequencer7", Protected: true})
			return err
		}, []string{`action="change the protection of a peer"`, "peer=sequencer7", "protected=true", "result=done"}},
	}
	done := map[string]bool{}
	for _, file := range []protoreflect.FileDescriptor{adminv1.File_synod_admin_v1_operations_proto, adminv1.File_synod_admin_v1_trust_proto} {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				method := service.Methods().Get(j)
				name := string(service.Name()) + "." + string(method.Name())
				log.Reset()
				if onlyShows(string(method.Name())) {
					continue
				}
				c, known := changes[name]
				if !known {
					t.Errorf("%s changes something, and nothing here says how it is audited", name)
					continue
				}
				done[name] = true
				failed := c.do()
				lines := strings.Split(strings.TrimSpace(log.String()), "\n")
				if len(lines) != 1 {
					t.Errorf("%s: %d lines: %v: %s", name, len(lines), failed, &log)
				}
				if failed != nil && !strings.Contains(lines[0], "result=failed") {
					t.Errorf("%s: %v, and the log has %q", name, failed, lines[0])
				}
				for _, want := range append([]string{"msg=audit", "by=alice", "from=127.0.0.1:"}, c.wants...) {
					if !strings.Contains(lines[0], want) {
						t.Errorf("%s: no %q in %s", name, want, lines[0])
					}
				}
			}
		}
	}
	for name := range changes {
		if !done[name] {
			t.Errorf("there is no call %s", name)
		}
	}
}

func onlyShows(method string) bool {
	for _, prefix := range []string{"Get", "List", "Explain"} {
		if strings.HasPrefix(method, prefix) {
			return true
		}
	}
	return false
}
