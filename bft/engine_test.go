package bft

import (
	"container/heap"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"
)

// net is a network of engines on a perfect wire with a fixed delay: enough to
// test the engine's own arithmetic. Faults are package sim's business.
type net struct {
	t       *testing.T
	now     Time
	agenda  agenda
	n       int
	nodes   []*testNode
	delay   Time
	genesis *Committee
	rng     *rand.Rand
	dead    map[int]bool
}

type testNode struct {
	net     *net
	id      int
	engine  *Engine
	commits []*Commit
	queue   int
	queued  map[Digest]int // requests in own blocks
	seq     uint64
	held    []Send
	timer   Time
	blocks  map[Digest]*Block
	done    int
	skew    Time // of the wall clock
	events  map[EventKind]int
	epochs  int
}

type event struct {
	at  Time
	seq int
	run func()
}
type agenda []event

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].seq < a[j].seq
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(event)) }
func (a *agenda) Pop() any     { o := *a; x := o[len(o)-1]; *a = o[:len(o)-1]; return x }

var testSeq int

func (n *net) at(t Time, run func()) {
	testSeq++
	heap.Push(&n.agenda, event{t, testSeq, run})
}

func testKey(i int) (k PublicKey) {
	d := sha256.Sum256([]byte(fmt.Sprint("key", i)))
	return PublicKey(d)
}

func testSign(k PublicKey) Signer {
	return func(m []byte) (s Signature) {
		h := sha256.New()
		h.Write(k[:])
		h.Write(m)
		copy(s[:], h.Sum(nil))
		return s
	}
}

func testVerify(k PublicKey, m []byte, s Signature) bool { return testSign(k)(m) == s }

func newNet(t *testing.T, n int, params Params) *net {
	w := &net{t: t, n: n, now: 1_000_000 * Second, delay: Millisecond, rng: rand.New(rand.NewPCG(1, 2)), dead: map[int]bool{}}
	var keys []PublicKey
	for i := range n {
		keys = append(keys, testKey(i))
	}
	w.genesis = Genesis(NetworkID{1}, keys, params, w.now)
	for i := range n {
		w.nodes = append(w.nodes, &testNode{net: w, id: i, queued: map[Digest]int{}, blocks: map[Digest]*Block{}, events: map[EventKind]int{}})
	}
	for _, x := range w.nodes {
		e, effects := New(Config{Self: keys[x.id], Sign: testSign(keys[x.id]), Verify: testVerify, Limits: DefaultLimits()},
			Recovered{Genesis: w.genesis}, w.clock())
		x.engine = e
		x.run(effects)
	}
	for _, x := range w.nodes {
		for _, k := range keys {
			if k != keys[x.id] {
				x.step(PeerUp{Peer: k})
			}
		}
	}
	return w
}

func (n *net) clock() Clock { return Clock{Wall: n.now, Mono: n.now} }

func (n *net) runFor(d Time) {
	end := n.now + d
	for len(n.agenda) > 0 && n.agenda[0].at <= end {
		ev := heap.Pop(&n.agenda).(event)
		n.now = ev.at
		ev.run()
	}
	n.now = end
}

func (x *testNode) step(in Input) {
	if x.net.dead[x.id] {
		return
	}
	now := x.net.clock()
	now.Wall += x.skew
	x.run(x.engine.Step(now, in))
}

func (x *testNode) submit(k int) {
	x.queue += k
	x.step(RequestsQueued{Requests: x.queue, Bytes: 8 * x.queue})
}

func (x *testNode) run(effects []Effect) {
	w := x.net
	for _, f := range effects {
		switch f := f.(type) {
		case Persist:
			for _, b := range f.Blocks {
				x.blocks[b.Ref().Digest] = b
			}
			w.at(w.now+200, func() {
				x.step(Persisted{Seq: f.Seq})
				x.seq = f.Seq
				held := x.held
				x.held = nil
				for _, s := range held {
					x.send(s)
				}
			})
		case Send:
			x.send(f)
		case SetTimer:
			x.timer = f.At
			w.at(f.At, func() {
				if x.timer == f.At {
					x.step(Tick{})
				}
			})
		case RequestPayload:
			k := min(f.Requests, x.queue, 100)
			x.queue -= k
			w.at(w.now, func() {
				var wr writer
				for range k {
					wr.U32(8)
					wr.U64(w.rng.Uint64())
				}
				d := Digest{}
				if k > 0 {
					d = PayloadDigest(wr.Buf)
				}
				x.step(PayloadReady{Payload: wr.Buf, Digest: d, Requests: k, Left: RequestsQueued{Requests: x.queue}})
			})
		case ReturnPayload:
			x.queue += f.Requests
		case Requeue:
			x.queue += int(x.blocks[f.Block.Digest].Requests)
		case Deliver:
			x.commits = append(x.commits, f.Commit)
			x.done += int(f.Commit.Requests)
			w.at(w.now, func() {
				x.step(Applied{Index: f.Commit.Index})
				if f.EndsEpoch {
					x.step(EpochEnded{Index: f.Commit.Index, State: f.Commit.Digest(), Members: w.genesis.Members, Params: w.genesis.Params})
				}
			})
		case Report:
			x.events[f.Event.Kind]++
		case EpochStarted:
			x.epochs++
		case Halt:
			w.t.Fatalf("node %d halted: %s", x.id, f.Reason)
		}
	}
}

func (x *testNode) send(s Send) {
	w := x.net
	if s.After > x.seq {
		x.held = append(x.held, s)
		return
	}
	var buf []byte
	for _, p := range EncodeMessage(s.Message) {
		buf = append(buf, p...)
	}
	for _, k := range s.To {
		for _, y := range w.nodes {
			if y.engine == nil || testKey(y.id) != k || w.dead[x.id] {
				continue
			}
			w.at(w.now+w.delay, func() {
				m, err := DecodeMessage(buf, w.genesis.Network)
				if err != nil {
					w.t.Fatal(err)
				}
				u, ok := m.(*UnverifiedBlockMessage)
				if !ok {
					y.step(MessageArrived{From: testKey(x.id), Message: m})
					return
				}
				b, err := u.Block.Verify(y.engine.Committee(), testVerify)
				if err == nil {
					y.step(BlockArrived{From: testKey(x.id), Block: b})
				}
			})
		}
	}
}

func (n *net) agree() (shortest int) {
	shortest = -1
	for _, x := range n.nodes {
		if n.dead[x.id] {
			continue
		}
		if shortest < 0 || len(x.commits) < shortest {
			shortest = len(x.commits)
		}
		for i, c := range x.commits {
			if c.Index != CommitIndex(i+1) {
				n.t.Fatalf("node %d: commit %d at place %d", x.id, c.Index, i)
			}
		}
	}
	for i := range shortest {
		var want Digest
		for _, x := range n.nodes {
			if n.dead[x.id] {
				continue
			}
			if want == (Digest{}) {
				want = x.commits[i].Digest()
			}
			if x.commits[i].Digest() != want {
				n.t.Fatalf("commit %d differs at node %d", i+1, x.id)
			}
		}
	}
	return shortest
}

func TestOrdersOnAPerfectWire(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 7, 13} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			if testing.Short() && n > 7 {
				t.Skip("takes seconds")
			}
			w := newNet(t, n, DefaultParams())
			total := 0
			for i := range 300 {
				w.nodes[i%n].submit(5)
				total += 5
				w.runFor(7 * Millisecond)
			}
			w.runFor(2 * Second)
			w.agree()
			for _, x := range w.nodes {
				if x.done != total {
					t.Errorf("node %d ordered %d requests, want %d", x.id, x.done, total)
				}
			}
			p := w.nodes[0].engine.Progress()
			t.Logf("n=%d: %d commits, round %d, events %v", n, len(w.nodes[0].commits), p.Round, w.nodes[0].events)
		})
	}
}

// From idle a leader's request takes four delays and syncs (it wakes the
// others, then three rounds), another member's one more.
func TestLatencyFromIdle(t *testing.T) {
	w := newNet(t, 4, DefaultParams())
	w.runFor(2 * Second)
	for i := range 8 {
		start := w.now
		w.nodes[i%4].submit(1)
		want := w.nodes[0].done + 1
		for w.nodes[0].done < want && w.now < start+Second {
			w.runFor(100)
		}
		t.Logf("ordered after %d µs", w.now-start)
		if w.now-start > 7500*Microsecond {
			t.Errorf("a request at an idle network took %d µs with delays of 1 ms", w.now-start)
		}
		w.runFor(700*Millisecond + Time(i)*37*Millisecond)
	}
}

func TestDeadMemberCostsOneTimeout(t *testing.T) {
	w := newNet(t, 4, DefaultParams())
	w.runFor(Second)
	w.dead[2] = true
	longest, last := Time(0), w.now
	done := w.nodes[0].done
	for range 3000 {
		w.nodes[0].submit(1)
		w.runFor(Millisecond)
		if d := w.nodes[0].done; d != done {
			done = d
			longest = max(longest, w.now-last)
			last = w.now
		}
	}
	w.agree()
	t.Logf("longest pause %d µs, events %v, demoted %v", longest, w.nodes[0].events, w.nodes[0].engine.Progress().Demoted)
	if n := w.nodes[0].events[EventLeaderTimeout]; n != 1 {
		t.Errorf("%d leader timeouts, want 1", n)
	}
	if longest > 600*Millisecond {
		t.Errorf("ordering paused for %d µs", longest)
	}
}

func TestEpochsFollowEachOther(t *testing.T) {
	p := DefaultParams()
	p.EpochDuration = Second
	w := newNet(t, 4, p)
	for i := range 1000 {
		w.nodes[i%4].submit(1)
		w.runFor(10 * Millisecond)
	}
	w.runFor(2 * Second)
	w.agree()
	for _, x := range w.nodes {
		if x.done != 1000 {
			t.Errorf("node %d ordered %d requests, want 1000", x.id, x.done)
		}
		if e := x.engine.Progress().Epoch; e < 9 {
			t.Errorf("node %d is in epoch %d after 12 s of 1 s epochs", x.id, e)
		}
	}
}
