package load_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/synod-network/synod/load"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/ordering/ordertest"
	"github.com/synod-network/synod/sequencer"
)

// brief is a workload that takes a third of a second, and longer only where a promise is broken.
var brief = load.Config{Rate: 3000, Size: 128, Duration: 300 * time.Millisecond, Drain: time.Minute}

func run(t *testing.T, config load.Config, targets ...load.Target) load.Result {
	t.Helper()
	result, err := load.Run(context.Background(), config, targets...)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func inProcess(memory *ordertest.Memory) []load.Target {
	var targets []load.Target
	for number := range memory.Size() {
		targets = append(targets, load.InProcess(memory.Node(number)))
	}
	return targets
}

func TestSoundNetworkIsClean(t *testing.T) {
	memory := ordertest.StartMemory(t, ordertest.MemoryConfig{})
	const want, attempts = 900, 20
	for attempt := 1; ; attempt++ { // what falls due while a busy machine stands still at the end is not sent
		result := run(t, brief, inProcess(memory)...)
		if !result.Clean || result.Submitted != result.Ordered || result.Accepted != result.Ordered || result.Ordered > want+1 || attempt == attempts {
			t.Fatalf("verdict %+v, want about %d ordered and clean", result, want)
		}
		if result.P50 <= 0 || result.P99 < result.P50 || result.P999 < result.P99 {
			t.Errorf("latencies %v, %v, %v ms", result.P50, result.P99, result.P999)
		}
		if result.Ordered >= want*9/10 {
			return
		}
	}
}

// when is closed once a further block is ordered of which enough is true.
func when(t *testing.T, memory *ordertest.Memory, enough func(ordering.Block) bool) <-chan struct{} {
	reached, stop := make(chan struct{}), errors.New("enough")
	ctx, cancel := context.WithCancel(context.Background())
	from := memory.Node(0).Status().Head + 1
	var reading sync.WaitGroup
	t.Cleanup(func() { cancel(); reading.Wait() })
	reading.Go(func() {
		err := memory.Node(0).Read(ctx, from, func(block ordering.Block) error {
			if enough(block) {
				return stop
			}
			return nil
		})
		if errors.Is(err, stop) {
			close(reached)
		} else if ctx.Err() == nil {
			t.Error(err)
		}
	})
	return reached
}

func TestStopEndsSubmittingAndWaitsForTheRest(t *testing.T) {
	memory := ordertest.StartMemory(t, ordertest.MemoryConfig{})
	stop := make(chan struct{})
	config := brief
	config.Duration, config.Drain, config.Stop = time.Hour, time.Minute, stop
	end := sync.OnceFunc(func() { close(stop) })
	config.Progress = func(load.Progress) { end() }
	result := run(t, config, inProcess(memory)...)
	if !result.Clean || result.Accepted != result.Ordered || result.Ordered == 0 {
		t.Errorf("verdict %+v, want all accepted requests ordered", result)
	}
}

func TestUnpacedRunIsBoundedByItsFlight(t *testing.T) {
	memory := ordertest.StartMemory(t, ordertest.MemoryConfig{})
	config := brief
	config.Rate, config.InFlight, config.Duration = 0, 2000, time.Minute
	ordered := 0
	config.Stop = when(t, memory, func(block ordering.Block) bool { ordered += block.RequestCount(); return ordered >= 2000 })
	result := run(t, config, inProcess(memory)...)
	if !result.Clean || result.Rejected > 0 || result.Ordered < 2000 {
		t.Errorf("verdict %+v", result)
	}
}

func TestRefusedRequestsAreNeitherLostNorUnknown(t *testing.T) {
	memory := ordertest.StartMemory(t, ordertest.MemoryConfig{})
	var targets []load.Target
	for number := range memory.Size() {
		calls, sound := 0, memory.Node(number)
		targets = append(targets, load.InProcess(&ordertest.Altered{Orderer: sound, OnSubmit: func(ctx context.Context, requests [][]byte) error {
			if calls++; calls%2 == 0 {
				return &ordering.Overloaded{RetryAfter: time.Millisecond}
			}
			return sound.Submit(ctx, requests...)
		}}))
	}
	result := run(t, brief, targets...)
	if !result.Clean || result.Rejected == 0 || result.Unknown > 0 || result.Accepted+result.Rejected != result.Submitted {
		t.Errorf("verdict %+v", result)
	}
}

// A network that breaks its promise must not look clean, and the verdict names
// what is wrong with it.
func TestVerdictNamesPlantedFaults(t *testing.T) {
	deliver := func(change func(height ordering.Height, requests [][]byte) [][]byte) func(ordering.Block) []ordering.Block {
		return func(block ordering.Block) []ordering.Block {
			var requests [][]byte
			for request := range block.Requests() {
				requests = append(requests, bytes.Clone(request.Data))
			}
			block.Payloads = []ordering.Payload{ordering.Pack(change(block.Height, requests)...)}
			return []ordering.Block{block}
		}
	}
	at := func(broken int, deliver func(ordering.Block) []ordering.Block) func(int, *ordertest.Altered) {
		return func(node int, altered *ordertest.Altered) {
			if node == broken {
				altered.Deliver = deliver
			}
		}
	}
	var carried [][]byte
	for _, test := range []struct {
		name  string
		plant func(node int, altered *ordertest.Altered)
		named func(load.Result) int64
	}{
		{"a node takes requests and drops some", func(_ int, altered *ordertest.Altered) {
			altered.OnSubmit = func(ctx context.Context, requests [][]byte) error {
				return altered.Orderer.Submit(ctx, requests[1:]...)
			}
		}, func(r load.Result) int64 { return r.Lost }},
		{"a node submits some twice", func(_ int, altered *ordertest.Altered) {
			altered.OnSubmit = func(ctx context.Context, requests [][]byte) error {
				return altered.Orderer.Submit(ctx, append(requests, requests[0])...)
			}
		}, func(r load.Result) int64 { return r.Duplicated }},
		{"a node orders what it refused", func(_ int, altered *ordertest.Altered) {
			altered.OnSubmit = func(ctx context.Context, requests [][]byte) error {
				_ = altered.Orderer.Submit(ctx, requests...)
				return &ordering.Overloaded{RetryAfter: time.Millisecond}
			}
		}, func(r load.Result) int64 { return r.Duplicated }},
		{"one node delivers without the last of a block", at(1, deliver(func(_ ordering.Height, requests [][]byte) [][]byte {
			return requests[:len(requests)-1]
		})), func(r load.Result) int64 { return r.Lost }},
		{"one node delivers the first of a block twice", at(2, deliver(func(_ ordering.Height, requests [][]byte) [][]byte {
			return append(requests, requests[0])
		})), func(r load.Result) int64 { return r.Duplicated }},
		{"one node swaps within a block", at(3, deliver(func(_ ordering.Height, requests [][]byte) [][]byte {
			slices.Reverse(requests)
			return requests
		})), func(r load.Result) int64 { return r.Reordered }},
		{"one node moves requests to the next block", at(3, deliver(func(_ ordering.Height, requests [][]byte) [][]byte {
			requests = append(carried, requests...)
			carried = requests[len(requests)-1:]
			return requests[:len(requests)-1]
		})), func(r load.Result) int64 { return r.Reordered + r.Lost }},
		{"one node alters a bit", at(0, deliver(func(_ ordering.Height, requests [][]byte) [][]byte {
			requests[0][60] ^= 1
			return requests
		})), func(r load.Result) int64 { return r.Lost }},
		{"one node leaves out a block", at(1, func(block ordering.Block) []ordering.Block {
			if block.Height == 3 {
				return nil
			}
			return []ordering.Block{block}
		}), func(r load.Result) int64 { return min(r.Lost, r.Reordered) }},
		{"one node repeats a block", at(1, func(block ordering.Block) []ordering.Block { return []ordering.Block{block, block} }),
			func(r load.Result) int64 { return min(r.Duplicated, r.Reordered) }},
		{"one node's times are others", at(1, func(block ordering.Block) []ordering.Block {
			block.Time++
			return []ordering.Block{block}
		}), func(r load.Result) int64 { return r.Reordered }},
		{"one node stops delivering", at(2, func(block ordering.Block) []ordering.Block {
			if block.Height > 5 {
				return nil
			}
			return []ordering.Block{block}
		}), func(r load.Result) int64 { return r.Lost }},
	} {
		t.Run(test.name, func(t *testing.T) {
			memory := ordertest.StartMemory(t, ordertest.MemoryConfig{})
			var targets []load.Target
			for number := range memory.Size() {
				altered := &ordertest.Altered{Orderer: memory.Node(number)}
				test.plant(number, altered)
				targets = append(targets, load.InProcess(altered))
			}
			config, began := brief, time.Now()
			config.Drain, config.Duration = 300*time.Millisecond, time.Minute
			config.Stop = when(t, memory, func(block ordering.Block) bool { return block.Height > 50 && time.Since(began) > brief.Duration })
			if result := run(t, config, targets...); result.Clean || test.named(result) == 0 {
				t.Errorf("verdict %+v does not say so", result)
			}
		})
	}
}

// restarting is a target that stands for a number, whichever node has it now.
type restarting struct {
	memory *ordertest.Memory
	number int
}

func (r restarting) now() load.Target { return load.InProcess(r.memory.Node(r.number)) }

func (r restarting) Head(ctx context.Context) (ordering.Height, error) { return r.now().Head(ctx) }

func (r restarting) Read(ctx context.Context, from ordering.Height, fn func(ordering.Block) error) error {
	return r.now().Read(ctx, from, fn)
}

func (r restarting) Open(ctx context.Context, answered func(error)) (load.Path, error) {
	return r.now().Open(ctx, answered)
}

func TestCrashLosesNothingThatIsPromised(t *testing.T) {
	memory := ordertest.StartMemory(t, ordertest.MemoryConfig{})
	var targets []load.Target
	for number := range memory.Size() {
		targets = append(targets, restarting{memory, number})
	}
	config, stop := brief, make(chan struct{})
	config.Duration, config.Stop = time.Hour, stop
	seconds := 0
	config.Progress = func(load.Progress) {
		switch seconds++; seconds {
		case 1:
			resume := memory.Stall() // so that something is queued when it stops
			for memory.Node(2).Queued() == 0 {
				runtime.Gosched()
			}
			memory.Stop(2)
			resume()
		case 2:
			memory.Start(2)
		case 3:
			close(stop)
		}
	}
	result := run(t, config, targets...)
	if !result.Clean || result.Unknown == 0 || result.Submitted != result.Ordered+result.Unknown {
		t.Errorf("verdict %+v, want clean, and what the stopped node had queued unknown", result)
	}
}

func TestGRPCEndpointsAreJudgedAlike(t *testing.T) {
	memory := ordertest.StartMemory(t, ordertest.MemoryConfig{})
	var targets []load.Target
	for number := range memory.Size() {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server, err := sequencer.New(memory.Node(number), listener, sequencer.Config{Ordering: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() { ended <- server.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		targets = append(targets, load.Endpoint(server.Address().String(), grpc.WithTransportCredentials(insecure.NewCredentials())))
	}
	for _, rate := range []float64{3000, 0} {
		config := brief
		config.Rate, config.Connections, config.Duration = rate, 2, time.Minute
		ordered := 0
		config.Stop = when(t, memory, func(block ordering.Block) bool { ordered += block.RequestCount(); return ordered >= 1000 })
		if result := run(t, config, targets...); !result.Clean || result.Unknown > 0 || result.Ordered != result.Accepted {
			t.Errorf("rate %v: verdict %+v", rate, result)
		}
	}
}

func TestResultKeepsItsFieldNames(t *testing.T) {
	encoded, err := json.Marshal(load.Result{})
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]any{}
	if err := json.Unmarshal(encoded, &fields); err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(`submitted accepted ordered ordered_per_second bytes_per_second p50_ms p90_ms p99_ms p999_ms
		lost duplicated reordered unknown rejected longest_pause_ms duration_s clean`)
	for _, field := range want {
		if _, found := fields[field]; !found {
			t.Errorf("%s is missing", field)
		}
		delete(fields, field)
	}
	if len(fields) > 0 {
		t.Errorf("unexpected %v", fields)
	}
}

func TestSenselessWorkloadsAreRefused(t *testing.T) {
	memory := ordertest.StartMemory(t, ordertest.MemoryConfig{})
	for name, config := range map[string]load.Config{
		"too small": {Size: load.MinSize - 1}, "negative rate": {Rate: -1}, "one subscription": {Subscribe: 1}, "more subscriptions than targets": {Subscribe: 9},
	} {
		if _, err := load.Run(context.Background(), config, inProcess(memory)...); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := load.Run(context.Background(), load.Config{}); err == nil {
		t.Error("no target: taken")
	}
}

// BenchmarkPerRequest measures what a request costs the generator, the judge of
// four subscriptions and an in-memory network together.
func BenchmarkPerRequest(b *testing.B) {
	for _, size := range []int{256, 1024} {
		b.Run(map[int]string{256: "256B", 1024: "1KiB"}[size], func(b *testing.B) {
			for b.Loop() {
				memory := ordertest.StartMemory(b, ordertest.MemoryConfig{Keep: 200})
				result, err := load.Run(context.Background(), load.Config{Size: size, Duration: time.Second}, inProcess(memory)...)
				if err != nil || !result.Clean {
					b.Fatal(err, result)
				}
				b.ReportMetric(result.OrderedPerSecond, "requests/s")
			}
		})
	}
}
