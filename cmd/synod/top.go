package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/node/exit"
)

// topRow is one sequencer as it describes itself, or as others see it.
type topRow struct {
	Name        string    `json:"name"`
	Reached     bool      `json:"reached"`
	Ready       bool      `json:"ready"`
	Epoch       uint64    `json:"epoch"`
	Height      uint64    `json:"height"`
	Lag         uint64    `json:"lag"`           // blocks behind the highest that anybody has
	RoundTripUs uint64    `json:"round_trip_us"` // the median of what others measure
	Score       float64   `json:"score"`         // the lowest that others give
	LastBlock   time.Time `json:"last_block"`    // its own newest, as others saw it
	Why         string    `json:"why"`
}

// topOrder is how rows are sorted by what --sort names; nil if there is no such order.
func topOrder(by string) func(a, b topRow) int {
	switch by {
	case "name":
		return func(a, b topRow) int { return strings.Compare(a.Name, b.Name) }
	case "height":
		return func(a, b topRow) int { return cmp.Compare(b.Height, a.Height) }
	case "lag":
		return func(a, b topRow) int { return cmp.Compare(b.Lag, a.Lag) }
	case "rtt":
		return func(a, b topRow) int { return cmp.Compare(b.RoundTripUs, a.RoundTripUs) }
	case "score":
		return func(a, b topRow) int { return cmp.Compare(a.Score, b.Score) }
	case "last-block":
		return func(a, b topRow) int { return a.LastBlock.Compare(b.LastBlock) }
	}
	return nil
}

func newTop() *cobra.Command {
	cmd := &cobra.Command{
		Use: "top", Short: "Watch the sequencers: height, lag, round trip, score, last block", Args: noArgs,
		Long: "Asks every sequencer that --net, --ready-file or --admin names and shows one line for each member, worst first if sorted by\n" +
			"lag, rtt, score or last-block. A sequencer that does not answer is shown as the others see it.",
		Example: "  synod top --net ./net --sort lag\n  synod top --ready-file ./net/ready.json --once --json",
	}
	var admin adminReach
	admin.flags(cmd)
	sorted := cmd.Flags().String("sort", "name", "name, height, lag, rtt, score or last-block")
	once := cmd.Flags().Bool("once", false, "print once and end (default false)")
	asJSON := cmd.Flags().Bool("json", false, "print JSON, a line each time (default false)")
	every := cmd.Flags().Duration("every", time.Second, "time between two looks")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		order := topOrder(*sorted)
		if order == nil {
			return exit.Errorf(exit.Usage, "--sort %q is unknown; use name, height, lag, rtt, score or last-block", *sorted)
		}
		if *every < 100*time.Millisecond {
			return exit.Errorf(exit.Usage, "--every %s is too often; use 100ms or more", *every)
		}
		targets, err := admin.all()
		if err != nil {
			return err
		}
		screen := newScreen(cmd.OutOrStdout())
		tick := time.NewTicker(*every)
		defer tick.Stop()
		for {
			rows := glance(cmd.Context(), targets)
			slices.SortStableFunc(rows, order)
			err := screen.show(rows, *asJSON, *once)
			if err == nil && *once && !slices.ContainsFunc(rows, func(r topRow) bool { return r.Reached }) {
				err = exit.Errorf(exit.Unavailable, "no sequencer answered")
			}
			if err != nil || *once {
				return err
			}
			select {
			case <-cmd.Context().Done():
				return nil
			case <-tick.C:
			}
		}
	}
	return cmd
}

// topPatience is how long a sequencer may take to answer.
const topPatience = 2 * time.Second

// glance asks all sequencers at once and joins what they say.
func glance(ctx context.Context, targets []adminReach) []topRow {
	answers, failures := make([]*adminv1.GetStatusResponse, len(targets)), make([]error, len(targets))
	var asked sync.WaitGroup
	for k := range targets {
		asked.Go(func() { answers[k], failures[k] = askStatus(ctx, targets[k]) })
	}
	asked.Wait()
	return joined(targets, answers, failures)
}

func askStatus(ctx context.Context, r adminReach) (*adminv1.GetStatusResponse, error) {
	conn, err := r.connect()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, topPatience)
	defer cancel()
	s, err := adminv1.NewNodeServiceClient(conn).GetStatus(ctx, &adminv1.GetStatusRequest{})
	if err != nil {
		return nil, r.explain(err)
	}
	return s, nil
}

// joined makes one row of each sequencer from what all say.
func joined(targets []adminReach, answers []*adminv1.GetStatusResponse, failures []error) (rows []topRow) {
	at := map[string]int{}
	row := func(name string) *topRow {
		if _, ok := at[name]; !ok {
			at[name] = len(rows)
			rows = append(rows, topRow{Name: name})
		}
		return &rows[at[name]]
	}
	highest := uint64(0)
	trips := map[string][]uint64{}
	for k, s := range answers {
		if s == nil {
			row(cmp.Or(targets[k].node, targets[k].address)).Why = failures[k].Error()
			continue
		}
		r := row(s.GetName())
		r.Reached, r.Ready, r.Epoch, r.Height, r.Why = true, s.GetReady(), s.GetEpoch(), s.GetHeight(), s.GetNotReadyReason()
		highest = max(highest, s.GetHighestSeen())
		for _, m := range s.GetStandings() {
			of := row(m.GetName())
			if stamped := m.GetLastBlockAt(); stamped > 0 && time.UnixMicro(stamped).After(of.LastBlock) {
				of.LastBlock = time.UnixMicro(stamped).UTC()
			}
			if !m.GetSelf() {
				of.Score = min(of.Score, m.GetScore())
				if m.GetRoundTripUs() > 0 {
					trips[m.GetName()] = append(trips[m.GetName()], m.GetRoundTripUs())
				}
			}
		}
	}
	for k := range rows {
		r := &rows[k]
		if r.Reached {
			r.Lag = highest - r.Height
		}
		if t := trips[r.Name]; len(t) > 0 {
			slices.Sort(t)
			r.RoundTripUs = t[len(t)/2]
		}
	}
	return rows
}

// screen shows what changes in place on a terminal, and one after the other elsewhere.
type screen struct {
	out      io.Writer
	terminal bool
	colour   bool
	shown    int // lines on the terminal
}

func newScreen(out io.Writer) *screen {
	file, ok := out.(*os.File)
	terminal := ok && term.IsTerminal(int(file.Fd()))
	return &screen{out: out, terminal: terminal, colour: terminal && os.Getenv("NO_COLOR") == ""}
}

// show writes all rows in one piece, each line over that before it, so that nothing flickers (ECMA-48: CUU, EL, ED).
func (s *screen) show(rows []topRow, asJSON, once bool) error {
	if asJSON {
		return json.NewEncoder(s.out).Encode(rows)
	}
	var text bytes.Buffer
	if err := printTop(&text, rows); err != nil {
		return err
	}
	if !s.terminal || once {
		_, err := s.out.Write(text.Bytes())
		return err
	}
	lines := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
	var frame bytes.Buffer
	if s.shown > 0 {
		fmt.Fprintf(&frame, "\x1b[%dA", s.shown)
	}
	for k, line := range lines {
		if s.colour && k > 0 && !rows[k-1].Ready {
			line = "\x1b[31m" + line + "\x1b[0m"
		}
		frame.WriteString("\r" + line + "\x1b[K\n")
	}
	frame.WriteString("\x1b[J")
	s.shown = len(lines)
	_, err := s.out.Write(frame.Bytes())
	return err
}

// maxWhy keeps a reason from breaking the line of a terminal, in bytes.
const maxWhy = 60

func printTop(out io.Writer, rows []topRow) error {
	return table(out, "SEQUENCER\tREADY\tEPOCH\tHEIGHT\tLAG\tROUND TRIP\tSCORE\tLAST BLOCK\tWHY", func(row func(string, ...any)) {
		for _, r := range rows {
			height, lag, epoch := "-", "-", "-"
			if r.Reached {
				height, lag, epoch = fmt.Sprint(r.Height), fmt.Sprint(r.Lag), fmt.Sprint(r.Epoch)
			}
			last := "-"
			if !r.LastBlock.IsZero() {
				last = r.LastBlock.Format("15:04:05.000")
			}
			row("%s\t%s\t%s\t%s\t%s\t%s\t%+.3f\t%s\t%.*s", r.Name, yesNo(r.Ready), epoch, height, lag,
				time.Duration(r.RoundTripUs)*time.Microsecond, r.Score, last, maxWhy, strings.ReplaceAll(r.Why, "\n", " "))
		}
	})
}
