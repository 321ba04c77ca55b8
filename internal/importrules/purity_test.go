package importrules_test

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The whole behaviour of a pure folder is a function of its inputs, so that a network of engines replays from a seed, and all
// nodes judge alike. What could break that cannot be imported, and what could break it without an import is found in the syntax.
var pureFolders = map[string][]string{ // with the other packages of the module that each may import
	"bft":                  {"internal/canon"},
	"internal/canon":       {},
	"sequencer/sequencing": {"internal/canon", "ordering"}, // the blocks of the promise
	"replica/trust":        {"bft/quorum", "keys"},         // each node judges for itself, and yet by nothing but what it is told
	"topology":             {"bft", "internal/canon", "keys"},
}

// pureOf lists what pure folders may use of a folder that is not pure as a whole.
var pureOf = map[string][]string{
	"keys": {"Compare", "Fingerprint", "Public", "SignDomain", "Signed", "Signs", "String", "Valid", "VerifyDomain", "ParseFingerprint"},
}

var pureImports = []string{
	"bytes", "cmp", "container/heap", "crypto/sha256", "encoding/binary", "encoding/hex", "errors", "fmt", "hash", "iter",
	"maps", "math", "math/bits", "slices", "sort", "strconv", "strings",
}

// unorderedMark justifies a range over a map whose order cannot reach a result: "//bft:unordered <why>", on the line or above.
const unorderedMark = "//bft:unordered "

func TestPureFoldersArePure(t *testing.T) {
	for folder, others := range pureFolders {
		t.Run(folder, func(t *testing.T) { checkPure(t, folder, others) })
	}
}

func checkPure(t *testing.T, folder string, others []string) {
	t.Helper()
	packages := list(t, "-deps", "-export", "./"+folder+"/...")
	exports := map[string]string{}
	for _, p := range packages {
		exports[p.ImportPath] = p.Export
	}
	checked := 0
	for _, p := range packages {
		if !within(folder, p.ImportPath) {
			continue
		}
		var files []string
		for _, name := range p.GoFiles {
			files = append(files, filepath.Join(p.Dir, name))
		}
		found, err := impurities(p.ImportPath, files, exports, folder, others)
		if err != nil {
			t.Fatal(err)
		}
		for _, impurity := range found {
			t.Error(folder + "/" + impurity)
		}
		checked++
	}
	if checked == 0 {
		t.Fatalf("found no package in %s", folder)
	}
}

// within reports whether a package lies in a folder of the module.
func within(folder, path string) bool {
	return path == module+"/"+folder || strings.HasPrefix(path, module+"/"+folder+"/")
}

// impurities type-checks the files of one package and returns what makes it depend on more than its inputs.
func impurities(path string, files []string, exports map[string]string, home string, others []string) ([]string, error) {
	fset := token.NewFileSet()
	var parsed []*ast.File
	for _, name := range files {
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, file)
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	config := types.Config{Importer: importer.ForCompiler(fset, "gc", lookup)}
	if _, err := config.Check(path, fset, parsed, info); err != nil {
		return nil, fmt.Errorf("type-check %s: %w", path, err)
	}
	var found []string
	for _, file := range parsed {
		found = append(found, impuritiesOf(fset, file, info, home, others)...)
	}
	return found, nil
}

func impuritiesOf(fset *token.FileSet, file *ast.File, info *types.Info, home string, others []string) []string {
	var found []string
	report := func(node ast.Node, what string) {
		at := fset.Position(node.Pos())
		found = append(found, fmt.Sprintf("%s:%d: %s", filepath.Base(at.Filename), at.Line, what))
	}
	justified := markedLines(fset, file)
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.ImportSpec:
			path := strings.Trim(node.Path.Value, `"`)
			if !slices.Contains(pureImports, path) && !within(home, path) && !slices.Contains(others, strings.TrimPrefix(path, module+"/")) {
				report(node, "imports "+path)
			}
		case *ast.GoStmt:
			report(node, "starts a goroutine")
		case *ast.SelectStmt:
			report(node, "selects")
		case *ast.ChanType:
			report(node, "uses a channel")
		case *ast.RangeStmt:
			line := fset.Position(node.Pos()).Line
			if isMap(info.TypeOf(node.X)) && !justified[line] && !justified[line-1] {
				report(node, "ranges over a map; iterate over sorted keys, or justify with "+unorderedMark+"<why>")
			}
		case *ast.SelectorExpr:
			object := info.Uses[node.Sel]
			if impure(object) {
				report(node, "uses "+object.Name()+" of "+object.Pkg().Path()+", which is not listed as pure")
			}
			if object != nil && isMapIteration(object) && !sortedAt(node, file) {
				line := fset.Position(node.Pos()).Line
				if !justified[line] && !justified[line-1] {
					report(node, "iterates over a map with maps."+object.Name()+"; wrap it in slices.Sorted")
				}
			}
		}
		return true
	})
	return found
}

func isMap(t types.Type) bool {
	if t == nil {
		return false
	}
	_, is := t.Underlying().(*types.Map)
	return is
}

func isMapIteration(object types.Object) bool {
	return object.Pkg() != nil && object.Pkg().Path() == "maps" && slices.Contains([]string{"Keys", "Values", "All"}, object.Name())
}

// impure reports whether a function or method belongs to a folder of which only some are pure, and is none of them.
func impure(object types.Object) bool {
	if _, is := object.(*types.Func); !is || object.Pkg() == nil {
		return false
	}
	allowed, partly := pureOf[strings.TrimPrefix(object.Pkg().Path(), module+"/")]
	return partly && !slices.Contains(allowed, object.Name())
}

// sortedAt reports whether the function that selector names is called right inside slices.Sorted or a sibling.
func sortedAt(selector *ast.SelectorExpr, file *ast.File) bool {
	sorted := false
	ast.Inspect(file, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		name, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !strings.HasPrefix(name.Sel.Name, "Sorted") {
			return true
		}
		if inner, ok := call.Args[0].(*ast.CallExpr); ok && inner.Fun == ast.Expr(selector) {
			sorted = true
		}
		return true
	})
	return sorted
}

func markedLines(fset *token.FileSet, file *ast.File) map[int]bool {
	lines := map[int]bool{}
	for _, group := range file.Comments {
		for _, comment := range group.List {
			if why, found := strings.CutPrefix(comment.Text, unorderedMark); found && strings.TrimSpace(why) != "" {
				lines[fset.Position(comment.Pos()).Line] = true
			}
		}
	}
	return lines
}

func TestImpuritiesFindsEachKind(t *testing.T) {
	exports := map[string]string{}
	for _, p := range list(t, "-deps", "-export", "time", "maps", "slices", module+"/keys") {
		exports[p.ImportPath] = p.Export
	}
	found, err := impurities("impure", []string{"testdata/impure.go"}, exports, "impure", []string{"keys"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"impure.go:7: imports time",
		"impure.go:13: uses a channel",
		"impure.go:14: starts a goroutine",
		"impure.go:15: selects",
		"impure.go:19: ranges over a map",
		"impure.go:22: ranges over a map", // the mark gives no reason
		"impure.go:29: iterates over a map with maps.Keys",
		"impure.go:39: uses Load of github.com/synod-network/synod/keys",
		"impure.go:40: uses Sign of github.com/synod-network/synod/keys",
	}
	if len(found) != len(want) {
		t.Fatalf("found %d, want %d:\n%s", len(found), len(want), strings.Join(found, "\n"))
	}
	for i, w := range want {
		if !strings.HasPrefix(found[i], w) {
			t.Errorf("found %q, want %q", found[i], w)
		}
	}
}
