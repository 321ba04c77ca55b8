package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/synod-network/synod/sequencer/sequencing"
)

func TestNothingIsSignedUnseen(t *testing.T) {
	purchase := sequencing.Request{Body: &sequencing.TrafficPurchase{Member: "PAR::alice", Serial: 1, Total: 700}, Signatures: make([]sequencing.KeySignature, 1)}
	acknowledgement := sequencing.Request{Body: &sequencing.Acknowledgement{Member: "PAR::alice", UpTo: 5}, Signatures: make([]sequencing.KeySignature, 1)}
	for _, c := range []struct {
		name    string
		content []byte
		flags   []string
		want    string
	}{
		{"without a terminal and --yes", purchase.Encode(), nil, "write --yes"},
		{"what it shows", purchase.Encode(), nil, `about to sign: "PAR::alice has bought 700 bytes of traffic in all, by purchase 1" (signatures so far: 1)`},
		{"with --yes the sequencer is asked", purchase.Encode(), []string{"--yes"}, "127.0.0.1:1"},
		{"with --yes it is shown too", purchase.Encode(), []string{"--yes", "--json"}, "about to sign"},
		{"no decision", []byte("buy alice all she wants"), []string{"--yes"}, "this is no decision"},
		{"another request", acknowledgement.Encode(), []string{"--yes"}, "no decision about a member"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "decision")
			if err := os.WriteFile(file, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			var out, trouble bytes.Buffer
			root := newRoot()
			root.SetArgs(append([]string{"members", "sign", file, "--admin", "127.0.0.1:1"}, c.flags...))
			root.SetOut(&out)
			root.SetErr(&trouble)
			root.SetIn(strings.NewReader("y\n"))
			err := root.Execute()
			if err == nil || !strings.Contains(trouble.String()+err.Error(), c.want) || out.Len() > 0 {
				t.Errorf("%v, with %q on standard output and %q beside", err, out.String(), trouble.String())
			}
			if c.flags == nil && strings.Contains(err.Error(), "127.0.0.1:1") {
				t.Errorf("the sequencer was asked: %v", err)
			}
		})
	}
}

func TestOnlyYesIsYes(t *testing.T) {
	for answer, signs := range map[string]bool{"y\n": true, "YES\n": true, "yes": true, "n\n": false, "\n": false, "": false, "yeah, why not\n": false, strings.Repeat(" ", 1<<10) + "y\n": false} {
		var out bytes.Buffer
		if err := ask(strings.NewReader(answer), &out); (err == nil) != signs || out.String() != "sign it? [y/N] " {
			t.Errorf("%q: %v", answer, err)
		}
	}
}
