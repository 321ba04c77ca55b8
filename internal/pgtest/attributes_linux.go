package pgtest

import "syscall"

// attributes keeps the server from being left behind by a killed test.
func attributes(user *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: user, Pdeathsig: syscall.SIGKILL}
}
