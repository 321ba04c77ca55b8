package script_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/synod-network/synod/daml/archive"
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
			told := prepare(t, story)
			got, err := told.tell(t.Context(), newEngine(), nil)
			if err != nil {
				t.Fatal(err)
			}
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
				again, err := told.tell(t.Context(), newEngine(), folder)
				if err != nil || !bytes.Equal(again, got) {
					t.Errorf("with packages %s: %v, got:\n%s", when, err, again)
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

func newEngine() *engine.Engine { return engine.New(engine.DefaultLimits()) }

// telling is a story that can be told: its packages are assembled.
type telling struct {
	dars   []*archive.DAR
	ids    []string // of their main packages
	script *script.Script
	pv34   bool
}

// prepare assembles the packages of a story. Its comment may set "pv34".
func prepare(t *testing.T, story *txtar.Archive) *telling {
	t.Helper()
	p := &telling{pv34: strings.Contains(string(story.Comment), "pv34")}
	for _, f := range story.Files {
		source := string(f.Data)
		var err error
		switch {
		case strings.HasSuffix(f.Name, ".lf"):
			for i, id := range p.ids { // packages may name those before by position
				source = strings.ReplaceAll(source, "'package-"+string(rune('1'+i))+"'", "'"+id+"'")
			}
			var dar *archive.DAR
			if dar, err = text.Assemble(source, nil); err == nil {
				p.dars, p.ids = append(p.dars, dar), append(p.ids, string(dar.Main().ID))
			}
		case f.Name == "script.json":
			for i, id := range p.ids {
				source = strings.ReplaceAll(source, "package-"+string(rune('1'+i))+":", id+":")
			}
			p.script, err = script.Parse([]byte(source))
		}
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
	}
	return p
}

// tell runs a story on a ledger of its own, and returns what it prints. The cache may be nil.
func (p *telling) tell(ctx context.Context, e *engine.Engine, folder engine.Cache) ([]byte, error) {
	l := ledger.New(e)
	l.Cache = folder
	if p.pv34 {
		l.Rollback = tx.EffectsRollBack
	}
	var main *lf.Package
	for _, dar := range p.dars {
		pkg, err := l.Upload(dar)
		if err != nil {
			return nil, err
		}
		if main == nil {
			main = pkg
		}
	}
	var out bytes.Buffer
	printer := &script.Printer{Out: &out, Parties: true}
	runner := &script.Runner{Ledger: l, Main: main}
	if err := runner.Run(ctx, p.script, printer.Outcome); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out.String())
	}
	shown := out.String()
	for i, id := range p.ids {
		shown = strings.ReplaceAll(shown, id, "package-"+string(rune('1'+i)))
	}
	return []byte(shown), nil
}
