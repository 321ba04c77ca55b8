package importrules_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Whoever connects to another machine or is connected to bounds how long it waits for one that says nothing.

// madeElsewhere are functions of libraries that make what has no bounds yet, and by whom to call them instead.
var madeElsewhere = map[string]string{
	"google.golang.org/grpc.NewClient":   "internal/grpclink",
	"google.golang.org/grpc.Dial":        "internal/grpclink",
	"google.golang.org/grpc.DialContext": "internal/grpclink",
	"google.golang.org/grpc.NewServer":   "internal/grpclink",
	"net/http.ListenAndServe":            "a bounded http.Server",
	"net/http.ListenAndServeTLS":         "a bounded http.Server",
	"net/http.Serve":                     "a bounded http.Server",
	"net/http.ServeTLS":                  "a bounded http.Server",
}

// bounds are the fields that each http.Server must name. A server of endless answers says so by a zero.
var bounds = []string{"ReadHeaderTimeout", "ReadTimeout", "WriteTimeout", "IdleTimeout", "MaxHeaderBytes"}

func TestEveryEndIsBounded(t *testing.T) {
	servers := 0
	for _, p := range list(t, "./...") {
		if within("internal/grpclink", p.ImportPath) {
			continue
		}
		for _, name := range p.GoFiles {
			found, n, err := unbounded(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			for _, what := range found {
				t.Errorf("%s/%s", strings.TrimPrefix(p.ImportPath, module+"/"), what)
			}
			servers += n
		}
	}
	if servers == 0 {
		t.Error("no http.Server was found")
	}
}

// unbounded is what a file makes that may wait for ever, and how many HTTP servers it makes.
func unbounded(name string) (found []string, servers int, err error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, nil, 0)
	if err != nil {
		return nil, 0, err
	}
	packages := map[string]string{} // by the name in this file
	for _, spec := range file.Imports {
		path := strings.Trim(spec.Path.Value, `"`)
		local := filepath.Base(path)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		packages[local] = path
	}
	named := func(e ast.Expr) string {
		selector, ok := e.(*ast.SelectorExpr)
		if !ok {
			return ""
		}
		if local, ok := selector.X.(*ast.Ident); ok && packages[local.Name] != "" {
			return packages[local.Name] + "." + selector.Sel.Name
		}
		return ""
	}
	report := func(node ast.Node, format string, args ...any) {
		at := fset.Position(node.Pos())
		found = append(found, fmt.Sprintf("%s:%d: ", filepath.Base(at.Filename), at.Line)+fmt.Sprintf(format, args...))
	}
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.SelectorExpr:
			if by := madeElsewhere[named(node)]; by != "" {
				report(node, "uses %s; use %s", named(node), by)
			}
		case *ast.ValueSpec:
			if node.Type != nil && named(node.Type) == "net/http.Server" {
				report(node, "a zero http.Server")
			}
		case *ast.CallExpr:
			if id, ok := node.Fun.(*ast.Ident); ok && id.Name == "new" && named(node.Args[0]) == "net/http.Server" {
				report(node, "a zero http.Server")
			}
		case *ast.CompositeLit:
			if node.Type == nil || named(node.Type) != "net/http.Server" {
				break
			}
			servers++
			missing := slices.Clone(bounds)
			for _, element := range node.Elts {
				if pair, ok := element.(*ast.KeyValueExpr); ok {
					missing = slices.DeleteFunc(missing, func(field string) bool { return field == pair.Key.(*ast.Ident).Name })
				}
			}
			if len(missing) > 0 {
				report(node, "an http.Server without %s", strings.Join(missing, ", "))
			}
		}
		return true
	})
	return found, servers, nil
}

func TestUnboundedFindsEachKind(t *testing.T) {
	found, servers, err := unbounded("testdata/unbounded.go")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"unbounded.go:11: a zero http.Server",
		"unbounded.go:14: an http.Server without ReadTimeout, WriteTimeout, IdleTimeout, MaxHeaderBytes",
		"unbounded.go:16: a zero http.Server",
		"unbounded.go:17: uses net/http.ListenAndServe; use a bounded http.Server",
		"unbounded.go:18: uses google.golang.org/grpc.NewServer; use internal/grpclink",
	}
	if !slices.Equal(found, want) || servers != 2 {
		t.Errorf("%d servers, found\n%s", servers, strings.Join(found, "\n"))
	}
}
