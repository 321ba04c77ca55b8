package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"maps"
	"math"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/replica"
	"github.com/synod-network/synod/replica/p2p"
	"github.com/synod-network/synod/replica/store"
	"github.com/synod-network/synod/replica/trust"
	"github.com/synod-network/synod/replica/warden"
	"github.com/synod-network/synod/sequencer/trustadmin"
	"github.com/synod-network/synod/telemetry"
)

// watched is a sequencer's replica, not running, with its metrics and its admin service.
type watched struct {
	warden   *warden.Warden
	registry *prometheus.Registry
	keys     []keys.PrivateKey
	address  string
	log      *bytes.Buffer
}

// watch makes the replica of the first of four members, with the wardens's clocks standing still.
func watch(t *testing.T) *watched {
	t.Helper()
	w := &watched{registry: prometheus.NewRegistry(), log: &bytes.Buffer{}}
	names := map[keys.PublicKey]string{}
	var public []bft.PublicKey
	var members []keys.PublicKey
	for i, name := range []string{"sequencer1", "sequencer2", "sequencer3", "sequencer4"} {
		k, err := keys.Generate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		w.keys, names[k.Public()] = append(w.keys, k), name
		public, members = append(public, bft.PublicKey(k.Public())), append(members, w.keys[i].Public())
	}
	genesis := bft.Genesis(bft.NetworkID(public[0]), public, bft.DefaultParams(), 1)
	options := store.Options{Dir: filepath.Join(t.TempDir(), "store"), Network: genesis.Network, SegmentSize: 1 << 20}
	if err := store.Create(options, store.Newborn); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	log := slog.New(slog.NewTextHandler(w.log, nil))
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	w.warden, err = warden.Open(warden.Config{
		Key: w.keys[0], Network: [32]byte(genesis.Network), Names: func() map[keys.PublicKey]string { return names }, Log: log, Path: filepath.Join(t.TempDir(), "peertrust"),
		Now: func() time.Time { return now }, Passed: func() time.Duration { return 0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	peers, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peers.Close() })
	r, err := replica.New(replica.Config{
		Genesis: genesis, Key: w.keys[0], Store: s, Listener: peers, Name: func(k keys.PublicKey) string { return names[k] },
		Warden: w.warden, Metrics: telemetry.New(w.registry),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Observe()
	w.warden.SetMembers(members)
	for _, m := range members[1:] {
		w.warden.SetLinked(m, true)
	}
	server := grpc.NewServer()
	trustadmin.New(w.warden, func() uint64 { return r.Refused()[p2p.BannedPeer] }, log).Register(server)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.address = listener.Addr().String()
	served := make(chan error)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		<-served
	})
	return w
}

// synod runs the command line against the watched sequencer.
func (w *watched) synod(args ...string) (code int, out, err string) {
	var stdout, stderr bytes.Buffer
	code = run(context.Background(), append(args, "--admin", w.address), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// scraped are the metrics of trust, each with its labels' values in the order of their names.
func (w *watched) scraped(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		name, ours := strings.CutPrefix(f.GetName(), "synod_p2p_")
		if !ours {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			values[strings.Join(append([]string{name}, labels...), " ")] = value(m)
		}
	}
	return values
}

func value(m *dto.Metric) float64 {
	if m.Gauge != nil {
		return m.GetGauge().GetValue()
	}
	return m.GetCounter().GetValue()
}

// asMetrics are the same numbers as the API gives them.
func asMetrics(a *adminv1.ListPeerTrustResponse) map[string]float64 {
	c := a.GetCounts()
	v := map[string]float64{
		"banned_peers member": 0, "banned_peers other": 0, "bans_on_hold": 0, "limited_peers": 0, "banned_by_peers": 0, "self_suspect": 0,
		"ban_rejections_total": float64(c.GetRejections()), "quorum_guard_total": float64(c.GetQuorumGuard()), "self_suspicions_total": float64(c.GetSelfSuspicions()),
	}
	for _, p := range a.GetPeers() {
		kind := "other"
		if p.GetMember() {
			kind = "member"
			v["peer_score "+p.GetName()], v["peer_strikes "+p.GetName()] = p.GetScore(), float64(p.GetStrikes())
			v["peer_ban_until_seconds "+p.GetName()] = 0
			if b := p.GetBan(); b != nil {
				v["peer_ban_until_seconds "+p.GetName()] = float64(b.GetUntil()) / 1e6
			}
		}
		switch p.GetStanding() {
		case "banned":
			v["banned_peers "+kind]++
		case "limited":
			v["limited_peers"]++
		}
		if p.GetOnHold() {
			v["bans_on_hold"]++
		}
		if p.GetBannedBy() != nil {
			v["banned_by_peers"]++
		}
	}
	doneBy(v, c.GetActions(), a.GetPeers(), func(p *adminv1.PeerTrust) (string, map[string]uint64) { return p.GetName(), p.GetActions() })
	if a.GetSelfSuspectUntil() != 0 {
		v["self_suspect"] = 1
	}
	for _, b := range c.GetBans() {
		v["bans_total "+b.GetOrigin()+" "+b.GetReason()] = float64(b.GetCount())
	}
	for name, counts := range map[string]map[string]uint64{
		"unbans_total": c.GetUnbans(), "evidence_total": c.GetEvidence(), "bans_put_off_total": c.GetPutOff(),
	} {
		for label, n := range counts {
			v[name+" "+label] = float64(n)
		}
	}
	return v
}

// doneBy enters what each member did, and what all others did, which is the rest.
func doneBy[P any](v map[string]float64, all map[string]uint64, peers []P, of func(P) (string, map[string]uint64)) {
	for action, n := range all {
		v["peer_actions_total "+action+" other"] = float64(n)
	}
	for _, p := range peers {
		name, actions := of(p)
		for action, n := range actions {
			v["peer_actions_total "+action+" "+name] = float64(n)
			v["peer_actions_total "+action+" other"] -= float64(n)
		}
	}
}

// asPrinted are the same numbers as `synod trust list --json` prints them.
func asPrinted(l shownTrust) map[string]float64 {
	v := map[string]float64{
		"banned_peers member": 0, "banned_peers other": 0, "bans_on_hold": float64(l.OnHold), "limited_peers": float64(l.Limited), "banned_by_peers": float64(l.BannedBy), "self_suspect": 0,
		"ban_rejections_total": float64(l.Counts.Rejections), "quorum_guard_total": float64(l.Counts.QuorumGuard), "self_suspicions_total": float64(l.Counts.Suspicions),
	}
	for _, p := range l.Peers {
		if p.Member {
			v["peer_score "+p.Name], v["peer_strikes "+p.Name], v["peer_ban_until_seconds "+p.Name] = p.Score, float64(p.Strikes), 0
			if p.Ban != nil {
				v["peer_ban_until_seconds "+p.Name] = float64(p.Ban.Until.UnixMicro()) / 1e6
			}
		}
		if p.Standing == "banned" && p.Member {
			v["banned_peers member"]++
		}
	}
	doneBy(v, l.Counts.Actions, l.Peers, func(p shownPeer) (string, map[string]uint64) { return p.Name, p.Actions })
	v["banned_peers other"] = float64(l.Banned) - v["banned_peers member"]
	if l.SelfSuspectUntil != nil {
		v["self_suspect"] = 1
	}
	for origin, reasons := range l.Counts.Bans {
		for reason, n := range reasons {
			v["bans_total "+origin+" "+reason] = float64(n)
		}
	}
	for name, counts := range map[string]map[string]uint64{
		"unbans_total": l.Counts.Unbans, "evidence_total": l.Counts.Evidence, "bans_put_off_total": l.Counts.PutOff,
	} {
		for label, n := range counts {
			v[name+" "+label] = float64(n)
		}
	}
	return v
}

// Whatever happens to trust, the metrics, the API and the command say the same.
func TestTrustMetricsAndCommandAgree(t *testing.T) {
	w := watch(t)
	conn, err := grpc.NewClient(w.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	service := adminv1.NewTrustServiceClient(conn)
	member := func(i int) keys.PublicKey { return w.keys[i].Public() }
	stranger := keys.FromSeed([32]byte{9}).Public()
	for _, happens := range []struct {
		what string
		do   func()
		want map[string]float64
	}{
		{"nothing", func() {}, map[string]float64{"peer_score sequencer2": 0, "banned_peers member": 0, "evidence_total equivocation": 0}},
		{"a ban of a member by hand", func() { w.synod("trust", "ban", "sequencer3", "--duration", "30m") }, map[string]float64{"peer_ban_until_seconds sequencer3": 1767227400, "peer_strikes sequencer3": 0, "bans_total operator manual": 1}},
		{"its end", func() { w.synod("trust", "unban", "sequencer3") }, map[string]float64{"peer_ban_until_seconds sequencer3": 0, "unbans_total operator": 1}},
		{"some junk", func() { times(4, func() { w.warden.Record(member(1), trust.JunkFrame, "junk") }) }, map[string]float64{"peer_score sequencer2": -0.4, "peer_actions_total junk_frame sequencer2": 4, "peer_actions_total junk_frame other": 0, "peer_actions_total junk_frame sequencer3": 0}},
		{"the junk of a stranger", func() { times(3, func() { w.warden.Record(stranger, trust.JunkFrame, "junk") }) }, map[string]float64{"peer_actions_total junk_frame other": 3, "peer_actions_total junk_frame sequencer2": 4}},
		{"more junk", func() { times(2, func() { w.warden.Record(member(1), trust.JunkFrame, "junk") }) }, map[string]float64{"limited_peers": 1}},
		{"an equivocation", func() { w.warden.Prove(member(2), trust.Equivocation, "two", []byte{1}) }, map[string]float64{"banned_peers member": 1, "evidence_total equivocation": 1, "bans_total automatic equivocation": 1, "peer_strikes sequencer3": 1, "peer_score sequencer3": -1}},
		{"a second one to ban", func() { times(9, func() { w.warden.Record(member(1), trust.JunkFrame, "junk") }) }, map[string]float64{"banned_peers member": 1, "quorum_guard_total": 1, "bans_put_off_total quorum_guard": 1}},
		{"a ban by hand", func() { w.synod("trust", "ban", hexOf(stranger), "--duration", "1h", "--reason", "no friend") }, map[string]float64{"banned_peers other": 1, "bans_total operator manual": 2}},
		{"a ban that is not allowed", func() { w.synod("trust", "ban", "sequencer4") }, map[string]float64{"quorum_guard_total": 2}},
		{"unban", func() { w.synod("trust", "unban", "sequencer3") }, map[string]float64{"unbans_total operator": 2, "peer_score sequencer3": 0, "peer_strikes sequencer3": 0, "peer_ban_until_seconds sequencer3": 0}},
		{"two bad members", func() { times(3, func() { w.warden.Record(member(3), trust.InvalidBlock, "bad") }) }, map[string]float64{"self_suspect": 1, "self_suspicions_total": 1}},
		{"a ban of this node", func() {
			other, err := warden.Open(warden.Config{Key: w.keys[3], Network: [32]byte(bft.NetworkID(member(0)))})
			if err != nil {
				t.Fatal(err)
			}
			if err := other.Ban(member(0), time.Hour, "you sent junk"); err != nil {
				t.Fatal(err)
			}
			_, notice := other.Treatment(member(0))
			_ = w.warden.Told(member(3), notice)
		}, map[string]float64{"banned_by_peers": 1}},
	} {
		happens.do()
		scraped := w.scraped(t)
		for name, want := range happens.want {
			if got, is := scraped[name]; !is || math.Abs(got-want) > 1e-9 {
				t.Errorf("after %s the metric %s is %g, want %g", happens.what, name, got, want)
			}
		}
		answer, err := service.ListPeerTrust(t.Context(), &adminv1.ListPeerTrustRequest{})
		if err != nil {
			t.Fatal(err)
		}
		_, out, _ := w.synod("trust", "list", "--json")
		var printed shownTrust
		if err := json.Unmarshal([]byte(out), &printed); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		same(t, happens.what+": the API", scraped, asMetrics(answer))
		same(t, happens.what+": the command", scraped, asPrinted(printed))
	}
	_, out, _ := w.synod("trust", "list")
	for _, words := range []string{"this sequencer is banned by sequencer4 until 20", "because of manual: you sent junk", "this sequencer suspects itself until"} {
		if !strings.Contains(out, words) {
			t.Errorf("the list does not say %q:\n%s", words, out)
		}
	}
}

func same(t *testing.T, what string, scraped, told map[string]float64) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(scraped)) {
		if got, is := told[name]; !is || got != scraped[name] {
			t.Errorf("after %s has %s = %g (%t), the metric is %g", what, name, got, is, scraped[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(told)) {
		if _, is := scraped[name]; !is {
			t.Errorf("after %s has %s, and no metric does", what, name)
		}
	}
}

func times(n int, do func()) {
	for range n {
		do()
	}
}

func hexOf(k keys.PublicKey) string {
	text, err := k.MarshalText()
	if err != nil {
		panic(err)
	}
	return string(text)
}

// What an operator does one after the other, with what is said and what the log keeps.
func TestTrustCommands(t *testing.T) {
	w := watch(t)
	w.warden.Prove(w.keys[1].Public(), trust.Equivocation, "3.1 and 3.1", []byte{0xab, 0xcd})
	for _, c := range []struct {
		args []string
		code int
		says string // in either output
	}{
		{[]string{"explain", "sequencer2"}, 0, "proof of equivocation, seen 2026-01-01T00:00:00Z: 3.1 and 3.1\nabcd"},
		{[]string{"list"}, 0, "equivocation"},
		{[]string{"ban", "sequencer3"}, 1, "at most f members are kept out"},
		{[]string{"unban", "sequencer2", "--json"}, 0, `"standing": "welcome"`},
		{[]string{"unban", "sequencer4"}, 0, "nothing was held against sequencer4\n"},
		{[]string{"unban", "sequencer9"}, 1, `no peer is called "sequencer9"`},
		{[]string{"explain", "sequencer2"}, 0, "abcd"},
		{[]string{"ban", "sequencer3", "--duration", "30m", "--reason", "maintenance"}, 0, "until 2026-01-01T00:30:00Z by operator decision because of manual: maintenance"},
		{[]string{"protect", "sequencer3"}, 0, "welcome (protected)"},
		{[]string{"ban", "sequencer3"}, 1, "end its protection first"},
		{[]string{"protect", "sequencer3", "--off"}, 0, "protection ended by an operator"},
		{[]string{"ban", "sequencer3", "--duration", "10000h"}, 2, "up to 366 days"},
		{[]string{"ban", "sequencer3", "--duration", "-1s"}, 2, "up to 366 days"},
		{[]string{"ban", "sequencer3", "--reason", strings.Repeat("x", 241)}, 2, "240 bytes"},
		{[]string{"ban", "sequencer1"}, 2, "this node's own key"},
		{[]string{"ban", "sequencer9"}, 1, `no peer is called "sequencer9"`},
		{[]string{"ban"}, 2, "wants exactly PEER"},
	} {
		code, out, err := w.synod(append([]string{"trust"}, c.args...)...)
		if code != c.code || !strings.Contains(out+err, c.says) {
			t.Errorf("synod trust %s: code %d and\n%s%swant %d and %q", strings.Join(c.args, " "), code, out, err, c.code, c.says)
		}
	}
	// The same line as that of every other change by an operator, failed ones too.
	log := w.log.String()
	for _, want := range []string{"msg=audit action=\"ban a peer\" by=", "reason=maintenance", "action=\"clear what is held against a peer\"", "action=\"change the protection of a peer\""} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if done, failed := strings.Count(log, "result=done"), strings.Count(log, "result=failed"); done != 5 || failed != strings.Count(log, "level=WARN msg=audit") || failed == 0 {
		t.Errorf("%d changes and %d failures are told:\n%s", done, failed, log)
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"trust", "list", "--admin", "127.0.0.1:1"}, &stdout, &stderr); code != 75 {
		t.Errorf("a sequencer that is not there: code %d, %s", code, stderr.String())
	}
	if code := run(t.Context(), []string{"trust", "list"}, &stdout, &stderr); code != 2 {
		t.Errorf("no sequencer named: code %d", code)
	}
}
