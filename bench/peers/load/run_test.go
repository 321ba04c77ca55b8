package load

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A single orderer is the simplest cluster there is: one goroutine that hands
// every request to all nodes in the order of arrival, and that can be told to
// do it wrong.
type singleOrderer struct {
	site    Site
	fault   string
	arrived chan []byte
	done    sync.WaitGroup

	mu      sync.Mutex // guards the following
	crashed bool       // node 0 is
}

const later = 100 // deliveries before a fault shows

func orderer(fault string) Start {
	return func(site Site) (Cluster, error) {
		o := &singleOrderer{site: site, fault: fault, arrived: make(chan []byte, 64)}
		o.done.Go(o.order)
		return o, nil
	}
}

func (o *singleOrderer) order() {
	delivered := 0
	for r := range o.arrived {
		delivered++
		for node := range o.site.Nodes {
			if node == 0 && o.down() {
				continue
			}
			o.site.Ordered(node, o.faulty(node, delivered, r))
		}
	}
}

// faulty is what the last node delivers instead of r, once.
func (o *singleOrderer) faulty(node, delivered int, r []byte) [][]byte {
	if node == o.site.Nodes-1 && delivered == later {
		switch o.fault {
		case "double":
			return [][]byte{r, r}
		case "damage":
			damaged := slices.Clone(r)
			damaged[0]++
			return [][]byte{damaged}
		}
	}
	return [][]byte{r}
}

func (o *singleOrderer) down() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.crashed
}

func (o *singleOrderer) Entry(id uint64) int {
	if o.down() {
		return 1
	}
	return int(id) % o.site.Nodes
}

func (o *singleOrderer) Submit(home int, r []byte) error {
	if home == 0 && o.down() {
		return ErrCrashed
	}
	if o.fault == "refuse" {
		return errors.New("no room")
	}
	o.arrived <- r
	return nil
}

func (o *singleOrderer) Crash() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.crashed = true
	return 0
}

func (o *singleOrderer) Close() error {
	close(o.arrived)
	o.done.Wait()
	return nil
}

var short = Workload{Name: "short", Nodes: 3, Size: 64, Outstanding: 50, WarmUp: 20 * time.Millisecond, Measure: 100 * time.Millisecond}

func TestRunMeasures(t *testing.T) {
	paced, crash := short, short
	paced.Rate = 2000
	crash.Rate, crash.CrashAfter = 2000, 50*time.Millisecond
	crash.Outstanding = 1000 // requests on the way to the crashed node keep their room
	for name, w := range map[string]Workload{"closed loop": short, "open loop": paced, "crash": crash} {
		t.Run(name, func(t *testing.T) {
			r, err := Run(context.Background(), "single", orderer(""), w, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if w.Rate > 0 && (r.Ordered > w.Rate/5 || r.Ordered == 0) {
				t.Errorf("ordered %d in %v at %d/s", r.Ordered, w.Measure, w.Rate)
			}
		})
	}
}

// The verdict must catch what a broken engine does.
func TestRunCatches(t *testing.T) {
	for fault, want := range map[string]string{
		"double": "delivered request",
		"damage": "damaged request",
		"refuse": "no room",
	} {
		t.Run(fault, func(t *testing.T) {
			_, err := Run(context.Background(), "single", orderer(fault), short, t.TempDir())
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}
