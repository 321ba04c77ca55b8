package admin_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
)

// canton are the calls of those who operate Canton's sequencer, by service; of some services, which have many calls of one kind, the
// service alone. Later versions of a call, as InitializeSequencerFromGenesisStateV2, are the call.
var canton = map[string]string{
	"SequencerBftAdministrationService": "AddPeerEndpoint RemovePeerEndpoint ListConfiguredEndpoints GetPeerNetworkStatus GetWriteReadiness GetOrderingTopology SetPerformanceMetricsEnabled",
	"SequencerBftPruningAdministrationService": "BftPrune BftPruningStatus SetBftSchedule GetBftSchedule SetMinBlocksToKeep SetSchedule SetCron SetMaxDuration SetRetention " +
		"ClearSchedule GetSchedule",
	"SequencerInitializationService":        "InitializeSequencerFromGenesisState InitializeSequencerFromOnboardingState",
	"SequencerAdministrationService":        "PruningStatus TrafficControlState SetTrafficPurchased Snapshot OnboardingState DisableMember SetThroughputCap GetThroughputCap",
	"SequencerPruningAdministrationService": "Prune SetSchedule GetSchedule ClearSchedule SetCron SetMaxDuration SetRetention FindPruningTimestamp",
	"SequencerStatusService":                "SequencerStatus",
	"StatusService":                         "HealthDump SetLogLevel",
	"IdentityInitializationService":         "InitId GetId",
	"SynchronizerTimeService":               "FetchTime AwaitTime",
	"TopologyManagerReadService":            "", "TopologyManagerWriteService": "", "TopologyAggregationService": "", "VaultService": "",
}

// TestAdminMap: each call of Canton's is on the page for operators who come from there, once, with calls that there are or a reason;
// and each call of ours that there is to say something of is somewhere on it.
func TestAdminMap(t *testing.T) {
	content, err := os.ReadFile("../../docs/operations/admin-map.md")
	if err != nil {
		t.Fatal(err)
	}
	ours := map[string]bool{} // whether it is on the page
	for _, file := range []protoreflect.FileDescriptor{adminv1.File_synod_admin_v1_operations_proto, adminv1.File_synod_admin_v1_trust_proto} {
		for i := range file.Services().Len() {
			s := file.Services().Get(i)
			for j := range s.Methods().Len() {
				ours[string(s.Name())+"."+string(s.Methods().Get(j).Name())] = s.Name() == "TrustService"
			}
		}
	}
	quoted := regexp.MustCompile("`([A-Z][A-Za-z]*Service(?:\\.[A-Za-z]+)?)`")
	named := map[string]int{}
	for _, row := range strings.Split(string(content), "\n") {
		cells := strings.Split(row, "|")
		if len(cells) < 5 {
			continue
		}
		theirs := quoted.FindAllStringSubmatch(cells[1], -1)
		for _, n := range theirs {
			named[n[1]]++
		}
		calls := quoted.FindAllStringSubmatch(cells[2], -1)
		for _, n := range calls {
			if _, is := ours[n[1]]; !is {
				t.Errorf("there is no call %s", n[1])
			}
			ours[n[1]] = true
		}
		if len(theirs) > 0 && len(calls) == 0 && (strings.TrimSpace(cells[2]) != "none" || len(strings.TrimSpace(cells[3])) < 20) {
			t.Errorf("neither a call nor a reason stands beside %s", cells[1])
		}
	}
	for service, calls := range canton {
		all := strings.Fields(calls)
		if calls == "" {
			all = []string{""}
		}
		for _, call := range all {
			name := strings.TrimSuffix(service+"."+call, ".")
			if named[name] != 1 {
				t.Errorf("%s is on the page %d times", name, named[name])
			}
			delete(named, name)
		}
	}
	for name := range named {
		t.Errorf("Canton has no call %s", name)
	}
	beyond := map[string]bool{ // there is nothing like it in Canton
		"NodeService.GetHealth": true, "NodeService.GetLogLevel": true, "MemberService.ListMembers": true,
	}
	for name, on := range ours {
		if !on && !beyond[name] {
			t.Errorf("%s is nowhere on the page", name)
		}
	}
}
