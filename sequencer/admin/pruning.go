package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
)

// Pruner implements adminv1.PruningServiceServer and prunes by the schedule, which it keeps in a file.
type Pruner struct {
	adminv1.UnimplementedPruningServiceServer
	path    string
	prune   pruning
	audit   Auditor
	log     *slog.Logger
	changed chan struct{}

	busy chan struct{} // holds a token while somebody prunes

	mu       sync.Mutex
	schedule *Schedule
	next     time.Time // of the next run
	running  bool
	last     time.Time
	result   string
}

// NewPruner reads the schedule at path, or begins without one.
func NewPruner(path string, history History, blocks Blocks, log *slog.Logger) (*Pruner, error) {
	p := &Pruner{path: path, prune: pruning{history, blocks}, audit: NewAuditor(log), log: log, changed: make(chan struct{}, 1), busy: make(chan struct{}, 1)}
	if err := readFile(path, &p.schedule); err != nil {
		return nil, err
	}
	if p.schedule != nil {
		if why := p.schedule.check(time.Now()); why != "" {
			return nil, fmt.Errorf("%s: %s", path, why)
		}
	}
	return p, nil
}

// Register implements Service.
func (p *Pruner) Register(r grpc.ServiceRegistrar) { adminv1.RegisterPruningServiceServer(r, p) }

// clockLook is how often Run looks whether the clock was set.
const clockLook = time.Minute

// Run prunes by the schedule until ctx ends.
func (p *Pruner) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		s, next := p.plan(time.Now())
		timer.Stop()
		var due <-chan time.Time
		if s != nil {
			timer.Reset(max(0, min(clockLook, time.Until(next))))
			due = timer.C
		}
		select {
		case <-ctx.Done():
			return nil
		case <-p.changed:
			p.replan()
		case <-due:
			if time.Now().Before(next) {
				continue
			}
			p.runScheduled(ctx, *s)
			p.replan()
		}
	}
}

// plan returns the schedule and when its next run is, which holds until replan, or until the clock is set back.
func (p *Pruner) plan(now time.Time) (*Schedule, time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.schedule != nil {
		if next := p.schedule.next(now); p.next.IsZero() || next.Before(p.next) {
			p.next = next
		}
	}
	return p.schedule, p.next
}

func (p *Pruner) replan() {
	p.mu.Lock()
	p.next = time.Time{}
	p.mu.Unlock()
}

// runScheduled prunes for as long as the schedule allows.
func (p *Pruner) runScheduled(ctx context.Context, s Schedule) {
	p.mu.Lock()
	p.running, p.last = true, time.Now()
	p.mu.Unlock()
	bounded, cancel := context.WithTimeout(ctx, s.MaxDuration)
	defer cancel()
	done, err := p.run(bounded, s.Retention, s.MinBlocksToKeep)
	result := done.String()
	switch {
	case ctx.Err() != nil:
		result = "interrupted by the end of the process: " + result
	case bounded.Err() != nil:
		result = fmt.Sprintf("ended after %s, the rest goes with the next run: %s", s.MaxDuration, result)
	case err != nil:
		result = "failed: " + err.Error()
		p.log.Warn("cannot prune by the schedule; trying again at the next time", slog.Any("error", err))
	}
	p.mu.Lock()
	p.running, p.result = false, result
	p.mu.Unlock()
}

// errBusy: whoever asked for a run did not wait for the end of the one before.
var errBusy = errors.New("another run is in hand, and it was not waited for")

// run prunes once nobody else does.
func (p *Pruner) run(ctx context.Context, retention time.Duration, keep uint64) (pruned, error) {
	select {
	case p.busy <- struct{}{}:
		defer func() { <-p.busy }()
	case <-ctx.Done():
		return pruned{message: "nothing was done"}, fmt.Errorf("%w: %w", errBusy, ctx.Err())
	}
	return p.prune.run(ctx, retention, keep)
}

// GetPruningStatus implements the API.
func (p *Pruner) GetPruningStatus(context.Context, *adminv1.GetPruningStatusRequest) (*adminv1.GetPruningStatusResponse, error) {
	history, blocks := p.prune.history, p.prune.blocks
	s := blocks.Status()
	return &adminv1.GetPruningStatusResponse{
		Epoch: s.Epoch, Height: uint64(s.Head), LastBlockAt: s.Time, LowestHeight: uint64(s.Lowest), LowestEpoch: blocks.LowestEpoch(), StoreBytes: uint64(blocks.Bytes()),
		MembersNeedFrom: int64(history.PruningPoint()), OrderTime: int64(history.Time()), EventsPrunedTo: int64(history.Pruned()),
	}, nil
}

// Prune implements the API.
func (p *Pruner) Prune(ctx context.Context, r *adminv1.PruneRequest) (*adminv1.PruneResponse, error) {
	retention, keep := r.GetRetention().AsDuration(), r.GetMinBlocksToKeep()
	if r.GetRetention().CheckValid() != nil {
		return nil, invalid("the retention is missing or out of its range")
	}
	if why := checkPruning(retention, keep); why != "" {
		return nil, invalid(why)
	}
	done, err := p.run(ctx, retention, keep)
	p.audit.Note(ctx, "prune", err, slog.Duration("retention", retention), slog.Uint64("min_blocks_to_keep", keep), slog.Int64("up_to", int64(done.upTo)))
	switch {
	case errors.Is(err, errBusy):
		return nil, Failure(codes.Unavailable, reasonNotReady, err.Error())
	case err != nil:
		return nil, Failure(codes.Internal, reasonFailed, err.Error())
	}
	return &adminv1.PruneResponse{PrunedUpTo: int64(done.upTo), LowestHeight: done.lowest, Message: done.String()}, nil
}

// SetPruningSchedule implements the API.
func (p *Pruner) SetPruningSchedule(ctx context.Context, r *adminv1.SetPruningScheduleRequest) (*adminv1.SetPruningScheduleResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, why := changed(p.schedule, r)
	if why == "" {
		why = s.check(time.Now())
	}
	if why != "" {
		return nil, invalid(why)
	}
	err := p.store(&s)
	p.audit.Note(ctx, "set the pruning schedule", err, slog.String("cron", s.Cron), slog.Duration("max_duration", s.MaxDuration),
		slog.Duration("retention", s.Retention), slog.Uint64("min_blocks_to_keep", s.MinBlocksToKeep))
	if err != nil {
		return nil, Failure(codes.Internal, reasonNotStored, err.Error())
	}
	return &adminv1.SetPruningScheduleResponse{Schedule: s.message(), NextAt: s.next(time.Now()).UnixMicro()}, nil
}

// GetPruningSchedule implements the API.
func (p *Pruner) GetPruningSchedule(context.Context, *adminv1.GetPruningScheduleRequest) (*adminv1.GetPruningScheduleResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := &adminv1.GetPruningScheduleResponse{Schedule: p.schedule.message(), LastResult: p.result, Running: p.running}
	if !p.last.IsZero() {
		out.LastAt = p.last.UnixMicro()
	}
	if p.schedule != nil {
		next := p.next
		if p.running || next.IsZero() {
			next = p.schedule.next(time.Now())
		}
		out.NextAt = next.UnixMicro()
	}
	return out, nil
}

// ClearPruningSchedule implements the API.
func (p *Pruner) ClearPruningSchedule(ctx context.Context, _ *adminv1.ClearPruningScheduleRequest) (*adminv1.ClearPruningScheduleResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.store(nil)
	p.audit.Note(ctx, "clear the pruning schedule", err)
	if err != nil {
		return nil, Failure(codes.Internal, reasonNotStored, err.Error())
	}
	return &adminv1.ClearPruningScheduleResponse{}, nil
}

// store makes a schedule the one in force. The caller holds the mutex.
func (p *Pruner) store(s *Schedule) error {
	if err := writeFile(p.path, s); err != nil {
		return fmt.Errorf("store the pruning schedule: %w", err)
	}
	p.schedule, p.next = s, time.Time{}
	select {
	case p.changed <- struct{}{}:
	default:
	}
	return nil
}
