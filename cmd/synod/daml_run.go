package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/engine"
	"github.com/synod-network/synod/daml/ledger"
	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/script"
	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/node/exit"
)

func newDamlRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run FILE.dar SCRIPT.json",
		Short: "Run commands on a ledger in memory, and show what each party sees",
		Long: "run executes a list of commands (docs/daml-run.md describes it) on a ledger in memory and prints every transaction as a\n" +
			"tree, with who sees which node. It needs no network, and stores nothing unless --cache says where.",
		Example: "  synod daml run iou.dar iou.json",
		Args:    exactArgs("FILE.dar", "SCRIPT.json"),
	}
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object a line for each step (default false)")
	parties := cmd.Flags().Bool("parties", true, "also print what each party sees of each transaction")
	whole := cmd.Flags().Bool("whole", false, "do not shorten values (default false)")
	pv34 := cmd.Flags().Bool("pv34", false, "let exceptions undo creates and archivals, as protocol version 34 did (default false)")
	more := cmd.Flags().StringArray("dar", nil, "also upload this DAR; may be given several times (default none)")
	var cacheDir string
	compiledFlag(cmd, &cacheDir)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		text, err := os.ReadFile(args[1])
		if err != nil {
			return exit.Errorf(exit.Usage, "%w", err)
		}
		steps, err := script.Parse(text)
		if err != nil {
			return exit.Errorf(exit.Usage, "%s: %w", args[1], err)
		}
		l := ledger.New(engine.New(engine.DefaultLimits()))
		if l.Cache, err = openCompiled(cmd, cacheDir); err != nil {
			return err
		}
		if *pv34 {
			l.Rollback = tx.EffectsRollBack
		}
		var main *lf.Package
		for _, path := range append([]string{args[0]}, *more...) {
			dar, err := archive.OpenDAR(path, archive.Limits{})
			if err != nil {
				return exit.Errorf(exit.Usage, "%w", err)
			}
			pkg, err := l.Upload(dar)
			if err != nil {
				return exit.Errorf(exit.Usage, "%s: %w", path, err)
			}
			if main == nil {
				main = pkg
			}
		}
		printer := &script.Printer{Out: cmd.OutOrStdout(), Color: colorful(cmd), Whole: *whole, Parties: *parties}
		each := printer.Outcome
		if *asJSON {
			each = func(o *script.Outcome) error { return json.NewEncoder(cmd.OutOrStdout()).Encode(o) }
		}
		runner := &script.Runner{Ledger: l, Main: main}
		if err := runner.Run(cmd.Context(), steps, each); err != nil {
			var failure *engine.Failure
			if errors.As(err, &failure) && !errors.Is(err, script.ErrExpectation) {
				return fmt.Errorf("%s: a step failed that should not: %w", args[1], err)
			}
			return fmt.Errorf("%s: %w", args[1], err)
		}
		if *asJSON {
			return nil
		}
		return printer.Active(l)
	}
	return cmd
}

// colorful says whether the command writes to a terminal that may be colored.
func colorful(cmd *cobra.Command) bool {
	f, isFile := cmd.OutOrStdout().(*os.File)
	return isFile && os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(f.Fd()))
}
