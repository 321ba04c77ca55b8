package log

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/synod-network/synod/sidecar/event"
)

func sample(seq event.Seq, body string) *Entry {
	e := &Entry{Numbered: event.Numbered{Seq: seq, InForce: "1.5.3"}, Fixed: true}
	e.Kind, e.Tag, e.Body, e.ID, e.HasID = event.Unknown, "Fork", []byte(body), uint32(seq), true
	e.Origin = event.Origin{Node: "n", Filter: event.FilterMain}
	e.Received = time.UnixMicro(1_700_000_000_000_000).UTC()
	return e
}

// brokenFile fails as disks do: the write may be cut short, and nothing says how much of it is there.
type brokenFile struct {
	spoolFile
	fail *bool
}

func (f brokenFile) WriteAt(data []byte, at int64) (int, error) {
	if *f.fail {
		n, _ := f.spoolFile.WriteAt(data[:len(data)/2], at)
		return n, errors.New("no space left on device")
	}
	return f.spoolFile.WriteAt(data, at)
}

func TestSpoolOutlivesAFailedWrite(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenSpool(dir, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	fail := false
	s.open = func(path string) (spoolFile, error) {
		file, err := openSpoolFile(path)
		return brokenFile{file, &fail}, err
	}
	for seq := range event.Seq(5) {
		fail = seq == 2
		if err := s.Append([]*Entry{sample(seq, "1")}); (err != nil) != fail {
			t.Fatalf("append %d: %v", seq, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err = OpenSpool(dir, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var got []event.Seq
	if err := s.Recover(func(e *Entry) bool { got = append(got, e.Seq); return true }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != "[0 1 3 4]" {
		t.Errorf("recovered %v", got)
	}
}

// TestSpoolOfAFullDiskDoesNotGrow: it is tried again each second, for as long as the disk is full.
func TestSpoolOfAFullDiskDoesNotGrow(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenSpool(dir, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	fail := false
	s.open = func(path string) (spoolFile, error) {
		file, err := openSpoolFile(path)
		return brokenFile{file, &fail}, err
	}
	for _, kept := range []int{0, 1} { // files
		fail = true
		for range 20 {
			if err := s.Append([]*Entry{sample(7, "1")}); err == nil {
				t.Fatal("appended to a full disk")
			}
		}
		if files, err := os.ReadDir(dir); err != nil || len(files) != kept || len(s.segments) != kept {
			t.Errorf("%d files, %d segments instead of %d, %v", len(files), len(s.segments), kept, err)
		}
		fail = false
		if err := s.Append([]*Entry{sample(8, "1")}); err != nil {
			t.Error(err)
		}
	}
	if events, _ := s.Size(); events != 2 {
		t.Errorf("%d events", events)
	}
}

func TestSpoolUsesSeveralFiles(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenSpool(dir, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	large := string(make([]byte, 6<<20))
	for seq := range event.Seq(8) {
		if err := s.Append([]*Entry{sample(seq, large)}); err != nil {
			t.Fatal(err)
		}
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.spool"))
	if len(files) != 3 {
		t.Errorf("%d files", len(files))
	}
	for seq := event.Seq(0); seq < 8; {
		group, records, err := s.Peek(100, 10<<20)
		if err != nil || len(group) == 0 || group[0].Seq != seq {
			t.Fatalf("at %d: %d, %v", seq, len(group), err)
		}
		seq += event.Seq(len(group))
		if err := s.Drop(records); err != nil {
			t.Fatal(err)
		}
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("%d files are left", len(files))
	}
	if events, bytes := s.Size(); events != 0 || bytes != 0 {
		t.Errorf("%d events, %d bytes", events, bytes)
	}
}

// A path may hold what means something in patterns.
func TestSpoolInAFolderOfAnyName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "[node] *?")
	s, err := OpenSpool(dir, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Append([]*Entry{sample(7, "{}")}); err != nil {
		t.Fatal(err)
	}
	if s, err = OpenSpool(dir, 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := s.Recover(func(*Entry) bool { return true }); err != nil {
		t.Fatal(err)
	}
	if events, _ := s.Size(); events != 1 {
		t.Errorf("%d events after a restart, want 1", events)
	}
}

func FuzzDecodeEntries(f *testing.F) {
	f.Add(encodeEntries(nil, []*Entry{sample(1, `{"a":1}`), sample(2, "")}))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := decodeEntries(data)
		if err != nil {
			return
		}
		again, err := decodeEntries(encodeEntries(nil, entries))
		if err != nil || len(again) != len(entries) {
			t.Fatalf("%d entries became %d, %v", len(entries), len(again), err)
		}
		for i := range entries {
			a, b := entries[i], again[i]
			if a.Seq != b.Seq || a.ID != b.ID || string(a.Body) != string(b.Body) || (a.Body == nil) != (b.Body == nil) || a.Origin != b.Origin || !a.Received.Equal(b.Received) || a.Fixed != b.Fixed {
				t.Fatalf("%+v became %+v", a, b)
			}
		}
	})
}
