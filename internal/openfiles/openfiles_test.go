package openfiles_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"syscall"
	"testing"

	"github.com/synod-network/synod/internal/openfiles"
)

// However few there are, connections and the indexes of two stores leave some for the rest.
func TestShares(t *testing.T) {
	for _, tc := range []struct{ limit, connections, index int }{
		{128, 32, 16}, {256, 64, 32}, {512, 128, 64}, {1024, 256, 128}, {2048, 1024, 256}, {4096, 3072, 256}, {65536, 16384, 256}, {math.MaxInt, 16384, 256},
	} {
		t.Run(fmt.Sprint(tc.limit), func(t *testing.T) {
			connections, index := openfiles.Connections(tc.limit), openfiles.Index(tc.limit)
			if connections != tc.connections || index != tc.index {
				t.Errorf("%d connections and %d files of an index, want %d and %d", connections, index, tc.connections, tc.index)
			}
			if left := tc.limit - connections - 2*index; left < min(tc.limit/4, 512) {
				t.Errorf("%d files are left", left)
			}
		})
	}
}

func TestAdvice(t *testing.T) {
	for err, want := range map[error]string{
		fmt.Errorf("open: %w", syscall.EMFILE): "ulimit -n", fmt.Errorf("open: %w", syscall.ENFILE): "fs.file-max",
		errors.New("index gave up: open 000012.sst: too many open files"): "ulimit -n",
	} {
		if advice := openfiles.Advice(err); !openfiles.Exhausted(err) || !strings.Contains(advice, want) {
			t.Errorf("%v: %s", err, advice)
		}
	}
	if openfiles.Exhausted(syscall.ENOSPC) {
		t.Error("a full disk is taken for it")
	}
}

// Go raises what may be raised, which is why nothing here does.
func TestTheLimitIsRaised(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur < limit.Max && limit.Cur < 1<<20 {
		t.Errorf("%d open files, %d would be allowed", limit.Cur, limit.Max)
	}
	if limit.Cur <= math.MaxInt32 && uint64(openfiles.Limit()) != limit.Cur {
		t.Errorf("limit %d, want %d", openfiles.Limit(), limit.Cur)
	}
}
