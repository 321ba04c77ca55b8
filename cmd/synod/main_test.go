package main

import (
	"encoding/hex"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/synod-network/synod/daml"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"synod": main,
	})
}

// TestCommands runs the stories in testdata against the real command line.
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			code := daml.Source()
			env.Setenv("CODE", hex.EncodeToString(code[:8])) // in the names of compiled packages
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits,
		},
	})
}

// exits runs a command and wants it to fail with the code: exits 78 synod config check node.toml.
func exits(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) < 2 {
		ts.Fatalf("usage: exits code command [args…]")
	}
	err := ts.Exec(args[1], args[2:]...)
	if want := "exit status " + args[0]; err == nil || err.Error() != want {
		ts.Fatalf("want %s, got %v", want, err)
	}
}
