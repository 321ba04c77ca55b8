package admin_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/sequencer/admin"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// kept is what a sequencer keeps, in memory: members' events up to now, of which all up to acknowledged ago are acknowledged, and blocks
// of which the first were dropped.
type kept struct {
	acknowledged, slow time.Duration // slow is how long a step takes
	head               uint64

	mu     sync.Mutex
	pruned sequencing.Time
	steps  int
	lowest uint64
	broken error
}

func at(t time.Time) sequencing.Time { return sequencing.Time(t.UnixMicro()) }

func (k *kept) Time() sequencing.Time         { return at(time.Now()) }
func (k *kept) PruningPoint() sequencing.Time { return at(time.Now().Add(-k.acknowledged)) }
func (k *kept) LowestEpoch() uint64           { return 3 }
func (k *kept) Bytes() int64                  { return 1 << 20 }

func (k *kept) Pruned() sequencing.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.pruned
}

func (k *kept) Prune(upTo sequencing.Time) error {
	if err := sequencing.CheckPrune(upTo, k.PruningPoint()); err != nil {
		return err
	}
	time.Sleep(k.slow)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.steps++
	if k.broken != nil {
		return k.broken
	}
	k.pruned = max(k.pruned, upTo)
	return nil
}

func (k *kept) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.broken = err
}

// ordered are the blocks of what is kept.
type ordered struct{ *kept }

func (k ordered) Status() ordering.Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	return ordering.Status{Head: ordering.Height(k.head), Lowest: ordering.Height(k.lowest)}
}

func (k ordered) Prune(_ context.Context, keep uint64) (uint64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.steps++
	k.lowest = max(k.lowest, k.head-keep+1)
	return k.lowest, k.broken
}

// running runs a pruner over what is kept for the length of the test, which must be a bubble of synctest.
func running(t *testing.T, path string, k *kept) (p *admin.Pruner, stop func()) {
	t.Helper()
	p, err := admin.NewPruner(path, k, ordered{k}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	synctest.Wait() // it waits for a schedule, or for its time
	return p, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func nightly(retention time.Duration) *adminv1.SetPruningScheduleRequest {
	cron := "30 2 * * *"
	return &adminv1.SetPruningScheduleRequest{Cron: &cron, MaxDuration: durationpb.New(time.Hour), Retention: durationpb.New(retention)}
}

// until lets the time of the bubble pass. Bubbles begin at midnight UTC.
func until(day int, hour, minute int) {
	time.Sleep(time.Until(time.Date(2000, 1, day, hour, minute, 0, 0, time.UTC)))
	synctest.Wait()
}

// TestPrunesByTheSchedule: nothing goes before the time, what is older than the retention goes at it, once each night, over a restart
// too; and nothing any more once the schedule is cleared.
func TestPrunesByTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, k := filepath.Join(t.TempDir(), "pruning.json"), &kept{head: 50_000, lowest: 1}
		p, stop := running(t, path, k)
		request, keep := nightly(24*time.Hour), uint64(20_000)
		request.MinBlocksToKeep = &keep
		answer, err := p.SetPruningSchedule(t.Context(), request)
		first := time.Date(2000, 1, 1, 2, 30, 0, 0, time.UTC)
		if err != nil || answer.GetNextAt() != first.UnixMicro() {
			t.Fatalf("next run at %v: %v", time.UnixMicro(answer.GetNextAt()).UTC(), err)
		}
		until(1, 2, 29)
		if k.Pruned() != 0 {
			t.Fatal("pruned before its time")
		}
		until(1, 2, 31)
		if got, want := k.Pruned(), at(first.Add(-24*time.Hour)); got != want {
			t.Errorf("pruned up to %d, want %d", got, want)
		}
		if k.lowest != 30_001 {
			t.Errorf("blocks kept from %d", k.lowest)
		}
		got, _ := p.GetPruningSchedule(t.Context(), &adminv1.GetPruningScheduleRequest{})
		if got.GetLastAt() != first.UnixMicro() || got.GetNextAt() != first.Add(24*time.Hour).UnixMicro() || !strings.Contains(got.GetLastResult(), "retention allows") {
			t.Errorf("schedule %v", got)
		}
		if status, err := p.GetPruningStatus(t.Context(), &adminv1.GetPruningStatusRequest{}); err != nil || status.GetLowestHeight() != 30_001 || status.GetLowestEpoch() != 3 {
			t.Errorf("status %v, %v", status, err)
		}
		until(1, 23, 0)
		if k.Pruned() != at(first.Add(-24*time.Hour)) {
			t.Error("pruned a second time on the same day")
		}
		stop()
		p, stop = running(t, path, k)
		until(2, 2, 31)
		if k.Pruned() != at(first) {
			t.Errorf("after a restart: pruned up to %d, want %d", k.Pruned(), at(first))
		}
		if _, err := p.ClearPruningSchedule(t.Context(), &adminv1.ClearPruningScheduleRequest{}); err != nil {
			t.Fatal(err)
		}
		until(4, 0, 0)
		if k.Pruned() != at(first) {
			t.Error("pruned by a schedule that was cleared")
		}
		stop()
	})
}

// TestARunEndsAfterItsDuration: what a run does not get done goes with the next one.
func TestARunEndsAfterItsDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kept{slow: 10 * time.Minute}
		p, stop := running(t, filepath.Join(t.TempDir(), "pruning.json"), k)
		defer stop()
		if _, err := p.SetPruningSchedule(t.Context(), nightly(0)); err != nil {
			t.Fatal(err)
		}
		until(1, 3, 0)
		if got, _ := p.GetPruningSchedule(t.Context(), &adminv1.GetPruningScheduleRequest{}); !got.GetRunning() {
			t.Error("the run in hand is not told")
		}
		until(1, 4, 0)
		steps, reached := k.steps, k.Pruned()
		if steps < 5 || steps > 7 || reached >= at(time.Date(2000, 1, 1, 2, 30, 0, 0, time.UTC)) {
			t.Errorf("%d steps of ten minutes in an hour, up to %d", steps, reached)
		}
		got, _ := p.GetPruningSchedule(t.Context(), &adminv1.GetPruningScheduleRequest{})
		if !strings.HasPrefix(got.GetLastResult(), "ended after 1h0m0s") || got.GetRunning() {
			t.Errorf("told %v", got)
		}
		until(2, 4, 0)
		if k.steps <= steps || k.Pruned() <= reached {
			t.Error("the next run did not go on")
		}
	})
}

// TestAFailedRunIsToldAndTriedAgain: a failure ends neither the pruner nor the schedule.
func TestAFailedRunIsToldAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kept{broken: errors.New("disk is full")}
		p, stop := running(t, filepath.Join(t.TempDir(), "pruning.json"), k)
		defer stop()
		if _, err := p.SetPruningSchedule(t.Context(), nightly(0)); err != nil {
			t.Fatal(err)
		}
		until(1, 3, 0)
		if got, _ := p.GetPruningSchedule(t.Context(), &adminv1.GetPruningScheduleRequest{}); !strings.Contains(got.GetLastResult(), "failed: prune members' events: disk is full") {
			t.Errorf("told %q", got.GetLastResult())
		}
		if _, err := p.Prune(t.Context(), &adminv1.PruneRequest{Retention: durationpb.New(0)}); status.Code(err) != codes.Internal {
			t.Errorf("by hand: %v", err)
		}
		k.fail(nil)
		until(2, 3, 0)
		if k.Pruned() == 0 {
			t.Error("not tried again")
		}
	})
}

// TestWhatStays: blocks are left alone unless a number to keep is named, and so many are kept then; and a request that does not say what
// is to go has nothing go.
func TestWhatStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range []struct {
			name    string
			request *adminv1.PruneRequest
			code    codes.Code
			lowest  uint64
			events  bool
		}{
			{"no number of blocks", &adminv1.PruneRequest{Retention: durationpb.New(time.Hour)}, codes.OK, 1001, true},
			{"one block less than there are", &adminv1.PruneRequest{Retention: durationpb.New(time.Hour), MinBlocksToKeep: 9999}, codes.OK, 1002, true},
			{"as many as there are", &adminv1.PruneRequest{Retention: durationpb.New(time.Hour), MinBlocksToKeep: 10_000}, codes.OK, 1001, true},
			{"the fewest that may be kept", &adminv1.PruneRequest{Retention: durationpb.New(time.Hour), MinBlocksToKeep: admin.MinBlocksToKeep}, codes.OK, 10_001, true},
			{"fewer", &adminv1.PruneRequest{Retention: durationpb.New(time.Hour), MinBlocksToKeep: admin.MinBlocksToKeep - 1}, codes.InvalidArgument, 1001, false},
			{"no retention", &adminv1.PruneRequest{MinBlocksToKeep: 2000}, codes.InvalidArgument, 1001, false},
			{"a negative one", &adminv1.PruneRequest{Retention: durationpb.New(-time.Hour)}, codes.InvalidArgument, 1001, false},
			{"one out of range", &adminv1.PruneRequest{Retention: &durationpb.Duration{Seconds: 1, Nanos: -1}}, codes.InvalidArgument, 1001, false},
			{"all that there is", &adminv1.PruneRequest{Retention: durationpb.New(10 * 365 * 24 * time.Hour)}, codes.OK, 1001, true},
			{"and more", &adminv1.PruneRequest{Retention: durationpb.New(10*365*24*time.Hour + time.Microsecond)}, codes.InvalidArgument, 1001, false},
		} {
			k := &kept{head: 11_000, lowest: 1001}
			p, stop := running(t, filepath.Join(t.TempDir(), "pruning.json"), k)
			answer, err := p.Prune(t.Context(), tc.request)
			if status.Code(err) != tc.code || k.lowest != tc.lowest || (k.Pruned() != 0) != tc.events || err == nil && answer.GetLowestHeight() != tc.lowest {
				t.Errorf("%s: blocks from %d, events up to %d: %v, %v", tc.name, k.lowest, k.Pruned(), answer, err)
			}
			stop()
		}
	})
}

// TestNothingToPrune: neither an epoch before all events nor a member that came meanwhile is a failure.
func TestNothingToPrune(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kept{acknowledged: 50 * 365 * 24 * time.Hour}
		p, stop := running(t, filepath.Join(t.TempDir(), "pruning.json"), k)
		defer stop()
		answer, err := p.Prune(t.Context(), &adminv1.PruneRequest{Retention: durationpb.New(0)})
		if err != nil || answer.GetPrunedUpTo() != 0 || k.steps != 0 {
			t.Errorf("before all events: %v, %v, %d steps", answer, err, k.steps)
		}
		k.acknowledged = 0
		k.fail(sequencing.ErrNeeded)
		answer, err = p.Prune(t.Context(), &adminv1.PruneRequest{Retention: durationpb.New(0)})
		if err != nil || answer.GetPrunedUpTo() >= int64(k.Time()) || k.steps != 1 {
			t.Errorf("needed meanwhile: %v, %v, %d steps", answer, err, k.steps)
		}
	})
}

// TestAScheduleThatCannotBeStored: the operator is told, and the one before is in force.
func TestAScheduleThatCannotBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		p, stop := running(t, filepath.Join(dir, "file", "pruning.json"), &kept{})
		defer stop()
		if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil { // where a directory should be made
			t.Fatal(err)
		}
		_, err := p.SetPruningSchedule(t.Context(), nightly(0))
		wantReason(t, "on a full disk", err, codes.Internal, "store the pruning schedule")
		if got, err := p.GetPruningSchedule(t.Context(), &adminv1.GetPruningScheduleRequest{}); err != nil || got.GetSchedule() != nil {
			t.Errorf("in force all the same: %v, %v", got, err)
		}
	})
}

// TestMembersHoldPruningBack: what a member has not acknowledged stays, however old it is.
func TestMembersHoldPruningBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kept{acknowledged: 48 * time.Hour}
		p, stop := running(t, filepath.Join(t.TempDir(), "pruning.json"), k)
		defer stop()
		answer, err := p.Prune(t.Context(), &adminv1.PruneRequest{Retention: durationpb.New(time.Hour)})
		if want := at(time.Now().Add(-48 * time.Hour)); err != nil || k.Pruned() != want || answer.GetPrunedUpTo() != int64(want) || !strings.Contains(answer.GetMessage(), "acknowledged") {
			t.Errorf("pruned up to %d, want %d: %v: %v", k.Pruned(), want, answer, err)
		}
	})
}

func TestWhatIsNotNamedStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, stop := running(t, filepath.Join(t.TempDir(), "pruning.json"), &kept{})
		defer stop()
		if _, err := p.SetPruningSchedule(t.Context(), &adminv1.SetPruningScheduleRequest{Retention: durationpb.New(0)}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("a retention without a schedule: %v", err)
		}
		cron := "30 2 * * *"
		if _, err := p.SetPruningSchedule(t.Context(), &adminv1.SetPruningScheduleRequest{Cron: &cron, MaxDuration: durationpb.New(time.Hour)}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("a schedule without a retention: %v", err)
		}
		if _, err := p.SetPruningSchedule(t.Context(), nightly(time.Hour)); err != nil {
			t.Fatal(err)
		}
		answer, err := p.SetPruningSchedule(t.Context(), &adminv1.SetPruningScheduleRequest{Retention: durationpb.New(2 * time.Hour)})
		s := answer.GetSchedule()
		if err != nil || s.GetCron() != "30 2 * * *" || s.GetMaxDuration().AsDuration() != time.Hour || s.GetRetention().AsDuration() != 2*time.Hour {
			t.Errorf("schedule %v: %v", s, err)
		}
	})
}

func TestWrongSchedules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "pruning.json")
		p, stop := running(t, path, &kept{})
		defer stop()
		for _, tc := range []struct {
			name   string
			change func(*adminv1.SetPruningScheduleRequest)
			want   string
		}{
			{"no cron", func(r *adminv1.SetPruningScheduleRequest) { *r.Cron = "" }, "half past two"},
			{"words", func(r *adminv1.SetPruningScheduleRequest) { *r.Cron = "each night" }, "half past two"},
			{"minute 61", func(r *adminv1.SetPruningScheduleRequest) { *r.Cron = "61 * * * *" }, "half past two"},
			{"a time zone", func(r *adminv1.SetPruningScheduleRequest) { *r.Cron = "TZ=Europe/Berlin" }, "times are UTC"},
			{"a year", func(r *adminv1.SetPruningScheduleRequest) { *r.Cron = "0 30 2 * * * 2030" }, "a year cannot be given"},
			{"back in time", func(r *adminv1.SetPruningScheduleRequest) { *r.Cron = "@every -5m" }, "too often"},
			{"without a pause", func(r *adminv1.SetPruningScheduleRequest) { *r.Cron = "@every 1ms" }, "too often"},
			{"never", func(r *adminv1.SetPruningScheduleRequest) { *r.Cron = "0 0 30 2 *" }, "no such time"},
			{"much text", func(r *adminv1.SetPruningScheduleRequest) { *r.Cron = strings.Repeat("1,", 200) + "1 * * * *" }, "more than 200 bytes"},
			{"no time to run", func(r *adminv1.SetPruningScheduleRequest) { r.MaxDuration = durationpb.New(time.Millisecond) }, "1s to 30 days"},
			{"for ever", func(r *adminv1.SetPruningScheduleRequest) { r.MaxDuration = durationpb.New(admin.MaxPruningRun + 1) }, "1s to 30 days"},
			{"no duration", func(r *adminv1.SetPruningScheduleRequest) {
				r.MaxDuration = &durationpb.Duration{Nanos: -1, Seconds: 1}
			}, "out of its range"},
			{"the future", func(r *adminv1.SetPruningScheduleRequest) { r.Retention = durationpb.New(-time.Hour) }, "0s to 10 years"},
			{"few blocks", func(r *adminv1.SetPruningScheduleRequest) { few := uint64(999); r.MinBlocksToKeep = &few }, "too few"},
		} {
			r := nightly(0)
			tc.change(r)
			if _, err := p.SetPruningSchedule(t.Context(), r); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
			}
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Error("a wrong schedule was stored")
		}
		for _, length := range []time.Duration{admin.MinPruningRun, admin.MaxPruningRun} {
			r, keep := nightly(10*365*24*time.Hour), uint64(admin.MinBlocksToKeep)
			r.MaxDuration, r.MinBlocksToKeep = durationpb.New(length), &keep
			if _, err := p.SetPruningSchedule(t.Context(), r); err != nil {
				t.Errorf("the last that is allowed, runs of %s: %v", length, err)
			}
		}
		for name, content := range map[string]string{
			"cut off": "{", "of another kind": `{"every": 3600000000000}`, "wrong": `{"cron": "61 * * * *", "max_duration": 3600000000000, "retention": 0, "min_blocks_to_keep": 0}`,
		} {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := admin.NewPruner(path, &kept{}, ordered{&kept{}}, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("a file that is %s: %v", name, err)
			}
		}
	})
}

// TestCronTimes: the times are UTC whatever the machine's zone is, also where clocks change; seconds may be given.
func TestCronTimes(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	for _, tc := range []struct{ cron, after, want string }{
		{"30 2 * * *", "2026-03-28T03:00:00+01:00", "2026-03-28T02:30:00Z"},
		{"30 2 * * *", "2026-03-29T01:59:00+01:00", "2026-03-29T02:30:00Z"}, // there is no such time in Berlin that night
		{"15 30 2 * * *", "2026-01-01T00:00:00Z", "2026-01-01T02:30:15Z"},
		{"0 0 * * SUN", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"},
		{"0 0 * * 0", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"},
		{"*/20 9-10 1 */3 ?", "2026-01-01T09:30:00Z", "2026-01-01T09:40:00Z"},
		{"@weekly", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"},
		{"@every 90m", "2026-01-01T00:00:00Z", "2026-01-01T01:30:00Z"},
	} {
		after, err := time.Parse(time.RFC3339, tc.after)
		if err != nil {
			t.Fatal(err)
		}
		if got := admin.NextRun(admin.Schedule{Cron: tc.cron}, after.In(berlin)).Format(time.RFC3339); got != tc.want {
			t.Errorf("%s after %s: %s, want %s", tc.cron, tc.after, got, tc.want)
		}
	}
}

// TestAClockThatWasSetBack: the next run comes by the clock as it is, and not when an earlier, wrong one would have had it.
func TestAClockThatWasSetBack(t *testing.T) {
	for _, expression := range []string{"30 2 * * *", "@every 1h"} {
		p, err := admin.NewPruner(filepath.Join(t.TempDir(), "pruning.json"), &kept{}, ordered{&kept{}}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		request := nightly(time.Hour)
		request.Cron = &expression
		if _, err := p.SetPruningSchedule(t.Context(), request); err != nil {
			t.Fatal(err)
		}
		wrong, right := time.Date(2036, 1, 1, 1, 0, 0, 0, time.UTC), time.Date(2026, 1, 1, 2, 0, 0, 0, time.UTC)
		if next := admin.Planned(p, wrong); next.Year() != 2036 {
			t.Errorf("%s: next at %v", expression, next)
		}
		first := admin.Planned(p, right)
		if wait := first.Sub(right); wait <= 0 || wait > time.Hour {
			t.Errorf("%s: after the clock was put right the next run is in %v", expression, wait)
		}
		if again := admin.Planned(p, right.Add(10*time.Minute)); !again.Equal(first) {
			t.Errorf("%s: it moves on with time, from %v to %v", expression, first, again)
		}
	}
}

// TestWhoWaitsForARunMayLeave: a call that waits for a run in hand ends with its caller, and prunes nothing afterwards.
func TestWhoWaitsForARunMayLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kept{slow: time.Hour}
		p, stop := running(t, filepath.Join(t.TempDir(), "pruning.json"), k)
		defer stop()
		request := &adminv1.PruneRequest{Retention: durationpb.New(time.Minute)}
		first := make(chan error, 1)
		go func() {
			_, err := p.Prune(t.Context(), request)
			first <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := p.Prune(ctx, request)
		if took := time.Since(began); status.Code(err) != codes.Unavailable || took > 2*time.Second {
			t.Errorf("after %v: %v", took, err)
		}
		if err := <-first; err != nil {
			t.Error(err)
		}
	})
}
