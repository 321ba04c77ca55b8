package stories

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/overview"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// TestOperatorsCommands: one of four sequencers is down. Operators of the others look at everything there is to see, for people and for
// programs; they set what can be set at one sequencer, and shut out together a member that is gone and for whose sake nothing can be
// pruned. When a second sequencer is down, they are told.
func TestOperatorsCommands(t *testing.T) {
	c := found(t, 4)
	c.startEncrypted()
	o := &office{cluster: c, t: t, doors: c.doors(), at: c.nodes[0], down: c.nodes[3], gone: membertest.Participant("alice"), bob: membertest.Participant("bob")}
	admits(o.doors, o.gone, o.bob)
	within(t, patience, "all see each other", func() error {
		for _, row := range o.top("name") {
			if !row.Reached || !row.Ready || row.RoundTripUs == 0 || row.LastBlock.IsZero() || row.Why != "" {
				return fmt.Errorf("%+v", row)
			}
		}
		return nil
	})
	if code := o.down.stop(); code != 0 {
		t.Fatalf("exit code %d after TERM", code)
	}
	o.seesWhoIsDown()
	o.looks()
	o.setsTheLogLevel()
	o.judgesPeers()
	o.schedules()
	o.shutsOut()
	o.isToldThatNothingIsOrdered()
}

// office is where operators are at work.
type office struct {
	*cluster
	t         *testing.T
	doors     []*door
	at, down  *sequencer
	gone, bob topology.Member
}

// shows runs a command for people, and again for programs: its JSON has all fields of the answer, by their names in the API.
func (o *office) shows(answer proto.Message, args ...string) (text string) {
	o.t.Helper()
	text, err := o.ask(o.at, args...)
	if err != nil {
		o.t.Fatalf("%v: %v: %s", args, err, text)
	}
	o.answers(answer, args...)
	return text
}

// answers runs a command for programs.
func (o *office) answers(answer proto.Message, args ...string) {
	o.t.Helper()
	out, err := o.json(args...)
	if err != nil {
		o.t.Fatalf("%v --json: %v: %s", args, err, out)
	}
	o.reads(out, answer, args...)
}

// json is what a command prints for programs.
func (o *office) json(args ...string) (string, error) {
	out, err := exec.Command(binary, append(args, "--json", "--net", o.net.Dir, "--node", o.at.name)...).Output()
	return string(out), err
}

func (o *office) reads(out string, answer proto.Message, args ...string) {
	o.t.Helper()
	var fields map[string]json.RawMessage
	err := json.Unmarshal([]byte(out), &fields)
	if err == nil {
		err = protojson.Unmarshal([]byte(out), answer) // which knows no other fields
	}
	if err != nil {
		o.t.Fatalf("%v --json: %v: %s", args, err, out)
	}
	for i := range answer.ProtoReflect().Descriptor().Fields().Len() {
		field := answer.ProtoReflect().Descriptor().Fields().Get(i)
		if _, ok := fields[string(field.Name())]; !ok {
			o.t.Errorf("%v --json leaves out %s: %s", args, field.Name(), out)
		}
	}
}

// says wants a text in the answer to a command.
func (o *office) says(answer, text string, args ...string) {
	o.t.Helper()
	if !strings.Contains(answer, text) {
		o.t.Errorf("%v does not say %q:\n%s", args, text, answer)
	}
}

// fails wants a command to end with a code, and to say why on one line.
func (o *office) fails(code int, why string, args ...string) {
	o.t.Helper()
	out, err := o.ask(o.at, args...)
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.ExitCode() != code || !strings.Contains(out, why) || strings.Count(out, "\n") != 1 {
		o.t.Errorf("%v: %v: %s; want %d and %q on one line", args, err, out, code, why)
	}
}

// top is one glance at all sequencers.
func (o *office) top(order string) (rows []overview.Row) {
	o.t.Helper()
	out, err := exec.Command(binary, "top", "--once", "--json", "--sort", order, "--net", o.net.Dir).Output()
	if err == nil {
		err = strictly(out, &rows)
	}
	if err != nil || len(rows) != len(o.nodes) {
		o.t.Fatalf("top: %v: %s", err, out)
	}
	return rows
}

// strictly reads JSON that has no field which is not known.
func strictly(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

// seesWhoIsDown watches all sequencers: one that is down is there as the others see it.
func (o *office) seesWhoIsDown() {
	o.t.Helper()
	// It may have been stopped before the others saw a block of its own, whose time is then zero.
	within(o.t, patience, "the one that is down is last by its last block", func() error {
		rows := o.top("last-block")
		if r := rows[0]; r.Name != o.down.name || r.Reached || r.Ready || !strings.Contains(r.Why, "nothing listens there") {
			return fmt.Errorf("%+v", rows)
		}
		for _, r := range rows[1:] {
			if !r.Reached || !r.Ready || r.Epoch == 0 || r.Height == 0 || !r.LastBlock.After(rows[0].LastBlock) {
				return fmt.Errorf("%+v", rows)
			}
		}
		return nil
	})
	for _, order := range []string{"name", "height", "lag", "rtt", "score"} {
		if rows := o.top(order); !slices.IsSortedFunc(rows, overview.Order(order)) {
			o.t.Errorf("by %s: %+v", order, rows)
		}
	}
	out, err := exec.Command(binary, "top", "--once", "--net", o.net.Dir).CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || len(lines) != 5 || !strings.HasPrefix(lines[0], "SEQUENCER ") || !strings.HasPrefix(lines[4], o.down.name+"  no     -      -       -    ") {
		o.t.Errorf("top for people: %v:\n%s", err, out)
	}
	watch := launch(o.t, "top", filepath.Join(o.t.TempDir(), "log"), "top", "--json", "--every", "100ms", "--net", o.net.Dir)
	within(o.t, patience, "top looks again and again", func() error {
		if n := strings.Count(watch.stdout(), "\n"); n < 3 {
			return fmt.Errorf("%d lines", n)
		}
		return nil
	})
	watch.signal(syscall.SIGINT)
	if code := watch.exitCode(patience); code != 0 {
		o.t.Errorf("top ends with %d after INT: %s", code, watch.lastLines(3))
	}
}

// looks asks one sequencer for all that it tells.
func (o *office) looks() {
	o.t.Helper()
	var status adminv1.GetStatusResponse
	o.says(o.shows(&status, "status"), "  2 of 3 connected\n", "status")
	if status.GetName() != o.at.name || !status.GetReady() || status.GetConnectedPeers() != 2 || len(status.GetStandings()) != 4 {
		o.t.Errorf("status: %v", &status)
	}
	var health adminv1.GetHealthResponse
	if o.shows(&health, "health"); !health.GetReady() || len(health.GetChecks()) == 0 {
		o.t.Errorf("health: %v", &health)
	}
	var order adminv1.GetOrderingTopologyResponse
	o.says(o.shows(&order, "bft", "topology"), o.down.name, "bft topology")
	if order.GetQuorum() != 3 || order.GetMaxFaults() != 1 || len(order.GetMembers()) != 4 || order.GetEpoch() == 0 {
		o.t.Errorf("bft topology: %v", &order)
	}
	var ready adminv1.GetWriteReadinessResponse
	if o.shows(&ready, "bft", "readiness"); !ready.GetReady() || ready.GetRequiredQuorum() != 3 || ready.GetConnectedMembers() != 3 {
		o.t.Errorf("bft readiness: %v", &ready)
	}
	var peers adminv1.GetPeerNetworkStatusResponse
	o.shows(&peers, "bft", "peer-status")
	if len(peers.GetPeers()) != 3 {
		o.t.Errorf("bft peer-status: %v", &peers)
	}
	o.shows(&peers, "bft", "peer-status", o.down.name)
	if list := peers.GetPeers(); len(list) != 1 || list[0].GetEndpoint().GetName() != o.down.name || list[0].GetHealth() == adminv1.PeerConnectionStatus_HEALTH_AUTHENTICATED || list[0].GetDescription() == "" {
		o.t.Errorf("bft peer-status %s: %v", o.down.name, &peers)
	}
	o.fails(exit.Failed, "nobody", "bft", "peer-status", "nobody")
	var endpoints adminv1.ListPeerEndpointsResponse
	if o.shows(&endpoints, "bft", "peer", "list"); len(endpoints.GetEndpoints()) != 3 {
		o.t.Errorf("bft peer list: %v", &endpoints)
	}
	o.shows(&adminv1.GetOnboardingResponse{}, "bft", "onboarding")
	o.shows(&adminv1.ListTrafficResponse{}, "members", "traffic")
	o.shows(&adminv1.ListNamespacesResponse{}, "members", "namespaces")
	o.shows(&adminv1.ListMembersResponse{}, "members", "list")
}

// setsTheLogLevel sets it, and back.
func (o *office) setsTheLogLevel() {
	o.t.Helper()
	for _, level := range []string{"debug", "info"} {
		var is adminv1.GetLogLevelResponse
		if text := o.shows(&is, "log-level", level); text != level+"\n" || is.GetLevel() != level {
			o.t.Errorf("log-level %s: %s%v", level, text, &is)
		}
		if o.shows(&is, "log-level"); is.GetLevel() != level {
			o.t.Errorf("log-level: %v", &is)
		}
	}
	o.fails(exit.Usage, "loud", "log-level", "loud")
}

// judgesPeers looks at what the sequencer thinks of its peers, and bans one. The names of the JSON's fields are pinned beside the command.
func (o *office) judgesPeers() {
	o.t.Helper()
	standing := func() (one struct {
		Name, Standing string
		Ban            *struct{ Reason, Detail, Origin string }
	}) {
		out, err := o.json("trust", "explain", o.down.name)
		if err == nil {
			err = json.Unmarshal([]byte(out), &one)
		}
		if err != nil || one.Name != o.down.name {
			o.t.Fatalf("trust explain: %v: %s", err, out)
		}
		return one
	}
	text, err := o.ask(o.at, "trust", "list")
	if err != nil || strings.Count(text, "\n") != 4 || !strings.Contains(text, o.down.name) {
		o.t.Errorf("trust list: %v:\n%s", err, text)
	}
	o.operate(o.at, "trust", "ban", o.down.name, "--duration", "1h", "--reason", "it is down for good")
	if is := standing(); is.Ban == nil || is.Ban.Detail != "it is down for good" || is.Ban.Origin != "operator" {
		o.t.Errorf("after the ban: %+v", is)
	}
	text, err = o.ask(o.at, "trust", "explain", o.down.name)
	if o.says(text, "it is down for good", "trust explain"); err != nil {
		o.t.Error(err)
	}
	o.operate(o.at, "trust", "unban", o.down.name)
	if is := standing(); is.Ban != nil || is.Standing != "welcome" {
		o.t.Errorf("after the end of the ban: %+v", is)
	}
	o.fails(exit.Failed, "nobody", "trust", "explain", "nobody")
}

// schedules has the sequencer prune by itself, looks, and ends that.
func (o *office) schedules() {
	o.t.Helper()
	var get adminv1.GetPruningScheduleResponse
	o.says(o.shows(&get, "bft", "pruning", "schedule", "get"), "no schedule", "schedule get")
	var set adminv1.SetPruningScheduleResponse
	text := o.shows(&set, "bft", "pruning", "schedule", "set", "--cron", "30 2 * * *", "--max-duration", "1h", "--retention", "720h")
	if o.says(text, "30 2 * * *", "schedule set"); set.GetNextAt() == 0 || set.GetSchedule().GetRetention().AsDuration().Hours() != 720 {
		o.t.Errorf("schedule set: %v", &set)
	}
	if o.shows(&get, "bft", "pruning", "schedule", "get"); !proto.Equal(get.GetSchedule(), set.GetSchedule()) {
		o.t.Errorf("schedule get: %v", &get)
	}
	o.fails(exit.Usage, "every now and then", "bft", "pruning", "schedule", "set", "--cron", "every now and then")
	o.says(o.shows(&adminv1.ClearPruningScheduleResponse{}, "bft", "pruning", "schedule", "clear"), "no schedule", "schedule clear")
}

// shutsOut finds that nothing can be pruned because a member is gone, and has a quorum of operators disable it. With that its token ends at
// every sequencer that is up, what it reads ends too, and pruning goes on.
func (o *office) shutsOut() {
	o.t.Helper()
	up := o.doors[:3]
	first := up[0]
	for _, m := range []topology.Member{o.gone, o.bob} { // so that both have been told something
		if err := first.sends(m, first.network.Request(message(m, "hello", []byte("hello"), o.gone, o.bob), m)); err != nil {
			o.t.Fatal(err)
		}
	}
	events := first.story(o.bob, "hello")
	read := events[len(events)-1].Time
	request := first.network.Request(&sequencing.Acknowledgement{Member: membertest.ID(o.bob), UpTo: read}, o.bob)
	if _, err := first.Acknowledge(first.as(o.bob), &sequencerv1.AcknowledgeRequest{Request: request}); err != nil {
		o.t.Fatal(err)
	}
	within(o.t, patience, "the acknowledgement is known", func() error {
		if m := o.member(o.bob); m.GetAcknowledged() != int64(read) {
			return fmt.Errorf("%v", m)
		}
		return nil
	})
	var pruned adminv1.PruneResponse
	o.shows(&pruned, "bft", "pruning", "run", "--retention", "0s")
	var kept adminv1.GetPruningStatusResponse
	if o.shows(&kept, "bft", "pruning", "status"); pruned.GetPrunedUpTo() >= int64(read) || kept.GetMembersNeedFrom() >= int64(read) {
		o.t.Errorf("pruning status: %v", &kept)
	}

	token := first.token(o.gone)
	stream, err := first.Subscribe(first.showing(token), &sequencerv1.SubscribeRequest{})
	if err != nil {
		o.t.Fatal(err)
	}
	decision := filepath.Join(o.t.TempDir(), "decision")
	o.decides(o.nodes[0], 1, false, "members", "disable", o.gone.String(), "--out", decision)
	o.decides(o.nodes[1], 2, false, "members", "sign", decision, "--yes", "--out", decision)
	if _, err := first.GetTrafficState(first.showing(token), &sequencerv1.GetTrafficStateRequest{}); err != nil {
		o.t.Errorf("two of three have signed, and she is told: %v", err)
	}
	o.decides(o.nodes[2], 3, true, "members", "sign", decision, "--yes", "--out", decision)
	for err == nil {
		_, err = stream.Recv()
	}
	refusedAs(o.t, "her stream", err, unauthenticated)
	for _, d := range up {
		within(o.t, patience, d.name+" shuts her out", func() error {
			_, err := d.Challenge(d.patient(), &sequencerv1.ChallengeRequest{Member: o.gone.String(), NetworkId: d.network.ID[:]})
			if is, _ := refusalOf(err); is != unknownMember {
				return fmt.Errorf("challenged: %w", err)
			}
			return nil
		})
		for method, err := range d.everything(d.showing(token)) {
			refusedAs(o.t, method+" of "+d.name+", disabled", err, unauthenticated)
		}
	}
	if m := o.member(o.gone); !m.GetDisabled() {
		o.t.Errorf("members list: %v", m)
	}
	var list adminv1.ListMembersResponse
	o.says(o.shows(&list, "members", "list", "--prefix", "PAR::"), o.gone.String()+"  yes ", "members list")
	o.says(o.shows(&pruned, "bft", "pruning", "run", "--retention", "0s"), "as far as all active members have acknowledged", "pruning run")
	if o.shows(&kept, "bft", "pruning", "status"); pruned.GetPrunedUpTo() != int64(read) || kept.GetEventsPrunedTo() != int64(read) {
		o.t.Errorf("pruning run: %v, status: %v; want %d", &pruned, &kept, read)
	}
}

// member is what operators are told of a member.
func (o *office) member(m topology.Member) *adminv1.MemberState {
	o.t.Helper()
	var list adminv1.ListMembersResponse
	o.answers(&list, "members", "list", "--prefix", m.String())
	if len(list.GetMembers()) != 1 {
		o.t.Fatalf("members list --prefix %s: %v", m, &list)
	}
	return list.GetMembers()[0]
}

// isToldThatNothingIsOrdered looks when a second sequencer is down: health says so by its exit code, also for programs.
func (o *office) isToldThatNothingIsOrdered() {
	o.t.Helper()
	o.nodes[2].kill()
	within(o.t, patience, "health says that it is not ready", func() error {
		text, err := o.ask(o.at, "health")
		var ended *exec.ExitError
		if !errors.As(err, &ended) || ended.ExitCode() != exit.Unhealthy || !strings.Contains(text, "2 of 4 sequencers connected") {
			return fmt.Errorf("%w: %s", err, text)
		}
		return nil
	})
	out, err := o.json("health")
	var ended *exec.ExitError
	var health adminv1.GetHealthResponse
	if o.reads(out, &health, "health"); !errors.As(err, &ended) || ended.ExitCode() != exit.Unhealthy || health.GetReady() {
		o.t.Errorf("health --json: %v: %s", err, out)
	}
	var ready adminv1.GetWriteReadinessResponse
	if o.shows(&ready, "bft", "readiness"); ready.GetReady() || ready.GetConnectedMembers() != 2 || ready.GetReason() == "" {
		o.t.Errorf("bft readiness: %v", &ready)
	}
	rows := o.top("name")
	for i, r := range rows {
		if i < 2 != r.Reached || r.Ready || r.Why == "" {
			o.t.Errorf("top: %+v", rows)
		}
	}
}
