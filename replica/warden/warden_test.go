package warden_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/replica/trust"
	"github.com/synod-network/synod/replica/warden"
)

var network = [32]byte{'t'}

func key(i byte) keys.PrivateKey { return keys.FromSeed([32]byte{i}) }

func peer(i byte) keys.PublicKey { return key(i).Public() }

// clock is both of a node's clocks, set by a test.
type clock struct {
	wall   time.Time
	passed time.Duration
}

func (c *clock) sleep(d time.Duration) { c.wall, c.passed = c.wall.Add(d), c.passed+d }

func open(t *testing.T, path string, c *clock, log *bytes.Buffer) *warden.Warden {
	t.Helper()
	w, err := warden.Open(warden.Config{
		Key: key(0), Network: network, Path: path, Names: func() map[keys.PublicKey]string {
			return map[keys.PublicKey]string{peer(1): "one", peer(2): "two", peer(4): "twin", peer(5): "twin"}
		},
		Log: slog.New(slog.NewTextHandler(log, nil)),
		Now: func() time.Time { return c.wall }, Passed: func() time.Duration { return c.passed },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.SetMembers([]keys.PublicKey{peer(0), peer(1), peer(2), peer(3)})
	for i := byte(1); i < 4; i++ {
		w.SetLinked(peer(i), true)
	}
	return w
}

// stop is an orderly end.
func stop(t *testing.T, w *warden.Warden) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

func opinion(w *warden.Warden, p keys.PublicKey) trust.Opinion {
	for _, o := range w.Report().Peers {
		if o.Peer == p {
			return o
		}
	}
	return trust.Opinion{Peer: p}
}

func start() *clock { return &clock{wall: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

// A restart changes nothing: bans, scores and proofs go on, and the time away counts.
func TestStateSurvivesARestart(t *testing.T) {
	path, c, log := filepath.Join(t.TempDir(), "trust"), start(), &bytes.Buffer{}
	w := open(t, path, c, log)
	for range 10 {
		w.Record(peer(1), trust.JunkFrame, "junk")
	}
	w.Record(peer(2), trust.BadAnswer, "no proof")
	w.Prove(peer(3), trust.Equivocation, "two blocks", []byte("proof"))
	before := w.Report()
	stop(t, w)
	c.passed = 0
	c.wall = c.wall.Add(time.Minute)
	w = open(t, path, c, log)
	for i, was := range before.Peers {
		is := opinion(w, was.Peer)
		if is.Standing != was.Standing || is.Strikes != was.Strikes || len(is.Evidence) != len(was.Evidence) {
			t.Errorf("before %+v, after %+v", was, is)
		}
		if want := was.Score * 0.98851; was.Score != 0 && (is.Score-want > 1e-4 || want-is.Score > 1e-4) {
			t.Errorf("peer %d: score %g after a minute, want %g", i, is.Score, want)
		}
	}
	if opinion(w, peer(1)).Standing != trust.Banned {
		t.Error("the ban is gone")
	}
	c.sleep(6 * time.Minute)
	if s := opinion(w, peer(1)).Standing; s == trust.Banned {
		t.Error("the ban does not end")
	}
	stop(t, w)
	c.wall, c.passed = c.wall.Add(-time.Hour), 0 // a clock that was set back
	w = open(t, path, c, log)
	if o := opinion(w, peer(1)); o.Score > -0.3 {
		t.Errorf("score %g", o.Score)
	}
}

// A ban that an operator was told of is on disk at once, without an orderly end.
func TestDecisionsAreStoredAtOnce(t *testing.T) {
	path, c, log := filepath.Join(t.TempDir(), "trust"), start(), &bytes.Buffer{}
	w := open(t, path, c, log)
	if err := w.Ban(peer(1), time.Hour, "by hand"); err != nil {
		t.Fatal(err)
	}
	crashed := open(t, path, c, log)
	if b := opinion(crashed, peer(1)).Ban; b == nil || b.Detail != "by hand" {
		t.Fatalf("the ban is %+v", b)
	}
	if found, err := crashed.Unban(peer(1)); !found || err != nil {
		t.Fatal(found, err)
	}
	if o := opinion(open(t, path, c, log), peer(1)); o.Standing != trust.Welcome || o.Score != 0 {
		t.Errorf("after unban %+v", o)
	}
	if err := w.Protect(peer(2), true); err != nil {
		t.Fatal(err)
	}
	if err := open(t, path, c, log).Ban(peer(2), 0, ""); !errors.Is(err, trust.ErrProtected) {
		t.Errorf("ban of a protected peer: %v", err)
	}
}

// Every damage of the file is noticed, said, and put aside, and the node goes on.
func TestDamagedFileIsPutAside(t *testing.T) {
	path, c := filepath.Join(t.TempDir(), "trust"), start()
	w := open(t, path, c, &bytes.Buffer{})
	if err := w.Ban(peer(1), time.Hour, "by hand"); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"empty": nil, "half": good[:len(good)/2], "one bit": flip(good, len(good)/2), "head": flip(good, 0), "checksum": flip(good, 20),
		"something else": []byte("hello\n"), "appended": append(slices.Clone(good), '1'),
		"of another version": altered(good, `"saved":`, `"stored":1,"saved":`), "saved before there were clocks": altered(good, `"saved":`, `"saved":-`),
		"what cannot be": altered(good, `"now":`, `"now":-1,"was":`), "at no time": altered(good, `"now":0`, `"now":-1`),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			log := &bytes.Buffer{}
			if o := opinion(open(t, path, c, log), peer(1)); o.Ban != nil {
				t.Errorf("the ban is read from a damaged file: %+v", o.Ban)
			}
			if aside, err := os.ReadFile(path + ".damaged"); err != nil || !bytes.Equal(aside, bad) {
				t.Errorf("put aside %q, %v", aside, err)
			}
			if !strings.Contains(log.String(), "is damaged") {
				t.Errorf("the log says %q", log)
			}
		})
	}
}

// altered is a file with other words in it and the checksum of them.
func altered(file []byte, old, with string) []byte {
	head, body, _ := bytes.Cut(file, []byte("\n"))
	body = bytes.TrimSuffix(bytes.Replace(body, []byte(old), []byte(with), 1), []byte("\n"))
	sum := sha256.Sum256(body)
	return fmt.Appendf(nil, "%s%x\n%s\n", head[:len(head)-2*len(sum)], sum, body)
}

func flip(b []byte, i int) []byte {
	b = slices.Clone(b)
	b[i] ^= 1
	return b
}

// What a crash in the middle of a write leaves is swept away, and the old file counts.
func TestUnfinishedFileIsIgnored(t *testing.T) {
	path, c, log := filepath.Join(t.TempDir(), "trust"), start(), &bytes.Buffer{}
	w := open(t, path, c, log)
	if err := w.Ban(peer(1), time.Hour, "by hand"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new-1", []byte("synod-"), 0o600); err != nil {
		t.Fatal(err)
	}
	if o := opinion(open(t, path, c, log), peer(1)); o.Ban == nil {
		t.Error("the ban is gone")
	}
	if left, _ := filepath.Glob(path + ".new-*"); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// A write that fails is an error for who asked, and is tried again.
func TestFailedWriteIsSaid(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	c, log := start(), &bytes.Buffer{}
	w := open(t, filepath.Join(dir, "trust"), c, log)
	if err := w.Ban(peer(1), time.Hour, ""); err == nil {
		t.Fatal("no error, and there is no folder to write to")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	stop(t, w)
	if o := opinion(open(t, filepath.Join(dir, "trust"), c, log), peer(1)); o.Ban == nil {
		t.Error("the ban was not stored later")
	}
}

// A banned peer can show who banned it, until when and why; nobody can make that up, alter it or pass it on as its own.
func TestNotice(t *testing.T) {
	c, log := start(), &bytes.Buffer{}
	banner := open(t, "", c, log)
	c.sleep(10 * time.Minute)
	if err := banner.Ban(peer(1), time.Hour, "sends\njunk"); err != nil {
		t.Fatal(err)
	}
	standing, notice := banner.Treatment(peer(1))
	if standing != trust.Banned {
		t.Fatal(standing)
	}
	told := func(who byte, by keys.PublicKey, notice []byte) (*trust.BannedBy, string) {
		w, err := warden.Open(warden.Config{Key: key(who), Network: network, Now: func() time.Time { return c.wall }})
		if err != nil {
			t.Fatal(err)
		}
		said := w.Told(by, notice).Error()
		return opinion(w, by).BannedBy, said
	}
	b, said := told(1, peer(0), notice)
	if b == nil || b.Notice.Reason != "manual" || b.Notice.Detail != "sends?junk" || said != "until 2026-01-01T01:10:00Z because of manual: sends?junk" {
		t.Fatalf("%+v, %s", b, said)
	}
	if n, _, err := warden.VerifyNotice(network, append(b.Notice.Encode(), b.Signature[:]...)); err != nil || n.By != peer(0) {
		t.Errorf("what is shown to others does not verify: %v", err)
	}
	for name, c := range map[string]struct {
		who    byte
		by     keys.PublicKey
		notice []byte
	}{
		"to another": {2, peer(0), notice}, "by another": {1, peer(2), notice}, "altered": {1, peer(0), flip(notice, 80)},
		"cut": {1, peer(0), notice[:len(notice)-1]}, "unsigned": {1, peer(0), notice[:len(notice)-64]}, "short": {1, peer(0), notice[:63]}, "empty": {1, peer(0), nil},
	} {
		if b, said := told(c.who, c.by, c.notice); b != nil || !strings.Contains(said, "without a valid reason") {
			t.Errorf("%s: %+v, %s", name, b, said)
		}
	}
	if _, _, err := warden.VerifyNotice([32]byte{'o'}, notice); err == nil {
		t.Error("it verifies in another network")
	}
}

// While it runs, a ban is stored and acted on, and ends by itself.
func TestRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trust")
	synctest.Test(t, func(t *testing.T) {
		w, err := warden.Open(warden.Config{Key: key(0), Network: network, Path: path})
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		asked := map[keys.PublicKey]int{}
		w.Attach(func(p keys.PublicKey) {
			_, _ = w.Treatment(p) // may be called from here
			mu.Lock()
			asked[p]++
			mu.Unlock()
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		for range 10 {
			w.Record(peer(5), trust.JunkFrame, "junk") // no member, so nothing guards it
		}
		synctest.Wait()
		if text, err := os.ReadFile(path); err != nil || !bytes.Contains(text, []byte(`"ban"`)) {
			t.Errorf("the ban is not stored: %s, %v", text, err)
		}
		w.Useful(peer(6))
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		mu.Lock()
		if asked[peer(5)] < 3 { // limited, banned, back
			t.Errorf("asked %d times how to meet the peer", asked[peer(5)])
		}
		mu.Unlock()
		if s, _ := w.Treatment(peer(5)); s != trust.Limited {
			t.Errorf("after the ban the peer is %s", s)
		}
		if o := opinion(w, peer(6)); o.Score <= 0 || o.Score > 0.005 {
			t.Errorf("useful work, once, gave %g", o.Score)
		}
		if text, err := os.ReadFile(path); err != nil || bytes.Contains(text, []byte(`"ban"`)) {
			t.Errorf("the end of the ban is not stored: %s, %v", text, err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestFind(t *testing.T) {
	w := open(t, "", start(), &bytes.Buffer{})
	full, err := peer(3).MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	beginning := func(p keys.PublicKey) string { return hex.EncodeToString(p[:4]) }
	for text, want := range map[string]keys.PublicKey{
		"one": peer(1), string(full): peer(3), peer(3).String(): peer(3), beginning(peer(3)): peer(3), strings.ToUpper(string(full)[:20]): peer(3),
		beginning(peer(1)): peer(1), // it has a name, too
		beginning(peer(4)): peer(4), // nothing else is known of it
	} {
		if got, err := w.Find(text); err != nil || got != want {
			t.Errorf("%s is %s, %v", text, got, err)
		}
	}
	for range 20 { // maps are walked in any order
		if got, err := w.Find("twin"); err == nil || !strings.Contains(err.Error(), peer(4).String()) || !strings.Contains(err.Error(), peer(5).String()) {
			t.Fatalf("one of two that are called so is %s, %v", got, err)
		}
	}
	for _, text := range []string{"", "three", "ffff", string(full)[:7]} {
		if got, err := w.Find(text); err == nil {
			t.Errorf("%q is %s", text, got)
		}
	}
}

// What a crash in the middle of a write left is removed, wherever the file is.
func TestLeftoversAreRemoved(t *testing.T) {
	for _, name := range []string{"plain", "with [brackets]", "with [one", `with \`} {
		dir := filepath.Join(t.TempDir(), name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		left := filepath.Join(dir, "trust.new-123")
		if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		open(t, filepath.Join(dir, "trust"), start(), &bytes.Buffer{})
		if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: it is still there: %v", name, err)
		}
	}
}

// One that breaks the rules again and again does not have this node write without end.
func TestProofsAreNotWrittenOneByOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trust")
	synctest.Test(t, func(t *testing.T) {
		w, err := warden.Open(warden.Config{Key: key(0), Network: network, Path: path})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		writes, last := 0, time.Time{}
		for range 500 {
			w.Prove(peer(5), trust.Equivocation, "two blocks", []byte("proof"))
			synctest.Wait()
			info, err := os.Stat(path)
			if err != nil {
				t.Fatalf("the first proof is not stored at once: %v", err)
			}
			if info.ModTime() != last {
				writes, last = writes+1, info.ModTime()
			}
			time.Sleep(10 * time.Millisecond)
		}
		if writes > 7 {
			t.Errorf("%d writes in 5 s", writes)
		}
		cancel()
		<-ended
	})
}

// Two keys that begin alike are told apart, and neither is guessed.
func TestKeysThatBeginAlike(t *testing.T) {
	alike := func(last byte) keys.PublicKey { return keys.PublicKey{0: 0xab, 31: last} }
	w, err := warden.Open(warden.Config{Key: key(0), Network: network, Names: func() map[keys.PublicKey]string {
		return map[keys.PublicKey]string{alike(1): "left", alike(2): "right"}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := w.Find("ab000000"); err == nil || !strings.Contains(err.Error(), "2 peers have keys that begin with") {
		t.Errorf("one of two is %s, %v", got, err)
	}
}

// Time goes on over a restart from where it was, by the time away, and not back when somebody sets the clock.
func TestBansEndWhenTheySaid(t *testing.T) {
	path, c, log := filepath.Join(t.TempDir(), "trust"), start(), &bytes.Buffer{}
	w := open(t, path, c, log)
	c.sleep(30 * time.Minute)
	ends := c.wall.Add(time.Hour)
	if err := w.Ban(peer(1), time.Hour, ""); err != nil {
		t.Fatal(err)
	}
	banned := func(when string, want bool) {
		t.Helper()
		o := opinion(w, peer(1))
		if (o.Standing == trust.Banned) != want {
			t.Errorf("%s: %s", when, o.Standing)
		}
		if want && !w.Report().Time(o.Ban.Until).Equal(ends) {
			t.Errorf("%s: until %s, want %s", when, w.Report().Time(o.Ban.Until), ends)
		}
	}
	restart := func(away time.Duration) {
		stop(t, w)
		c.wall, c.passed = c.wall.Add(away), 0
		w = open(t, path, c, log)
	}
	banned("at first", true)
	restart(10 * time.Minute)
	banned("after ten minutes away", true)
	restart(-5 * time.Hour)
	ends = ends.Add(-5 * time.Hour)
	banned("on a clock that was set back", true)
	c.sleep(49 * time.Minute)
	banned("in its last minute", true)
	c.sleep(2 * time.Minute)
	banned("after it", false)
}

// While it runs, what is not worth a write at once is stored after a while, and each further ban is at once.
func TestRunStores(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trust")
	synctest.Test(t, func(t *testing.T) {
		w, err := warden.Open(warden.Config{Key: key(0), Network: network, Path: path})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		has := func(after time.Duration, what string) bool {
			time.Sleep(after)
			synctest.Wait()
			text, err := os.ReadFile(path)
			return err == nil && bytes.Contains(text, []byte(what))
		}
		w.Record(peer(5), trust.BadAnswer, "not worth much")
		if has(0, "not worth much") || !has(11*time.Second, "not worth much") {
			t.Error("what a peer did is stored at once, or never")
		}
		for i := byte(6); i < 9; i++ {
			for range 10 {
				w.Record(peer(i), trust.JunkFrame, "junk of "+string(rune('0'+i)))
			}
			if !has(1500*time.Millisecond, "junk of "+string(rune('0'+i))) {
				t.Errorf("ban %d is not stored soon", i)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Operators read in the log who is banned and no longer, and why this node does not do what it could.
func TestWhatIsSaid(t *testing.T) {
	c, log := start(), &bytes.Buffer{}
	w := open(t, "", c, log)
	nobody := false
	w.Attach(func(p keys.PublicKey) { nobody = nobody || p == keys.PublicKey{} })
	wants := func(lines ...string) {
		t.Helper()
		for _, want := range lines {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log lacks %q: %s", want, log)
			}
		}
		log.Reset()
	}
	if err := w.Ban(peer(1), time.Hour, "by hand"); err != nil {
		t.Fatal(err)
	}
	wants("level=WARN", "peer banned", "peer=one", "until=2026-01-01T01:00:00.000Z", `detail="by hand"`)
	if _, err := w.Unban(peer(1)); err != nil {
		t.Fatal(err)
	}
	wants("peer no longer banned", "peer=one")
	c.sleep(time.Hour)
	w.SetLinked(peer(2), false)
	for range 10 {
		w.Record(peer(1), trust.JunkFrame, "junk")
	}
	wants("level=ERROR", "ordering may need it", "peer=one")
	for range 10 {
		w.Record(peer(3), trust.JunkFrame, "junk")
	}
	wants("level=ERROR", "this node suspects itself")
	if r := w.Report(); !r.Time(r.SuspectsUntil).After(c.wall) || r.SuspectsUntil == 0 {
		t.Errorf("suspects itself until %s", r.Time(r.SuspectsUntil))
	}
	if nobody {
		t.Error("asked how to meet nobody")
	}
}

// What cannot be stored leaves nothing half written behind, and settings that cannot be are refused.
func TestWhatFailsLeavesNothing(t *testing.T) {
	path, c := filepath.Join(t.TempDir(), "trust"), start()
	w := open(t, path, c, &bytes.Buffer{})
	if err := os.MkdirAll(filepath.Join(path, "taken"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := w.Ban(peer(1), time.Hour, ""); err == nil {
		t.Error("no error, and the file cannot be replaced")
	}
	if left, _ := filepath.Glob(path + ".new-*"); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	bad := trust.DefaultParams()
	bad.Peers = 0
	if _, err := warden.Open(warden.Config{Key: key(0), Network: network, Params: bad}); err == nil {
		t.Error("a ledger of no peers")
	}
}
