package script_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/synod-network/synod/daml/cache"
	"github.com/synod-network/synod/daml/engine"
	"github.com/synod-network/synod/daml/ledger"
	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/script"
	"github.com/synod-network/synod/daml/text"
	"github.com/synod-network/synod/daml/tx"
)

var rewrite = flag.Bool("rewrite", false, "write what the stories print into their files")

// TestStories runs scripts on packages written in LF text, and compares what they print. Each story is a file with packages (*.lf),
// a script (script.json) and the output (want). Reviewing a change of behaviour is reviewing the change of these files.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories", err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			story, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := tell(t, story, nil)
			want := -1
			for i, f := range story.Files {
				if f.Name == "want" {
					want = i
				}
			}
			if *rewrite {
				if want < 0 {
					story.Files = append(story.Files, txtar.File{Name: "want"})
					want = len(story.Files) - 1
				}
				story.Files[want].Data = got
				if err := os.WriteFile(path, txtar.Format(story), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if want < 0 || !bytes.Equal(story.Files[want].Data, got) {
				t.Errorf("got:\n%s", got)
			}
			folder := openCache(t, t.TempDir())
			for _, when := range []string{"just compiled", "compiled before"} {
				if again := tell(t, story, folder); !bytes.Equal(again, got) {
					t.Errorf("with packages %s, got:\n%s", when, again)
				}
			}
			if s := folder.Stats(); s.Hits == 0 || s.Hits != s.Misses || s.Written != s.Misses || s.Rejected+s.Failed > 0 {
				t.Errorf("told twice, the cache says %+v", s)
			}
		})
	}
}

func openCache(t testing.TB, dir string) *cache.Cache {
	t.Helper()
	c, err := cache.Open(dir, cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tell runs a story. Its comment may set "pv34". The cache may be nil.
func tell(t *testing.T, story *txtar.Archive, folder *cache.Cache) []byte {
	l := ledger.New(engine.New(engine.DefaultLimits()))
	if folder != nil {
		l.Cache = folder
	}
	if strings.Contains(string(story.Comment), "pv34") {
		l.Rollback = tx.EffectsRollBack
	}
	var main *lf.Package
	var steps *script.Script
	ids := []string{}
	for _, f := range story.Files {
		switch {
		case strings.HasSuffix(f.Name, ".lf"):
			source := string(f.Data)
			for i, id := range ids { // packages may name those before by position
				source = strings.ReplaceAll(source, "'package-"+string(rune('1'+i))+"'", "'"+id+"'")
			}
			dar, err := text.Assemble(source, nil)
			if err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
			pkg, err := l.Upload(dar)
			if err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
			ids = append(ids, string(pkg.ID))
			if main == nil {
				main = pkg
			}
		case f.Name == "script.json":
			source := string(f.Data)
			for i, id := range ids {
				source = strings.ReplaceAll(source, "package-"+string(rune('1'+i))+":", id+":")
			}
			var err error
			if steps, err = script.Parse([]byte(source)); err != nil {
				t.Fatal(err)
			}
		}
	}
	var out bytes.Buffer
	printer := &script.Printer{Out: &out, Parties: true}
	runner := &script.Runner{Ledger: l, Main: main}
	if err := runner.Run(t.Context(), steps, printer.Outcome); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
	shown := out.String()
	for i, id := range ids {
		shown = strings.ReplaceAll(shown, id, "package-"+string(rune('1'+i)))
	}
	return []byte(shown)
}
