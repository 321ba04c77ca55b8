package sidecar

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/mocknode"
)

// TestKilledAgainAndAgain kills a sidecar at any time, and starts it again. Its subscribers come back with the last number they saw,
// and in the end have everything that the node sent, once, under numbers that were never used for anything else.
func TestKilledAgainAndAgain(t *testing.T) {
	n, sent := pretend(t, func(o *mocknode.Options) { o.Faults.GarbageEvery = 41; o.Faults.DisconnectEvery = 97 })
	p := configure(t, n)
	const rounds = 8
	random := rand.New(rand.NewPCG(1, 2))
	var s subscriber
	for range rounds {
		p.start()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		following := make(chan error, 1)
		target := len(s.got) + 20 + random.IntN(60)
		url := "http://" + p.events + "/events/main"
		if s.last == "" {
			url += "?start_from=0"
		}
		go func() { following <- s.follow(ctx, url, target) }()
		n.Emit(200 + random.IntN(400))
		if err := <-following; err != nil {
			t.Fatal(err)
		}
		cancel()
		p.kill()
	}
	p.start()
	want := numberedOn(sent, event.FilterMain)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.follow(ctx, "http://"+p.events+"/events/main", len(want)); err != nil {
		t.Fatalf("after %d of %d events: %v", len(s.got), len(want), err)
	}
	s.check(t, want)
	if status, text := get(t, "http://"+p.rest+"/block"); status != 200 || !strings.Contains(text, `"block_hash"`) {
		t.Errorf("%d %.100s", status, text)
	}
}

// numberedOn returns what a subscriber of a filter sees of what was sent.
func numberedOn(j *journal, filter event.Filter) (all []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.sent {
		if s.Filter == filter && s.Data != nil {
			all = append(all, digest([]byte(string([]rune(string(s.Data)))))) // what is not text is replaced
		}
	}
	return all
}

// TestNodeSwitch reads two nodes of one chain. One goes away for good in the middle, the other was behind all the time.
func TestNodeSwitch(t *testing.T) {
	ahead, sent := pretend(t, func(o *mocknode.Options) { o.FirstID = 7000 })
	behind, _ := pretend(t, nil)
	p := configure(t, ahead, behind)
	p.start()
	var s subscriber
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	following := make(chan error, 1)
	go func() { following <- s.follow(ctx, "http://"+p.events+"/events/sigs?start_from=0", 180) }()
	ahead.Emit(350)
	behind.Emit(100)
	ahead.Emit(150)
	ahead.Down(time.Hour)
	behind.Emit(400)
	ahead.Emit(200) // nobody hears it, but the other tells the same
	behind.Emit(200)
	if err := <-following; err != nil {
		t.Fatalf("after %d events: %v", len(s.got), err)
	}
	s.check(t, sent.on(event.FilterSigs)[:180])
}

// TestLiar reads three nodes of one chain with different lags, one of which lies about the numbers of its events.
func TestLiar(t *testing.T) {
	first, sent := pretend(t, func(o *mocknode.Options) { o.FirstID = 100 })
	liar, _ := pretend(t, func(o *mocknode.Options) { o.Faults.LieEvery = 9; o.Faults.DisconnectEvery = 50 })
	last, _ := pretend(t, func(o *mocknode.Options) { o.FirstID = 1_000_000 })
	p := configure(t, first, liar, last)
	p.start()
	var s subscriber
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for range 10 {
		first.Emit(70)
		liar.Emit(70)
		last.Emit(50)
	}
	total := len(sent.on(event.FilterDeploys))
	if err := s.follow(ctx, "http://"+p.events+"/events/deploys?start_from=0", total); err != nil {
		t.Fatalf("after %d of %d events: %v", len(s.got), total, err)
	}
	same := map[string]int{}
	for _, a := range s.got {
		same[a.what]++
	}
	for _, d := range sent.on(event.FilterDeploys) {
		if same[d] != 1 {
			t.Fatalf("an event came %d times", same[d])
		}
	}
}
