package importrules_test

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/synod-network/synod"

// mayImport says for each folder at the root which others its code may import; tests may import more. A more specific line
// replaces that of its parent. Every folder may import itself and internal. "*" is anything.
var mayImport = map[string][]string{
	"api":                   {},
	"bench":                 {"*"},
	"bft":                   {}, // the pure core knows only itself and how encodings are written
	"client":                {"api", "keys", "ordering", "sequencer/sequencing", "sequencer/session"},
	"client/directory":      {"api", "keys", "sequencer/sequencing", "topology"},
	"cmd":                   {"*"},
	"daml":                  {}, // pure: the language and its programs know no network
	"internal":              {}, // leaf tools without domain meaning
	"keys":                  {},
	"load":                  {"api", "client", "node", "ordering", "telemetry"},
	"load/bench":            {"bft", "keys", "node", "ordering", "replica", "sandbox", "sequencer", "telemetry"}, // drives a sandbox
	"load/members":          {"api", "keys", "sequencer/sequencing", "sequencer/session", "topology"},            // load as members make it
	"node":                  {"bft", "keys", "telemetry", "topology"},
	"node/network":          {"bft", "keys", "replica/store", "topology"}, // founding makes the stores
	"ordering":              {"api"},                                      // the promise knows no backend
	"ordering/bftorder":     {"bft", "keys", "node", "replica", "telemetry"},
	"replica":               {"bft", "keys", "node", "ordering", "telemetry"}, // speaks the words of the promise that it helps to keep
	"replica/trust":         {"bft/quorum", "keys"},
	"sandbox":               {"bft", "keys", "node", "ordering", "replica", "sequencer", "telemetry"},
	"sequencer/sequencing":  {"ordering"}, // the pure state machine over the order
	"sequencer/history":     {"ordering"}, // what the state machine yields, on disk
	"sequencer/historytest": {"ordering"},
	"sequencer/membertest":  {"keys", "topology"},
	"sequencer/membership":  {"bft/quorum", "keys", "topology"}, // who is who, for the state machine
	"sequencer":             {"api", "bft", "keys", "node", "ordering", "replica", "telemetry", "topology"},
	"sidecar":               {"node", "telemetry"},
	"sidecar/event":         {},                               // the word between source, log and stream knows none of them
	"sidecar/log":           {"sidecar/event", "sidecar/log"}, // no server
	"sidecar/stream":        {"sidecar/event", "sidecar/log", "sidecar/stream"},
	"sim":                   {"bft", "keys"},
	"telemetry":             {}, // components depend on it, never the reverse
	"test":                  {"*"},
	"topology":              {"bft", "keys"}, // pure too: parameters of ordering, and signatures
}

// TestEveryPackageSaysWhatItIs: a package without a comment teaches nobody.
func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range list(t, "./...") {
		if len(p.GoFiles) > 0 && p.Doc == "" && !within("api", p.ImportPath) { // api is generated
			t.Errorf("%s has no comment", p.ImportPath)
		}
	}
}

// TestArchitectureHasALineForEachFolder keeps the map for newcomers complete, and free of folders that are gone.
func TestArchitectureHasALineForEachFolder(t *testing.T) {
	page, err := os.ReadFile("../../docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list(t, "./...") {
		folder := root(strings.TrimPrefix(p.ImportPath, module+"/"))
		if row := "\n| `" + folder + "/"; !strings.Contains(string(page), row) {
			t.Errorf("docs/ARCHITECTURE.md has no line for %s/", folder)
		}
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z/]+)/`").FindAllStringSubmatch(string(page), -1) {
		if _, err := os.Stat(filepath.Join("../..", row[1])); err != nil {
			t.Errorf("docs/ARCHITECTURE.md has a line for %s/, which is not there", row[1])
		}
	}
}

type listed struct {
	ImportPath string
	Dir        string
	Doc        string
	GoFiles    []string
	Imports    []string
	Export     string
}

// list asks the go command for packages.
func list(t *testing.T, args ...string) []listed {
	t.Helper()
	noticeChanges(t)
	cmd := exec.Command("go", append([]string{"list", "-e", "-json=ImportPath,Dir,Doc,GoFiles,Imports,Export"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	var packages []listed
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// noticeChanges reads the folders of the module, so that the go command's test cache knows what this test depends on.
func noticeChanges(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path != "../.." && strings.HasPrefix(entry.Name(), ".") {
			return fs.SkipDir
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a file may go while another test runs
		t.Fatal(err)
	}
}

func TestDependenciesPointOneWay(t *testing.T) {
	for _, p := range list(t, "./...") {
		for _, complaint := range complaints(strings.TrimPrefix(p.ImportPath, module+"/"), p.Imports) {
			t.Error(complaint)
		}
	}
}

// complaints returns what is wrong with the imports of the package in a folder.
func complaints(folder string, imports []string) []string {
	rule, home := ruleFor(folder)
	if home == "" {
		return []string{folder + ": say in mayImport what this folder may import"}
	}
	if slices.Contains(rule, "*") {
		return nil
	}
	var wrong []string
	for _, path := range imports {
		inside, ok := strings.CutPrefix(path, module+"/")
		if !ok || slices.ContainsFunc(append([]string{root(home), "internal"}, rule...), func(allowed string) bool {
			return inside == allowed || strings.HasPrefix(inside, allowed+"/")
		}) {
			continue
		}
		wrong = append(wrong, folder+" must not import "+inside)
	}
	return wrong
}

// ruleFor returns the most specific line of the table for a folder.
func ruleFor(folder string) (rule []string, home string) {
	for home = folder; ; home = home[:strings.LastIndexByte(home, '/')] {
		if rule, found := mayImport[home]; found {
			return rule, home
		}
		if !strings.Contains(home, "/") {
			return nil, ""
		}
	}
}

func root(folder string) string {
	first, _, _ := strings.Cut(folder, "/")
	return first
}

func TestComplaintsFindsEachKindOfMistake(t *testing.T) {
	for _, tc := range []struct {
		name, folder string
		imports      []string
		want         string
	}{
		{"the core imports its runtime", "bft", []string{module + "/replica"}, "bft must not import replica"},
		{"a promise imports its backend's parts", "ordering", []string{module + "/replica/store"}, "ordering must not import replica/store"},
		{"a folder of similar name is another folder", "telemetry", []string{module + "/telemetrics"}, "telemetry must not import telemetrics"},
		{"a folder without a rule", "surprise/inner", nil, "surprise/inner: say in mayImport what this folder may import"},
		{"a subfolder inherits", "node/config", []string{module + "/replica"}, "node/config must not import replica"},
		{"what is allowed", "replica/p2p", []string{"net", module + "/keys", module + "/replica/store", module + "/internal/version"}, ""},
	} {
		if got := strings.Join(complaints(tc.folder, tc.imports), "; "); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}
