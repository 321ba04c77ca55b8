package text_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/synod-network/synod/daml/engine"
	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/text"
	"github.com/synod-network/synod/daml/validate"
)

const coveragePage = "../../docs/daml-coverage.md"

// TestCoveragePage compares the page that says where each construct, builtin function, rule and error is tested with what is there:
// each has its row, and the tests that a row names exist and have it. What has no test at all fails, so nothing can be added to the
// language without one. Tests that are added do not make the page stale; with -update it is written anew.
func TestCoveragePage(t *testing.T) {
	c := readCoverage(t)
	tables := c.tables(t)
	if *update {
		if err := os.WriteFile(coveragePage, writePage(tables), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	rows := map[string][]string{} // cells, by title and first cell
	title := ""
	for line := range strings.Lines(string(read(t, coveragePage))) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "## "):
			title = line
		case strings.HasPrefix(line, "| "):
			cells := strings.Split(strings.Trim(line, "| "), " | ")
			rows[title+cells[0]] = cells
		}
	}
	for _, table := range tables {
		delete(rows, "## "+table.title+strings.Split(strings.Trim(table.head, "| "), " | ")[0])
		for _, r := range table.rows {
			key := "## " + table.title + r.cells[0]
			cells := rows[key]
			delete(rows, key)
			if len(cells) < len(r.cells) {
				t.Errorf("%s: no row for %s", table.title, r.cells[0])
				continue
			}
			if !slices.Equal(cells[:len(r.cells)], r.cells) {
				t.Errorf("%s, %s: the page says %q, it is %q", table.title, r.cells[0], cells[:len(r.cells)], r.cells)
			}
			if len(cells) == len(r.cells) {
				if len(r.tests) > 0 {
					t.Errorf("%s, %s: the page names no test", table.title, r.cells[0])
				}
				continue
			}
			for named := range strings.SplitSeq(cells[len(cells)-1], ", ") {
				if named != "…" && !slices.Contains(r.tests, named) {
					t.Errorf("%s: %s is no longer in %s", table.title, r.cells[0], named)
				}
			}
		}
	}
	for _, stale := range rows {
		t.Errorf("the page has a row for %s, which is not there any more", stale[0])
	}
	if t.Failed() {
		t.Log("write the page anew: go test ./daml/text -run TestCoveragePage -update")
	}
}

// table is a table of the page.
type table struct {
	title, text, head string
	rows              []row
}

// row has the cells of a row, and the tests for its last.
type row struct {
	cells, tests []string
}

func writePage(tables []table) []byte {
	var b bytes.Buffer
	b.WriteString(`# Where the Daml engine is tested

` + "`TestCoveragePage`" + ` keeps this page complete and true; ` + "`go test ./daml/text -run TestCoveragePage -update`" + ` writes it.
[daml.md](daml.md) describes the language, [daml-engine.md](daml-engine.md) the engine and what else is tested.
`)
	title := ""
	for _, table := range tables {
		if table.title != title {
			title = table.title
			fmt.Fprintf(&b, "\n## %s\n\n", title)
			if table.text != "" {
				b.WriteString(table.text + "\n\n")
			}
		}
		b.WriteString(table.head + "\n|" + strings.Repeat("---|", strings.Count(table.head, "|")-1) + "\n")
		for _, r := range table.rows {
			fmt.Fprintf(&b, "| %s | %s |\n", strings.Join(r.cells, " | "), few(r.tests))
		}
	}
	return b.Bytes()
}

// few shortens a list.
func few(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + ", …"
}

// coverage is what tests use.
type coverage struct {
	corpus map[string][]string // files of the corpus that a construct is in
	runs   map[string][]string // sources that are run and have a construct
	words  map[string][]string // tests, by the words in their source and stories
	tests  map[string]bool     // all test functions
}

// runners says which test runs the sources of a folder.
var runners = []struct{ pattern, test string }{
	{"../script/testdata/*.txtar", "TestStories"},
	{"../engine/testdata/sound*.lf", "TestTheWorldWorks"},
	{"../engine/testdata/order*.lf", "TestOrderOfEvaluation"},
	{"../../examples/iou/*.lf", "TestIouExample"},
	{"../../examples/paint/*.lf", "TestPaintExample"},
}

func readCoverage(t *testing.T) *coverage {
	t.Helper()
	c := &coverage{corpus: map[string][]string{}, runs: map[string][]string{}, words: map[string][]string{}, tests: map[string]bool{}}
	for _, path := range glob(t, "testdata/*.lf") {
		c.note(t, c.corpus, path, string(read(t, path)), filepath.Base(path))
	}
	c.readTests(t)
	for _, r := range runners {
		if !c.tests[r.test] {
			t.Errorf("there is no test %s", r.test)
		}
		for _, path := range glob(t, r.pattern) {
			where := fmt.Sprintf("`%s` (`%s`)", r.test, filepath.Base(path))
			if filepath.Ext(path) == ".lf" {
				c.note(t, c.runs, path, string(read(t, path)), where)
				continue
			}
			for _, f := range txtar.Parse(read(t, path)).Files {
				if filepath.Ext(f.Name) == ".lf" {
					c.note(t, c.runs, path, string(f.Data), where)
				}
			}
		}
	}
	return c
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("nothing at %s: %v", pattern, err)
	}
	return paths
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// note notes what a source has: the types of its nodes, and the builtins among them by name.
func (c *coverage) note(t *testing.T, into map[string][]string, path, source, where string) {
	t.Helper()
	source = strings.NewReplacer("$LANGUAGE", "2.3", "$VERSION", "1.0.0", "$TAG", "", "$SIG", "sig", "$MORE", "", "$NONE", "", "$QUERY", "",
		"$KEY", "", "Tuple2 ", "DA.Types:Tuple2 ").Replace(strings.ReplaceAll(source, ":Tuple2 ", ":TupleOf2 "))
	pkg, err := text.Parse(source)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	for name := range nodes(pkg) {
		if !slices.Contains(into[name], where) {
			into[name] = append(into[name], where)
		}
	}
}

// nodes lists the names of the types of a package's parts, and of builtins.
func nodes(pkg *lf.Package) map[string]bool {
	seen := map[reflect.Type]bool{}
	walk(reflect.ValueOf(pkg), seen)
	found := map[string]bool{}
	for ty := range seen {
		if ty.PkgPath() == reflect.TypeFor[lf.Package]().PkgPath() {
			found[ty.Name()] = true
		}
	}
	var visit func(v reflect.Value)
	visit = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				visit(v.Elem())
			}
		case reflect.Slice:
			for i := range v.Len() {
				visit(v.Index(i))
			}
		case reflect.Struct:
			switch x := v.Interface().(type) {
			case lf.BuiltinFun:
				found[x.Fun.String()] = true
			case lf.TypeBuiltin:
				found["type "+x.Builtin.String()] = true
			}
			for i := range v.NumField() {
				visit(v.Field(i))
			}
		}
	}
	visit(reflect.ValueOf(pkg))
	return found
}

var word = regexp.MustCompile(`[A-Za-z_][A-Za-z_0-9]*`)

// readTests reads the sources of all tests of the folders of the language, and the stories, and notes each test's words.
func (c *coverage) readTests(t *testing.T) {
	t.Helper()
	note := func(test, source string) {
		for _, w := range word.FindAllString(source, -1) {
			if !slices.Contains(c.words[w], test) {
				c.words[w] = append(c.words[w], test)
			}
		}
	}
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if filepath.Ext(path) == ".txtar" {
			note(fmt.Sprintf("`TestStories` (`%s`)", filepath.Base(path)), string(read(t, path)))
		}
		if !strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "coverage_test.go") {
			return nil
		}
		source := read(t, path)
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, source, 0)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil {
				continue
			}
			if name := f.Name.Name; strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz") {
				c.tests[name] = true
				note("`"+name+"`", string(source[files.Position(f.Pos()).Offset:files.Position(f.End()).Offset]))
			}
		}
		// Tables of tests that stand in functions of their own.
		if strings.Contains(string(source), "func orderRows(") {
			note("`TestOrderOfEvaluation`", string(source))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// declared lists the constructs of package lf: the types that have one of the methods which mark them.
func declared(t *testing.T) map[string][]string {
	t.Helper()
	marks := map[string]string{
		"kind": "Kinds", "typ": "Types", "expr": "Expressions", "update": "Updates", "pattern": "Patterns", "dataCons": "Data types",
	}
	unstable := []string{"LitRoundingMode", "ChoiceController", "ChoiceObserver", "Experimental"} // 2.dev
	found := map[string][]string{}
	eachFile(t, "../lf", func(file *ast.File) {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || marks[f.Name.Name] == "" || f.Type.Results != nil {
				continue
			}
			ty := f.Recv.List[0].Type
			if star, ok := ty.(*ast.StarExpr); ok {
				ty = star.X
			}
			name := ty.(*ast.Ident).Name
			group := marks[f.Name.Name]
			if slices.Contains(unstable, name) {
				continue
			}
			found[group] = append(found[group], name)
		}
	})
	for _, update := range found["Updates"] { // which are expressions too
		found["Expressions"] = slices.DeleteFunc(found["Expressions"], func(e string) bool { return e == update })
	}
	found["Definitions"] = []string{"TypeSynonym", "Value", "Template", "Key", "Choice", "Implementation", "Method", "Interface", "MethodType", "Exception"}
	return found
}

func eachFile(t *testing.T, folder string, do func(*ast.File)) {
	t.Helper()
	for _, path := range glob(t, folder+"/*.go") {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		do(file)
	}
}

// constants lists the string constants of a type: their names, values and comments.
func constants(t *testing.T, folder, ofType string) (all [][3]string) {
	t.Helper()
	eachFile(t, folder, func(file *ast.File) {
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				v := s.(*ast.ValueSpec)
				if ty, ok := v.Type.(*ast.Ident); ok && ty.Name == ofType {
					all = append(all, [3]string{v.Names[0].Name, strings.Trim(v.Values[0].(*ast.BasicLit).Value, `"`), strings.TrimSpace(v.Comment.Text())})
				}
			}
		}
	})
	return all
}

func (c *coverage) tables(t *testing.T) []table {
	t.Helper()
	var tables []table
	groups := declared(t)
	for _, group := range []string{"Kinds", "Types", "Data types", "Definitions", "Patterns", "Expressions", "Updates"} {
		of := table{title: group, head: "| " + group + " | In the corpus | Runs in |"}
		if group == "Kinds" {
			of.text = "What is below is a type of `daml/lf`. All of the corpus (`daml/text/testdata`) goes through text and archive and back\n" +
				"(`TestTextSurvivesTheArchive`) and is validated (`TestTheCorpusIsValid`)."
		}
		for _, name := range slices.Sorted(slices.Values(groups[group])) {
			if len(c.corpus[name]) == 0 {
				t.Errorf("%s is not in the corpus", name)
			}
			if len(c.runs[name]) == 0 && !typesOnly[name] {
				t.Errorf("no test runs %s", name)
			}
			of.rows = append(of.rows, row{[]string{name, code(c.corpus[name])}, c.runs[name]})
		}
		tables = append(tables, of)
	}
	return append(tables, c.functions(t), c.rules(t), c.upgradeRules(t), c.errors(t))
}

// typesOnly are erased before anything runs, and need not stand in what is run.
var typesOnly = map[string]bool{"KindArrow": true, "KindNat": true, "TypeSyn": true, "TypeSynonym": true, "TypeNat": true, "KindStar": true, "Located": true}

func (c *coverage) functions(t *testing.T) table {
	of := table{title: "Builtin functions", head: "| Function | Since | Results in |", text: "`TestEveryBuiltinHasAType` compares the type of each."}
	for _, f := range lf.Functions() {
		if f.Since() == lf.V2_Dev {
			continue
		}
		results := slices.DeleteFunc(slices.Clone(c.words[f.String()]), func(test string) bool {
			return test != "`TestBuiltins`" && test != "`TestSecp256k1`"
		})
		if len(results) == 0 {
			t.Errorf("no test has results of %s", f)
		}
		of.rows = append(of.rows, row{[]string{f.String(), f.Since().String()}, results})
	}
	return of
}

func (c *coverage) rules(t *testing.T) table {
	of := table{title: "Rules of validation", head: "| Rule | What breaks it | Broken in |"}
	for _, r := range constants(t, "../validate", "Rule") {
		of.rows = append(of.rows, row{[]string{"`" + r[1] + "`", r[2]}, c.need(t, r[0])})
	}
	return of
}

func (c *coverage) upgradeRules(t *testing.T) table {
	of := table{title: "Rules of upgrades", head: "| Rule | What must be | Who checks | Broken in |", text: "An error has the path to what breaks a rule, " +
		"what was and what is, such as\n`module M, data type R: field b had type Text and has now Int64 [field-type]`.\n" +
		"What breaks an advisory rule is told by `synod daml check --upgrades`; ledgers let it pass at upload."}
	for _, r := range constants(t, "../validate", "UpgradeRule") {
		who := "ledgers"
		if validate.UpgradeRule(r[1]).Advisory() {
			who = "advisory"
		}
		of.rows = append(of.rows, row{[]string{"`" + r[1] + "`", r[2], who}, c.need(t, r[0])})
	}
	return of
}

func (c *coverage) errors(t *testing.T) table {
	of := table{title: "Errors of the ledger", head: "| Code | Category | Raised in |"}
	for _, code := range slices.Sorted(maps.Keys(engine.Categories)) {
		of.rows = append(of.rows, row{[]string{"`" + code + "`", fmt.Sprint(engine.Categories[code])}, c.need(t, code)})
	}
	return of
}

// need lists the tests that have a word in their source.
func (c *coverage) need(t *testing.T, word string) []string {
	t.Helper()
	if len(c.words[word]) == 0 {
		t.Errorf("no test has %s", word)
	}
	return slices.Sorted(slices.Values(c.words[word]))
}

func code(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = "`" + n + "`"
	}
	return strings.Join(quoted, ", ")
}
