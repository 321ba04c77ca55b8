package bftorder_test

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
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/replica"
	"github.com/synod-network/synod/replica/trust"
)

// away is the member of these tests that was away for longer than the others keep what they ordered, and takes over their state.
const away = members - 1

// ballast is what a state has besides its counts: pieces that are the same after every epoch.
func ballast() (s tallyState) {
	for i := range 40 {
		s = append(s, fmt.Appendf(nil, "stone %*d", tallyPiece-len("stone "), i))
	}
	return s
}

// donation is how the members give out their states, and what they gave.
type donation struct {
	mu    sync.Mutex
	lies  func(member int) bool
	left  int           // pieces of ballast that are given before more is awaited
	more  chan struct{} // closed when no piece is awaited any more
	given map[bft.Digest]int
	asked int // pieces, given, lost or awaited
	lost  int // pieces that were given to nobody
	lose  bool
}

func newDonation(left int) *donation {
	return &donation{lies: func(int) bool { return false }, left: left, more: make(chan struct{}), given: map[bft.Digest]int{}}
}

// give waits until a piece may be given, and says whether it is given falsely.
func (d *donation) give(member int, id bft.Digest) (falsely bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lies(member) {
		return true
	}
	if d.asked++; d.asked > d.left {
		d.mu.Unlock()
		<-d.more
		d.mu.Lock()
	}
	if d.lose {
		d.lost++
	} else {
		d.given[id]++
	}
	return false
}

// lose gives so many pieces, which are awaited by somebody who is gone, to nobody.
func (o *takeover) lose(awaited int) {
	d := o.donation
	set := func(lose bool) (lost int) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.lose = lose
		return d.lost
	}
	set(true)
	d.giveAll()
	o.until("what was awaited is lost", func() bool { return set(true) == awaited })
	set(false)
}

func (d *donation) giveAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left < everything {
		d.left = everything
		close(d.more)
	}
}

const everything = 1_000_000

// counts are how often each piece of ballast was given, of those that were.
func (d *donation) counts() (pieces, times int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.given {
		pieces, times = pieces+1, times+n
	}
	return pieces, times
}

func (d *donation) lie(who func(member int) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lies = who
}

// giver is an application whose snapshots are given out by the rules of a donation.
type giver struct {
	*tally
	member   int
	donation *donation
	// installing is called with what is installed, before and after it is kept; an error stops the member.
	installing func(kept bool) error
}

type given struct {
	tallyState
	by *giver
}

func (g given) Piece(i int) ([]byte, error) {
	p := g.tallyState[i]
	id := bft.Digest(sha256.Sum256(p))
	falsely := false
	if i >= len(g.tallyState)-len(g.by.ballast) {
		falsely = g.by.donation.give(g.by.member, id)
	}
	if falsely {
		p = bytes.ToUpper(p)
	}
	return p, nil
}

func (g *giver) Start() (bft.CommitIndex, replica.Snapshot, error) {
	i, s, err := g.tally.Start()
	if i == 0 || err != nil {
		g.ballast = ballast()
		return i, nil, err
	}
	return i, given{s.(tallyState), g}, nil
}

func (g *giver) EndEpoch() (replica.Ended, error) {
	e, err := g.tally.EndEpoch()
	e.Snapshot = given{e.Snapshot.(tallyState), g}
	return e, err
}

func (g *giver) Keep(s replica.Snapshot) error { return g.tally.Keep(s.(given).tallyState) }

func (g *giver) Install(manifest []byte, piece func(int) ([]byte, error)) (replica.Snapshot, error) {
	if err := g.installing(false); err != nil {
		return nil, err
	}
	s, err := g.tally.Install(manifest, piece)
	if err != nil {
		return nil, err
	}
	if !slices.EqualFunc(g.ballast, ballast(), bytes.Equal) {
		return nil, fmt.Errorf("installed the ballast %q", g.ballast)
	}
	return given{s.(tallyState), g}, g.installing(true)
}

// takeover is a cluster in which one member has been away, and the others have pruned what it lacks.
type takeover struct {
	*cluster
	ctx      context.Context
	donation *donation
	log      *record
	// installing is called around each installation; it is set while the member is away.
	installing func(kept bool) error
}

// outpaced makes a takeover: all is ready for the member's return.
func outpaced(t *testing.T, d *donation) *takeover {
	t.Helper()
	t.Parallel()
	o := &takeover{donation: d, log: &record{}, installing: func(bool) error { return nil }}
	o.cluster, o.ctx = running(t, func(c *cluster, p *bft.Params) {
		p.EpochDuration = bft.Second
		c.application = func(i int, t *tally) replica.Application {
			return &giver{tally: t, member: i, donation: d, installing: func(kept bool) error { return o.installing(kept) }}
		}
		c.adjust = func(i int, r *replica.Config) {
			if r.TransferPatience = time.Minute; i == away {
				r.Log = slog.New(slog.NewTextHandler(o.log, nil))
			}
		}
	})
	t.Cleanup(d.giveAll) // nobody could be stopped who waits to give
	o.order(o.ctx, 0, "before")
	o.stop(away)
	last, _ := o.node(away).replica.Head()
	for o.node(0).replica.Committee().Base <= last {
		o.order(o.ctx, 0, "meanwhile")
	}
	base := o.node(0).replica.Committee().Base
	for i := range away {
		o.prune(i, base+1)
	}
	return o
}

// until waits for a condition.
func (o *takeover) until(what string, condition func() bool) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-o.ctx.Done():
			o.t.Fatalf("%s: not in time; the member says\n%s", what, o.log)
		case <-tick.C:
		}
	}
}

// crash starts the member again from what is on its disk now: nothing is closed before, and what it writes while it is ended is lost.
// It is ended by end, beside being told to stop; gone is called before it starts again.
func (o *takeover) crash(end, gone func()) {
	dir, image := o.storeOptions(away).Dir, filepath.Join(o.dir, "image")
	if err := os.CopyFS(image, os.DirFS(dir)); err != nil {
		o.t.Fatalf("%v", err)
	}
	m := o.node(away)
	m.stop()
	end()
	if err := <-m.ended; err != nil && !errors.Is(err, errCrashed) {
		o.t.Errorf("the member ended with %v", err)
	}
	if err := errors.Join(os.RemoveAll(dir), os.Rename(image, dir)); err != nil {
		o.t.Fatalf("%v", err)
	}
	gone()
	o.start(away)
}

var errCrashed = errors.New("crashed")

// follows wants the member to order with the others, from a state like theirs.
func (o *takeover) follows() {
	for { // a state that the others have just replaced takes a minute to be given up; the one that comes instead may be after the block
		at := o.order(o.ctx, 0, "after")
		ctx, cancel := context.WithTimeout(o.ctx, 10*time.Second)
		err := o.readUntil(ctx, away, at, "after")
		cancel()
		if err == nil {
			break
		}
		if o.ctx.Err() != nil {
			o.t.Fatalf("the member does not follow: %v\n%s", err, o.log)
		}
	}
	o.order(o.ctx, away, "from the one that was away")
	// States are compared at the end of an epoch: with another one than the others' it would not get there.
	epoch := o.node(away).replica.Committee().Epoch
	o.until("the next epoch", func() bool { return o.node(away).replica.Committee().Epoch > epoch })
}

// givenOnce wants each piece of ballast to have been given once.
func (o *takeover) givenOnce() {
	if pieces, times := o.donation.counts(); pieces != len(ballast()) || times != pieces {
		o.t.Errorf("%d of %d pieces were given, %d times", pieces, len(ballast()), times)
	}
}

// kept are the pieces of ballast that the member has on disk.
func (o *takeover) kept() (count int) {
	for _, p := range ballast() {
		id := sha256.Sum256(p)
		if data, err := o.node(away).store.Meta("application/piece/" + hex.EncodeToString(id[:])); err == nil && len(data) > 0 {
			count++
		}
	}
	return count
}

// pending reports whether the member has noted on disk that a state is to be installed.
func (o *takeover) pending() bool {
	b, err := o.node(away).store.Meta("application/install")
	return err == nil && len(b) > 0
}

// wrongAnswers is how often the member has noted that another answered wrongly.
func (o *takeover) wrongAnswers(by int) (count int) {
	for _, opinion := range o.node(away).warden.Report().Peers {
		if opinion.Peer == trust.Peer(o.keys[by].Public()) {
			for _, line := range opinion.History {
				if line.Action == string(trust.BadAnswer) {
					count += line.Count
				}
			}
		}
	}
	return count
}

// TestTakesOverManyPieces: nothing is fetched twice from honest members, and what is installed is forgotten.
func TestTakesOverManyPieces(t *testing.T) {
	o := outpaced(t, newDonation(everything))
	o.start(away)
	o.follows()
	o.givenOnce()
	o.until("the pieces are forgotten", func() bool { return !o.pending() && o.kept() == 0 })
}

// TestOneGivesWrongPieces: it is found, and the state comes from the others.
func TestOneGivesWrongPieces(t *testing.T) {
	o := outpaced(t, newDonation(everything))
	o.donation.lie(func(member int) bool { return member == 1 })
	o.start(away)
	o.follows()
	o.givenOnce()
	for i := range away {
		if n := o.wrongAnswers(i); n > 0 != (i == 1) {
			t.Errorf("member %d is found to have answered wrongly %d times", i, n)
		}
	}
}

// TestAllGiveWrongPieces: a state that nobody gives is given up, which is said once with who lied, and asked for again. Once others
// are honest, it comes.
func TestAllGiveWrongPieces(t *testing.T) {
	o := outpaced(t, newDonation(everything))
	o.donation.lie(func(int) bool { return true })
	o.adjust = func(_ int, r *replica.Config) {
		r.Log, r.TransferPatience = slog.New(slog.NewTextHandler(o.log, nil)), time.Second
	}
	o.start(away)
	o.until("the state is given up", func() bool { return o.log.count("no peer gives the state") > 0 })
	for i := range away {
		if o.wrongAnswers(i) == 0 {
			t.Errorf("member %d is not found to have answered wrongly", i)
		}
	}
	o.donation.lie(func(member int) bool { return member == 1 })
	o.follows()
	if !threeNames.MatchString(o.log.String()) {
		t.Errorf("it is not said who lied:\n%s", o.log)
	}
}

var threeNames = regexp.MustCompile(`sent_what_is_wrong="\[\S+ \S+ \S+\]"`)

// TestCrashesBetweenPieces: what was fetched before a crash is not fetched again.
func TestCrashesBetweenPieces(t *testing.T) {
	const first = 17
	o := outpaced(t, newDonation(first))
	o.start(away)
	const counts = 3 // pieces beside the ballast
	o.until("pieces are on disk", func() bool { return o.kept() == first })
	o.until("that is said", func() bool {
		f := o.node(away).replica.Fetching()
		return f != nil && f.Have == first+counts && f.Pieces == len(ballast())+counts
	})
	const atATime = 8 // are asked for
	o.crash(func() {}, func() { o.lose(atATime) })
	o.follows()
	o.givenOnce()
	if o.log.count("going on with the state of which an earlier run fetched a part") != 1 {
		t.Errorf("it did not go on with what it had:\n%s", o.log)
	}
}

// TestCrashesWhileInstalling: what is all here is installed at the next start, once, without asking anybody for anything, be it that
// the application had not begun, or that it had just kept the state.
func TestCrashesWhileInstalling(t *testing.T) {
	for _, kept := range []bool{false, true} {
		t.Run(fmt.Sprintf("kept %v", kept), func(t *testing.T) {
			o := outpaced(t, newDonation(everything))
			reached, crashed := make(chan struct{}), make(chan struct{})
			var installed atomic.Int32 // after the crash
			o.installing = func(now bool) error {
				select {
				case <-crashed:
					if !now {
						installed.Add(1)
					}
					return nil
				default:
				}
				if now != kept {
					return nil
				}
				close(reached)
				<-crashed
				return errCrashed
			}
			before := o.node(away).replica.Committee().Epoch
			o.start(away)
			<-reached
			o.until("the hand-over is on disk", func() bool {
				h, err := o.node(away).store.LastHandover()
				return err == nil && h.Epoch >= before && o.pending()
			})
			o.donation.lie(func(int) bool { return true })
			o.crash(func() { close(crashed) }, func() {})
			o.follows()
			o.givenOnce()
			if n, want := installed.Load(), map[bool]int32{false: 1, true: 0}[kept]; n != want {
				t.Errorf("the state was installed %d times after the crash, want %d", n, want)
			}
			o.until("the pieces are forgotten", func() bool { return !o.pending() && o.kept() == 0 })
		})
	}
}

// record is a log.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func (r *record) count(line string) int { return bytes.Count([]byte(r.String()), []byte(line)) }
