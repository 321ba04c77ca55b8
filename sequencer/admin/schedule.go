package admin

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
)

// Bounds of a schedule.
const (
	// MinPruningRun is the least that a run may last.
	MinPruningRun = time.Second
	// MaxPruningRun is the most: a run that goes on for longer is not what anybody means by a window.
	MaxPruningRun = 30 * 24 * time.Hour
	maxPruningAge = 10 * 365 * 24 * time.Hour
	maxCronText   = 200 // bytes
	// MinBlocksToKeep is how many ordered blocks stay at least: peers that are behind need them.
	MinBlocksToKeep = 1000
)

// Schedule says when a sequencer prunes by itself. It prunes for itself alone, so that nothing needs to be agreed: the times are UTC by
// its own clock. Ages are counted back from the agreed time up to which its members can read.
type Schedule struct {
	Cron            string        `json:"cron"`
	MaxDuration     time.Duration `json:"max_duration"` // ns; a run ends after it, and the next one goes on from there
	Retention       time.Duration `json:"retention"`    // ns
	MinBlocksToKeep uint64        `json:"min_blocks_to_keep"`
}

// parseCron reads five fields as cron(8) has them, or six with seconds before them, or one of the names that begin with @.
func parseCron(text string) (cron.Schedule, error) {
	switch {
	case len(text) > maxCronText:
		return nil, fmt.Errorf("it has more than %d bytes", maxCronText)
	case strings.Contains(text, "TZ="):
		return nil, errors.New("times are UTC; a time zone cannot be given")
	case len(strings.Fields(text)) == 7:
		return nil, errors.New("a year cannot be given; write five fields, or six with seconds before them")
	}
	if span, found := strings.CutPrefix(text, "@every "); found {
		if every, err := time.ParseDuration(span); err == nil && every < time.Second {
			return nil, fmt.Errorf("%s is too often; write @every 1s or more", every)
		}
	}
	parser := cron.NewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
	return parser.Parse(text)
}

// next is the first time after another at which a run begins; zero if there is none within years.
func (s Schedule) next(after time.Time) time.Time {
	times, err := parseCron(s.Cron)
	if err != nil {
		return time.Time{} // check refuses such a schedule
	}
	return times.Next(after.UTC())
}

// check says what is wrong with a schedule, or nothing.
func (s Schedule) check(now time.Time) string {
	if _, err := parseCron(s.Cron); err != nil {
		return fmt.Sprintf("cron expression %q: %v; write it like \"30 2 * * *\" for half past two each night", s.Cron, err)
	}
	switch {
	case s.next(now).IsZero():
		return fmt.Sprintf("cron expression %q: no such time comes in the next years", s.Cron)
	case s.MaxDuration < MinPruningRun || s.MaxDuration > MaxPruningRun:
		return "the longest duration of a run must be 1s to 30 days"
	}
	return checkPruning(s.Retention, s.MinBlocksToKeep)
}

// checkPruning says what is wrong with what is to be kept, or nothing.
func checkPruning(retention time.Duration, keep uint64) string {
	switch {
	case retention < 0 || retention > maxPruningAge:
		return "the retention must be 0s to 10 years"
	case keep != 0 && keep < MinBlocksToKeep:
		return fmt.Sprintf("%d blocks are too few for peers to catch up from; keep at least %d, or write 0 to leave blocks alone", keep, MinBlocksToKeep)
	}
	return ""
}

// changed is the schedule with what a request says of it. There was none before if old is nil.
func changed(old *Schedule, r *adminv1.SetPruningScheduleRequest) (s Schedule, why string) {
	if old != nil {
		s = *old
	} else if r.Cron == nil || r.GetMaxDuration() == nil || r.GetRetention() == nil {
		return s, "there is no schedule yet: name a cron expression, the longest duration of a run and a retention"
	}
	for _, d := range []struct {
		said *durationpb.Duration
		of   *time.Duration
	}{{r.GetMaxDuration(), &s.MaxDuration}, {r.GetRetention(), &s.Retention}} {
		if d.said == nil {
			continue
		}
		if d.said.CheckValid() != nil {
			return s, "a duration is out of its range"
		}
		*d.of = d.said.AsDuration()
	}
	if r.Cron != nil {
		s.Cron = strings.Join(strings.Fields(r.GetCron()), " ")
	}
	if r.MinBlocksToKeep != nil {
		s.MinBlocksToKeep = r.GetMinBlocksToKeep()
	}
	return s, ""
}

func (s *Schedule) message() *adminv1.PruningSchedule {
	if s == nil {
		return nil
	}
	return &adminv1.PruningSchedule{
		Cron: s.Cron, MaxDuration: durationpb.New(s.MaxDuration), Retention: durationpb.New(s.Retention), MinBlocksToKeep: s.MinBlocksToKeep,
	}
}
