package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/cache"
	"github.com/synod-network/synod/daml/engine"
	"github.com/synod-network/synod/daml/inspect"
	"github.com/synod-network/synod/daml/text"
	"github.com/synod-network/synod/node/exit"
)

func newDaml() *cobra.Command {
	return group("daml", "Look into, check and make Daml packages",
		newDamlInspect(),
		newDamlCheck(),
		newDamlAssemble(),
		newDamlRun(),
	)
}

func newDamlInspect() *cobra.Command {
	var asJSON, all, asText bool
	cmd := &cobra.Command{
		Use:   "inspect F.dar",
		Short: "Show the packages of a DAR, their templates, choices and interfaces",
		Long: "Lists the packages of a DAR and what its main package holds. With --text it writes the main package in the textual form of\n" +
			"Daml-LF, which synod daml assemble turns back into the same package.",
		Args: exactArgs("F.dar"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dar, err := archive.OpenDAR(args[0], archive.Limits{})
			if err != nil {
				return err
			}
			if asText {
				pkg, err := dar.Main().Decode(archive.Limits{})
				if err != nil {
					return err
				}
				_, err = io.WriteString(cmd.OutOrStdout(), text.Print(pkg))
				return err
			}
			d := inspect.Archives(dar, archive.Limits{})
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), d)
			}
			return d.Print(cmd.OutOrStdout(), all)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print JSON, with everything about every package")
	f.BoolVar(&all, "all", false, "show what every package holds, not only the main one")
	f.BoolVar(&asText, "text", false, "write the main package in the textual form of Daml-LF")
	return cmd
}

func newDamlCheck() *cobra.Command {
	var asJSON bool
	var upgrades, cacheDir string
	cmd := &cobra.Command{
		Use:   "check F.dar",
		Short: "Check that the packages of a DAR are valid, or that one may replace an older version",
		Long: "Validates every package of a DAR: types, patterns, what can be stored, templates, interfaces, names. With --upgrades OLD.dar\n" +
			"it checks also that the main package may replace that of the older DAR. Exits with 4 if something is wrong.",
		Args: exactArgs("F.dar"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dar, err := archive.OpenDAR(args[0], archive.Limits{})
			if err != nil {
				return err
			}
			compiled, err := openCompiled(cmd, cacheDir)
			if err != nil {
				return err
			}
			report := inspect.Check(dar, archive.Limits{}, compiled)
			if upgrades != "" && report.OK {
				old, err := archive.OpenDAR(upgrades, archive.Limits{})
				if err != nil {
					return err
				}
				if report, err = inspect.CheckUpgrade(old, dar, archive.Limits{}); err != nil {
					return err
				}
			}
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), report)
			} else {
				err = report.Print(cmd.OutOrStdout())
			}
			if err == nil && !report.OK {
				err = exit.Errorf(exit.Unhealthy, "%s: %s", args[0], report.Verdict())
			}
			return err
		},
	}
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.StringVar(&upgrades, "upgrades", "", "DAR with the version of the main package that this one is to replace")
	compiledFlag(cmd, &cacheDir)
	return cmd
}

func compiledFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "cache", "", "folder that keeps packages once they were found valid and compiled, for the next time; it belongs\n"+
		"to one user, and may be deleted (default none)")
}

// openCompiled opens the folder for compiled packages, if there is to be one.
func openCompiled(cmd *cobra.Command, dir string) (engine.Cache, error) {
	if dir == "" {
		return nil, nil
	}
	c, err := cache.Open(dir, cache.Options{Log: slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))})
	if err != nil {
		return nil, exit.Errorf(exit.Usage, "%w", err)
	}
	return c, nil
}

func newDamlAssemble() *cobra.Command {
	var out string
	var deps []string
	cmd := &cobra.Command{
		Use:   "assemble F.lf",
		Short: "Make a DAR from a package in the textual form of Daml-LF",
		Args:  exactArgs("F.lf"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return exit.Errorf(exit.Usage, "say with -o where to write the DAR, such as -o %s.dar", strings.TrimSuffix(args[0], ".lf"))
			}
			source, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			dar, err := text.Assemble(string(source), deps)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if err := writeDAR(out, dar); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), dar.Main().ID)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVarP(&out, "output", "o", "", "file to write the DAR to")
	f.StringSliceVar(&deps, "dep", nil, "DAR whose packages the DAR will hold too, since the text refers to them; may be repeated")
	return cmd
}

func writeDAR(path string, dar *archive.DAR) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	err = dar.Write(f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
