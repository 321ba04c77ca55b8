package stories

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLostDisk: a node comes back without its store. It takes everything from its peers, and proposes again only in an epoch in which
// it cannot have signed anything: nobody finds it at odds with itself.
func TestLostDisk(t *testing.T) {
	c := found(t, 4)
	c.start()
	traffic := drive(t, c.nodes)
	c.orders(c.nodes...)
	victim := c.nodes[1]
	victim.kill()
	if err := os.RemoveAll(victim.at.DataDir); err != nil {
		t.Fatal(err)
	}
	c.orders(c.others(victim)...)
	victim.start()
	c.ready(victim)
	c.level()
	c.orders(victim)
	traffic.finish()
	c.agree()
}

// TestRestoredCopy: a node's store is an old copy, put back by somebody who says so. What it signed since the copy was made, it does
// not sign again differently.
func TestRestoredCopy(t *testing.T) {
	c := found(t, 4)
	c.start()
	traffic := drive(t, c.nodes)
	c.orders(c.nodes...)
	victim, backup := c.nodes[2], filepath.Join(t.TempDir(), "backup")
	if code := victim.stop(); code != 0 {
		t.Fatalf("exit code %d after TERM", code)
	}
	if err := os.CopyFS(backup, os.DirFS(victim.at.DataDir)); err != nil {
		t.Fatal(err)
	}
	victim.start()
	c.ready(victim)
	c.orders(c.nodes...)
	victim.kill()
	if err := os.RemoveAll(victim.at.DataDir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(victim.at.DataDir, os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	victim.start("--rejoin")
	c.ready(victim)
	c.level()
	c.orders(victim)
	traffic.finish()
	c.agree()
}
