package stories

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestOwnersSayWhoMayJoin: owners close the network, permit one namespace, take that back, and open the network again.
func TestOwnersSayWhoMayJoin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	readyFile, home := filepath.Join(dir, "ready.json"), filepath.Join(dir, "net")
	s := launch(t, "sandbox", filepath.Join(dir, "log"), "sandbox", "--dir", home, "--ready-file", readyFile, "--base-port", "0")
	waitReady(t, readyFile, s)
	// Each command runs until what it prints has all that is wanted: what is accepted is in force a moment later.
	wants := func(code int, wanted []string, arguments ...string) {
		t.Helper()
		within(t, patience, strings.Join(arguments, " "), func() error {
			p := launch(t, arguments[0], filepath.Join(dir, "command.log"), append(slices.Clone(arguments), "--ready-file", readyFile)...)
			got := p.exitCode(patience)
			said := "\n" + p.stdout() + p.lastLines(1)
			for _, w := range wanted {
				if !strings.Contains(said, w) {
					return fmt.Errorf("want %q in %s", w, said)
				}
			}
			if got != code {
				return fmt.Errorf("exit code %d: %s", got, said)
			}
			return nil
		})
	}
	owner := []string{"--genesis", filepath.Join(home, "genesis.toml"), "--owner-keys", filepath.Join(home, "owners", "owner1")}
	namespace := "1220" + strings.Repeat("a1", 32)
	load := []string{"load", "--rate", "50", "--duration", "200ms", "--members", "2"}

	wants(0, []string{"\nunrestricted; 4 of"}, "members", "namespaces")
	wants(0, nil, append([]string{"network", "onboarding", "--mode", "restricted"}, owner...)...)
	wants(0, []string{"\nrestricted; 4 of", " 0 permissions"}, "members", "namespaces")
	wants(1, []string{"register", "onboarding-restricted"}, load...)
	wants(0, []string{namespace}, append([]string{"network", "permit", namespace, "--mappings", "64"}, owner...)...)
	wants(0, []string{" 1 permissions", namespace + "  yes        0         64"}, "members", "namespaces")
	wants(0, []string{"no longer"}, append([]string{"network", "permit", namespace, "--revoke"}, owner...)...)
	wants(0, []string{" 0 permissions"}, "members", "namespaces")
	wants(0, nil, append([]string{"network", "onboarding", "--mode", "unrestricted"}, owner...)...)
	wants(0, []string{"clean"}, load...)
}
