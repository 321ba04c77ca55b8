package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/sequencer/overview"
)

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
		order := overview.Order(*sorted)
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
		ctx, release := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
		defer release()
		screen := newScreen(cmd.OutOrStdout())
		tick := time.NewTicker(*every)
		defer tick.Stop()
		for {
			rows := glance(ctx, targets)
			if ctx.Err() != nil && !*once {
				return nil // who ends it has seen enough
			}
			slices.SortStableFunc(rows, order)
			err := screen.show(rows, *asJSON, *once)
			if err == nil && *once && !slices.ContainsFunc(rows, func(r overview.Row) bool { return r.Reached }) {
				err = exit.Errorf(exit.Unavailable, "no sequencer answered")
			}
			if err != nil || *once {
				return err
			}
			select {
			case <-ctx.Done():
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
func glance(ctx context.Context, targets []adminReach) []overview.Row {
	answers := make([]overview.Answer, len(targets))
	var asked sync.WaitGroup
	for k, target := range targets {
		answers[k].Asked = cmp.Or(target.node, target.address)
		asked.Go(func() { answers[k].Status, answers[k].Failure = askStatus(ctx, target) })
	}
	asked.Wait()
	return overview.Join(answers)
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
func (s *screen) show(rows []overview.Row, asJSON, once bool) error {
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

func printTop(out io.Writer, rows []overview.Row) error {
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
