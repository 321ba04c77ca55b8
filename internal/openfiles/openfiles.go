// Package openfiles shares out the files that the system lets a process have open (RLIMIT_NOFILE): connections are files too, and a
// process that has given all of them away cannot write its store any more.
//
// Go raises the limit to the hard one by itself when a program starts; what the operator set as hard limit is left.
package openfiles

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"syscall"
)

const (
	// own is what a node needs itself: 512 for the indexes of its two stores, and others for segments, peers and operators.
	own = 1024
	// mostConnections are enough for any number of members, and their memory is no danger.
	mostConnections = 16384
	mostIndex       = 256
)

// Limit is how many files this process may have open, [math.MaxInt] if the system does not say.
func Limit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > math.MaxInt32 {
		return math.MaxInt
	}
	return int(limit.Cur)
}

// Connections is how many of a limit clients may have: what is left beside the node's own, or a quarter where that is more.
func Connections(limit int) int { return min(max(limit-own, limit/4, 1), mostConnections) }

// Index is how many of a limit one index of a store may keep open: 256, or an eighth where that is less.
func Index(limit int) int { return min(max(limit/8, 16), mostIndex) }

// Exhausted reports whether an error says that no more files can be opened. Its text counts too: a store hands some errors on as text.
func Exhausted(err error) bool { return is(err, syscall.EMFILE) || is(err, syscall.ENFILE) }

func is(err error, cause syscall.Errno) bool {
	return errors.Is(err, cause) || err != nil && strings.Contains(err.Error(), cause.Error())
}

// Advice is what an operator should do about it.
func Advice(err error) string {
	if is(err, syscall.ENFILE) {
		return "raise the limit of open files of this machine (fs.file-max) and start again"
	}
	return fmt.Sprintf("raise the limit of open files of this process, %d (ulimit -n, LimitNOFILE of systemd), and start again", Limit())
}
