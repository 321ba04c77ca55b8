package stories

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestDiskFull: a node whose disk is full stops with one clear error rather than go on without a memory; the others order on.
// Given room, it starts again and catches up.
func TestDiskFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("making a small disk takes root")
	}
	c := found(t, 4)
	full := c.nodes[3]
	disk := smallDisk(t, full.at.DataDir, "24m")
	c.start()
	traffic := drive(t, c.others(full), "--size", "16KiB", "--rate", "300")
	code := full.exitCode(2 * patience)
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	last := full.lastLines(1)
	t.Log(last)
	if !strings.HasPrefix(last, "synod: ") || !strings.Contains(last, "no space left on device") {
		t.Errorf("the last words do not say that the disk is full: %s", last)
	}
	c.orders(c.others(full)...)
	if err := syscall.Mount("none", disk, "tmpfs", syscall.MS_REMOUNT, "size=2g"); err != nil {
		t.Fatal(err)
	}
	full.start()
	c.ready(full)
	c.level()
	traffic.finish()
	c.agree()
}

// smallDisk puts a directory onto a disk of its own, of the given size.
func smallDisk(t *testing.T, dir, size string) (mounted string) {
	t.Helper()
	content := t.TempDir()
	if err := os.CopyFS(content, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size="+size); err != nil {
		if errors.Is(err, syscall.EPERM) {
			t.Skip("this machine lets nobody mount a disk")
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := os.CopyFS(dir, os.DirFS(content)); err != nil {
		t.Fatal(err)
	}
	return filepath.Clean(dir)
}
