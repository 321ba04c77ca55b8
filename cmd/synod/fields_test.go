package main

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/load"
	"github.com/synod-network/synod/load/members"
	"github.com/synod-network/synod/sequencer/overview"
)

var update = flag.Bool("update", false, "rewrite testdata/json-fields.golden")

// Programs read what commands print with --json: no field changes its name or its place unnoticed.
func TestJSONKeepsItsFieldNames(t *testing.T) {
	var out strings.Builder
	for _, c := range []struct {
		command string
		prints  any
	}{
		{"status", &adminv1.GetStatusResponse{}},
		{"health", &adminv1.GetHealthResponse{}},
		{"log-level", &adminv1.GetLogLevelResponse{}},
		{"bft peer add", &adminv1.AddPeerEndpointResponse{}},
		{"bft peer remove", &adminv1.RemovePeerEndpointResponse{}},
		{"bft peer list", &adminv1.ListPeerEndpointsResponse{}},
		{"bft peer-status", &adminv1.GetPeerNetworkStatusResponse{}},
		{"bft readiness", &adminv1.GetWriteReadinessResponse{}},
		{"bft onboarding", &adminv1.GetOnboardingResponse{}},
		{"bft topology", &adminv1.GetOrderingTopologyResponse{}},
		{"bft pruning status", &adminv1.GetPruningStatusResponse{}},
		{"bft pruning run", &adminv1.PruneResponse{}},
		{"bft pruning schedule get", &adminv1.GetPruningScheduleResponse{}},
		{"bft pruning schedule set", &adminv1.SetPruningScheduleResponse{}},
		{"bft pruning schedule clear", &adminv1.ClearPruningScheduleResponse{}},
		{"members list", &adminv1.ListMembersResponse{}},
		{"members traffic", &adminv1.ListTrafficResponse{}},
		{"members namespaces", &adminv1.ListNamespacesResponse{}},
		{"members buy, disable, sign", &adminv1.Decision{}},
		{"top", []overview.Row{}},
		{"trust list", shownTrust{}},
		{"trust explain, ban, unban, protect", shownPeer{}},
		{"load", members.Result{}},
		{"load --ordering", load.Result{}},
	} {
		fmt.Fprintf(&out, "synod %s --json\n", c.command)
		if m, ok := c.prints.(proto.Message); ok {
			writeMessage(&out, "  ", m.ProtoReflect().Descriptor())
		} else {
			writeType(&out, "  ", reflect.TypeOf(c.prints))
		}
	}
	const golden = "testdata/json-fields.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(out.String(), "\n"); !slices.Equal(got, strings.Split(string(want), "\n")) {
		for i, line := range strings.Split(string(want), "\n") {
			if i >= len(got) || got[i] != line {
				t.Fatalf("%s:%d: %q is not there any more; -update if that is meant, and say so in the changelog\n%s", golden, i+1, line, out.String())
			}
		}
		t.Fatalf("%s lacks the last lines of\n%s", golden, out.String())
	}
}

// writeMessage writes the fields of a message, each with what it holds.
func writeMessage(out *strings.Builder, indent string, m protoreflect.MessageDescriptor) {
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		many := map[bool]string{true: " []"}[f.IsList()]
		of := f.Message()
		if f.IsMap() {
			many, of = " map", f.MapValue().Message()
		}
		fmt.Fprintf(out, "%s%s%s\n", indent, f.Name(), many)
		if of != nil && of.ParentFile().Package() == m.ParentFile().Package() { // others have a form of their own in JSON
			writeMessage(out, indent+"  ", of)
		}
	}
}

// writeType writes the fields of a struct, each with what it holds.
func writeType(out *strings.Builder, indent string, t reflect.Type) {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t.PkgPath() == "time" {
		return
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("json")
		many := map[reflect.Kind]string{reflect.Slice: " []", reflect.Map: " map"}[f.Type.Kind()]
		fmt.Fprintf(out, "%s%s%s\n", indent, name, many)
		writeType(out, indent+"  ", f.Type)
	}
}
