// Package exit gives every command's failure the process exit code that scripts and supervisors act on.
//
// A command returns an ordinary error. Where the code matters, the error is wrapped once with one of the constructors
// below, and main turns it into a number with [Code]. The codes 75 and 78 are those of BSD's sysexits.h, so that systemd's
// RestartPreventExitStatus=78 keeps a node with a broken configuration from being restarted for ever.
package exit

import (
	"errors"
	"fmt"
)

// The exit codes of synod. They are an interface: none is ever renumbered.
const (
	OK          = 0  // done
	Failed      = 1  // the command was understood and did not succeed
	Usage       = 2  // unknown command, flag or argument
	Unhealthy   = 4  // a check ran and found something that is not healthy
	Unavailable = 75 // something this depends on cannot be reached now; trying again may help
	BadConfig   = 78 // configuration is wrong; trying again cannot help
)

// Error is an error that knows its exit code.
type Error struct {
	Code int
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the error that the code was attached to.
func (e *Error) Unwrap() error { return e.Err }

// With attaches an exit code to an error. A nil error stays nil.
func With(code int, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Code: code, Err: err}
}

// Errorf is [fmt.Errorf] with an exit code.
func Errorf(code int, format string, args ...any) error {
	return With(code, fmt.Errorf(format, args...))
}

// Code returns the exit code for what a command returned: that of the outermost [Error] in the chain, else [OK] for
// nil and [Failed] for anything else.
func Code(err error) int {
	if err == nil {
		return OK
	}
	var coded *Error
	if errors.As(err, &coded) {
		return coded.Code
	}
	return Failed
}
