package node_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/synod-network/synod/node"
)

// diary is the order in which things happened.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, ", ")
}

// stage notes its starts, drains and ends.
func (d *diary) stage(name string) node.Stage {
	return node.Stage{
		Name: name,
		Run: func(ctx context.Context, ready func()) error {
			d.note("start " + name)
			ready()
			<-ctx.Done()
			d.note("end " + name)
			return nil
		},
		Drain: func(context.Context) error { d.note("drain " + name); return nil },
	}
}

func newGroup(signals chan os.Signal, stages ...node.Stage) *node.Group {
	return &node.Group{
		Stages: stages, Health: node.NewHealth(), Log: slog.New(slog.DiscardHandler),
		LameDuck: 3 * time.Second, DrainTimeout: 10 * time.Second, Signals: signals,
	}
}

// running starts the group and returns how it ended.
func running(t *testing.T, g *node.Group) <-chan error {
	done := make(chan error, 1)
	go func() { done <- g.Run(t.Context()) }()
	synctest.Wait()
	return done
}

func TestStopIsTheReverseOfStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		signals := make(chan os.Signal)
		done := running(t, newGroup(signals, d.stage("store"), d.stage("links"), d.stage("service")))
		signals <- syscall.SIGTERM
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		const want = "start store, start links, start service, " +
			"drain service, end service, drain links, end links, drain store, end store"
		if d.String() != want {
			t.Fatalf("got  %s\nwant %s", d.String(), want)
		}
	})
}

func TestHealthGoesDownBeforeAnythingElseStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		signals := make(chan os.Signal)
		g := newGroup(signals, d.stage("service"))
		done := running(t, g)
		if !g.Health.IsReady().OK {
			t.Fatal("not ready while running")
		}
		began := time.Now()
		signals <- syscall.SIGTERM
		synctest.Wait()
		if g.Health.IsReady().OK || !g.Health.IsLive().OK {
			t.Fatal("want live and not ready in the lame-duck time")
		}
		if d.String() != "start service" {
			t.Fatalf("something stopped in the lame-duck time: %s", d.String())
		}
		<-done
		if took := time.Since(began); took != g.LameDuck {
			t.Fatalf("stopped after %s, want the lame-duck time of %s", took, g.LameDuck)
		}
	})
}

func TestDrainEndsAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals := make(chan os.Signal)
		endless := node.Stage{
			Name: "service",
			Run: func(ctx context.Context, ready func()) error {
				ready()
				<-ctx.Done()
				return nil
			},
			Drain: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		}
		g := newGroup(signals, endless)
		done := running(t, g)
		began := time.Now()
		signals <- syscall.SIGINT
		err := <-done
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "drain service") {
			t.Fatalf("got %v, want the drain of service to run out of time", err)
		}
		if took, want := time.Since(began), g.LameDuck+g.DrainTimeout; took != want {
			t.Fatalf("stopped after %s, want %s", took, want)
		}
	})
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		signals := make(chan os.Signal)
		done := running(t, newGroup(signals, d.stage("store"), d.stage("service")))
		began := time.Now()
		signals <- syscall.SIGTERM
		signals <- syscall.SIGTERM
		if err := <-done; !errors.Is(err, node.ErrForced) {
			t.Fatalf("got %v, want ErrForced", err)
		}
		if took := time.Since(began); took != 0 {
			t.Fatalf("took %s", took)
		}
	})
}

func TestAStageThatDoesNotEndIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		signals, release := make(chan os.Signal), make(chan struct{})
		stuck := node.Stage{Name: "links", Run: func(_ context.Context, ready func()) error {
			ready()
			<-release
			return nil
		}}
		done := running(t, newGroup(signals, d.stage("store"), stuck))
		signals <- syscall.SIGTERM
		if err := <-done; err == nil || !strings.Contains(err.Error(), "stop links: did not end within") {
			t.Fatalf("got %v", err)
		}
		if got := d.String(); got != "start store, drain store, end store" {
			t.Fatalf("the others were not stopped in order: %s", got)
		}
		close(release)
	})
}

func TestAStageThatFailsStopsTheOthers(t *testing.T) {
	broken := errors.New("disk on fire")
	for _, tc := range []struct {
		name  string
		ready bool
		want  string
	}{
		{"while starting", false, "start store, drain store, end store"},
		{"while running", true, "start store, start service, drain service, end service, drain store, end store"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var d diary
				failing := node.Stage{Name: "links", Run: func(_ context.Context, ready func()) error {
					if tc.ready {
						ready()
						<-time.After(time.Minute)
					}
					return broken
				}}
				done := running(t, newGroup(nil, d.stage("store"), failing, d.stage("service")))
				if err := <-done; !errors.Is(err, broken) || !strings.Contains(err.Error(), "links") {
					t.Fatalf("got %v, want the failure of links", err)
				}
				if d.String() != tc.want {
					t.Fatalf("got  %s\nwant %s", d.String(), tc.want)
				}
			})
		})
	}
}

func TestASignalDuringStartStopsWhatHasStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		signals := make(chan os.Signal)
		slow := node.Stage{Name: "catch-up", Run: func(ctx context.Context, _ func()) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		done := running(t, newGroup(signals, d.stage("store"), slow, d.stage("service")))
		signals <- syscall.SIGTERM
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got := d.String(); got != "start store, drain store, end store" {
			t.Fatal(got)
		}
	})
}

func TestHangupReloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		signals := make(chan os.Signal)
		g := newGroup(signals, d.stage("service"))
		g.Reload = func() error { d.note("reload"); return errors.New("bad level") }
		done := running(t, g)
		signals <- syscall.SIGHUP
		signals <- syscall.SIGTERM
		if err := <-done; err != nil {
			t.Fatalf("a failed reload must not stop the process: %v", err)
		}
		if !slices.Contains(d.lines, "reload") {
			t.Fatal("not reloaded")
		}
	})
}
