package inspect_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/inspect"
	"github.com/synod-network/synod/daml/text"
)

// assemble writes a DAR of a file in examples and gives its path.
func assemble(t *testing.T, name string, deps ...string) (string, *archive.DAR) {
	t.Helper()
	src, err := os.ReadFile("../../examples/" + name)
	if err != nil {
		t.Fatal(err)
	}
	dar, err := text.Assemble(string(src), deps)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	path := filepath.Join(t.TempDir(), "x.dar")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := dar.Write(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path, dar
}

// TestExamplesAreValid assembles and checks what examples/ shows.
func TestExamplesAreValid(t *testing.T) {
	iou, dar := assemble(t, "iou/iou.lf")
	_, paint := assemble(t, "paint/paint.lf", iou)
	for _, d := range []*archive.DAR{dar, paint} {
		var b bytes.Buffer
		r := inspect.Check(d, archive.Limits{}, nil)
		if err := r.Print(&b); err != nil {
			t.Fatal(err)
		}
		if !r.OK {
			t.Error(b.String())
		}
	}
	var b bytes.Buffer
	if err := inspect.Archives(paint, archive.Limits{}).Print(&b, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"template Paint:OfferToPaintHouseByPainter", "choice AcceptByOwner: Paint:AcceptByOwner → ContractId Iou:Iou",
		"template Iou:Iou", "amount: Iou:Amount", "choice Transfer: Iou:Transfer → ContractId Iou:Iou",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
}

// TestBrokenPackagesAreShown describes a DAR one package of which cannot be decoded.
func TestBrokenPackagesAreShown(t *testing.T) {
	_, dar := assemble(t, "iou/iou.lf")
	dar.Packages = append(dar.Packages, archive.NewArchive([]byte("?")))
	var b bytes.Buffer
	if err := inspect.Archives(dar, archive.Limits{}).Print(&b, false); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "template Iou:Iou") || !strings.Contains(b.String(), "field 7 has wire type 7") {
		t.Error(b.String())
	}
	r := inspect.Check(dar, archive.Limits{}, nil)
	if r.OK || r.Verdict() != "1 fault" || r.Packages[len(r.Packages)-1].Faults[0].Rule != "encoding" {
		t.Errorf("got %+v", r)
	}
}
