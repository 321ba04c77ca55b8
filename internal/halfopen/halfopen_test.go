package halfopen_test

import (
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/synod-network/synod/internal/halfopen"
	"github.com/synod-network/synod/internal/halfopen/halfopentest"
)

// span is longer than a busy machine stands still between two lines of a test.
const span = 2 * time.Second

// TestVanishedMachineIsNoticed: what is written is taken by the kernel, so only the silence of the other end tells.
func TestVanishedMachineIsNoticed(t *testing.T) {
	t.Parallel()
	far, near := halfopentest.Pair(t, span)
	halfopentest.Vanish(t, far)
	if _, err := near.Write([]byte("are you there?")); err != nil {
		t.Fatalf("the kernel refused it at once: %v", err)
	}
	if _, err := near.Read(make([]byte, 1)); !halfopen.IsGone(err) {
		t.Errorf("the connection ended with %v", err)
	}
}

// TestReaderThatStopsIsNoticed: the machine is there and acknowledges, but its program takes nothing, so its window stays closed.
func TestReaderThatStopsIsNoticed(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux limits it")
	}
	t.Parallel()
	_, near := halfopentest.Pair(t, span)
	_, err := io.Copy(near, endless{})
	if !halfopen.IsGone(err) {
		t.Errorf("the connection ended with %v", err)
	}
}

// endless is a reader of zeros.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
