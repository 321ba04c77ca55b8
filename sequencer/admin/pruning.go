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
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// Bounds of a schedule.
const (
	MinPruningInterval = time.Second
	maxPruning         = 10 * 365 * 24 * time.Hour
	// MinBlocksToKeep is how many ordered blocks stay at least: peers that are behind need them.
	MinBlocksToKeep = 1000
)

// History is members' events.
type History interface {
	Time() sequencing.Time
	PruningPoint() sequencing.Time
	Prune(upTo sequencing.Time) error
}

// Blocks are the ordered blocks.
type Blocks interface {
	Status() ordering.Status
	// Prune drops the oldest blocks but keeps as many as asked for and whatever a restart, or a peer that is behind, needs. It
	// returns the oldest that is kept.
	Prune(ctx context.Context, keep uint64) (lowest uint64, err error)
	// Bytes is what the store takes on disk.
	Bytes() int64
}

// Schedule says when a sequencer prunes by itself.
type Schedule struct {
	Every           time.Duration `json:"every"`     // ns
	Retention       time.Duration `json:"retention"` // ns
	MinBlocksToKeep uint64        `json:"min_blocks_to_keep"`
}

// Pruner implements adminv1.PruningServiceServer and prunes by the schedule, which it keeps in a file.
type Pruner struct {
	adminv1.UnimplementedPruningServiceServer
	path    string
	history History
	blocks  Blocks
	now     func() time.Time
	audit   auditor
	log     *slog.Logger
	changed chan struct{}

	pruning sync.Mutex // one at a time

	mu       sync.Mutex
	schedule *Schedule
	last     time.Time
	result   string
}

// NewPruner reads the schedule at path, or begins without one.
func NewPruner(path string, history History, blocks Blocks, log *slog.Logger) (*Pruner, error) {
	p := &Pruner{path: path, history: history, blocks: blocks, now: time.Now, audit: auditor{log}, log: log, changed: make(chan struct{}, 1)}
	if err := readFile(path, &p.schedule); err != nil {
		return nil, err
	}
	if p.schedule != nil {
		if why := p.schedule.check(); why != "" {
			return nil, fmt.Errorf("%s: %s", path, why)
		}
	}
	return p, nil
}

// Register implements Service.
func (p *Pruner) Register(r grpc.ServiceRegistrar) { adminv1.RegisterPruningServiceServer(r, p) }

// Run prunes by the schedule until ctx ends.
func (p *Pruner) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		s := p.current()
		timer.Stop()
		var due <-chan time.Time
		if s != nil {
			timer.Reset(s.Every)
			due = timer.C
		}
		select {
		case <-ctx.Done():
			return nil
		case <-p.changed:
			continue
		case <-due:
		}
		_, _, message, err := p.prune(ctx, s.Retention, s.MinBlocksToKeep)
		if err != nil && ctx.Err() == nil {
			message = "failed: " + err.Error()
			p.log.Warn("cannot prune by the schedule; trying again at the next time", slog.Any("error", err))
		}
		p.mu.Lock()
		p.last, p.result = p.now(), message
		p.mu.Unlock()
	}
}

func (p *Pruner) current() *Schedule {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.schedule
}

// prune drops what is older than retention and not needed.
func (p *Pruner) prune(ctx context.Context, retention time.Duration, keep uint64) (upTo sequencing.Time, lowest uint64, message string, err error) {
	p.pruning.Lock()
	defer p.pruning.Unlock()
	needed := p.history.PruningPoint()
	upTo = min(p.history.Time()-sequencing.Time(retention.Microseconds()), needed)
	message = "members' events dropped as far as the retention allows"
	switch {
	case upTo <= 0:
		upTo, message = 0, "no event is older than the retention and acknowledged"
	case upTo == needed:
		message = "members' events dropped as far as all active members have acknowledged"
	}
	if upTo > 0 {
		if err := p.history.Prune(upTo); err != nil && !errors.Is(err, sequencing.ErrNeeded) {
			return 0, 0, "", fmt.Errorf("prune members' events: %w", err)
		}
	}
	lowest = uint64(p.blocks.Status().Lowest)
	if keep > 0 {
		if lowest, err = p.blocks.Prune(ctx, keep); err != nil {
			return upTo, 0, "", fmt.Errorf("prune ordered blocks: %w", err)
		}
	}
	return upTo, lowest, message, nil
}

// GetPruningStatus implements the API.
func (p *Pruner) GetPruningStatus(context.Context, *adminv1.GetPruningStatusRequest) (*adminv1.GetPruningStatusResponse, error) {
	s := p.blocks.Status()
	return &adminv1.GetPruningStatusResponse{
		Epoch: s.Epoch, Height: uint64(s.Head), LastBlockAt: s.Time, LowestHeight: uint64(s.Lowest), StoreBytes: uint64(p.blocks.Bytes()),
		MembersNeedFrom: int64(p.history.PruningPoint()), OrderTime: int64(p.history.Time()),
	}, nil
}

// Prune implements the API.
func (p *Pruner) Prune(ctx context.Context, r *adminv1.PruneRequest) (*adminv1.PruneResponse, error) {
	asked, why := scheduleOf(durationpb.New(MinPruningInterval), r.GetRetention(), r.GetMinBlocksToKeep())
	if why != "" {
		return nil, invalid(why)
	}
	upTo, lowest, message, err := p.prune(ctx, asked.Retention, asked.MinBlocksToKeep)
	p.audit.note(ctx, "prune", err, slog.Duration("retention", asked.Retention), slog.Uint64("min_blocks_to_keep", asked.MinBlocksToKeep), slog.Int64("up_to", int64(upTo)))
	if err != nil {
		return nil, failure(codes.Internal, "FAILED", err.Error())
	}
	return &adminv1.PruneResponse{PrunedUpTo: int64(upTo), LowestHeight: lowest, Message: message}, nil
}

// SetPruningSchedule implements the API.
func (p *Pruner) SetPruningSchedule(ctx context.Context, r *adminv1.SetPruningScheduleRequest) (*adminv1.SetPruningScheduleResponse, error) {
	m := r.GetSchedule()
	s, why := scheduleOf(m.GetEvery(), m.GetRetention(), m.GetMinBlocksToKeep())
	if why != "" {
		return nil, invalid(why)
	}
	err := p.store(&s)
	p.audit.note(ctx, "set the pruning schedule", err, slog.Duration("every", s.Every), slog.Duration("retention", s.Retention), slog.Uint64("min_blocks_to_keep", s.MinBlocksToKeep))
	if err != nil {
		return nil, failure(codes.Internal, reasonNotStored, err.Error())
	}
	return &adminv1.SetPruningScheduleResponse{}, nil
}

// GetPruningSchedule implements the API.
func (p *Pruner) GetPruningSchedule(context.Context, *adminv1.GetPruningScheduleRequest) (*adminv1.GetPruningScheduleResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := &adminv1.GetPruningScheduleResponse{LastResult: p.result}
	if !p.last.IsZero() {
		out.LastAt = p.last.UnixMicro()
	}
	if s := p.schedule; s != nil {
		out.Schedule = &adminv1.PruningSchedule{Every: durationpb.New(s.Every), Retention: durationpb.New(s.Retention), MinBlocksToKeep: s.MinBlocksToKeep}
	}
	return out, nil
}

// ClearPruningSchedule implements the API.
func (p *Pruner) ClearPruningSchedule(ctx context.Context, _ *adminv1.ClearPruningScheduleRequest) (*adminv1.ClearPruningScheduleResponse, error) {
	err := p.store(nil)
	p.audit.note(ctx, "clear the pruning schedule", err)
	if err != nil {
		return nil, failure(codes.Internal, reasonNotStored, err.Error())
	}
	return &adminv1.ClearPruningScheduleResponse{}, nil
}

func (p *Pruner) store(s *Schedule) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := writeFile(p.path, s); err != nil {
		return fmt.Errorf("store the pruning schedule: %w", err)
	}
	p.schedule = s
	select {
	case p.changed <- struct{}{}:
	default:
	}
	return nil
}

func scheduleOf(every, retention *durationpb.Duration, keep uint64) (s Schedule, why string) {
	if every.CheckValid() != nil || retention.CheckValid() != nil {
		return s, "a duration is missing or out of its range"
	}
	s = Schedule{Every: every.AsDuration(), Retention: retention.AsDuration(), MinBlocksToKeep: keep}
	return s, s.check()
}

// check says what is wrong with a schedule, or nothing.
func (s Schedule) check() string {
	switch {
	case s.Every < MinPruningInterval || s.Every > maxPruning:
		return "the interval must be 1s to 10 years"
	case s.Retention < 0 || s.Retention > maxPruning:
		return "the retention must be 0s to 10 years"
	case s.MinBlocksToKeep != 0 && s.MinBlocksToKeep < MinBlocksToKeep:
		return fmt.Sprintf("%d blocks are too few for peers to catch up from; keep at least %d, or write 0 to leave blocks alone", s.MinBlocksToKeep, MinBlocksToKeep)
	}
	return ""
}
