// Package pgtest runs a PostgreSQL server for tests: its own data directory, no network, a Unix socket, stopped and removed at the end.
//
//	server := pgtest.Start(t)
//	pool, err := pgxpool.New(ctx, server.Database(t))
//
// A server takes about two seconds to make, so tests of a package share one; each takes a database of its own. [Server.Kill] and
// [Server.Restart] are for tests of outages, which want a server of their own.
//
// PostgreSQL refuses to run as root, so for root it runs as the user postgres or nobody. Where it is not installed, tests that need
// it are skipped with a hint, unless SYNOD_REQUIRE_POSTGRES is set, as the full test run does.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a running PostgreSQL.
type Server struct {
	bin       string // folder of the programs
	dir       string // holds the data directory and the socket
	user      *syscall.Credential
	settings  []string
	process   *exec.Cmd
	exited    chan error
	log       bytes.Buffer // read only after exited
	databases atomic.Int64
}

// Start makes and starts a server and stops it when the test ends. Settings are lines of postgresql.conf, such as "fsync = on".
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	bin, err := find()
	if err != nil {
		if os.Getenv("SYNOD_REQUIRE_POSTGRES") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	s := &Server{bin: bin, settings: append([]string{"listen_addresses = ''", "fsync = off", "max_connections = 50", "shared_buffers = 64MB"}, settings...)}
	if s.user, err = unprivileged(); err != nil {
		t.Fatal(err)
	}
	if s.dir, err = os.MkdirTemp("/tmp", "pg"); err != nil { // short: the path of a socket may have 107 bytes
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(s.dir) })
	if err := s.initialise(); err != nil {
		t.Fatal(err)
	}
	s.Restart(t)
	t.Cleanup(func() { s.Kill(t) })
	return s
}

// find returns the folder with initdb and postgres.
func find() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // where Debian keeps it
	if err != nil || len(found) == 0 {
		return "", errors.New("PostgreSQL is not installed: run tools/install-test-tools.sh as root, or apt-get install postgresql")
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}

// unprivileged returns whom the server runs as: nil for the user of this process, unless that is root.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
			gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(errUID, errGID)
		}
	}
	return nil, errors.New("run PostgreSQL for tests: it refuses root, and there is no user postgres or nobody")
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = attributes(s.user)
	return cmd
}

func (s *Server) initialise() error {
	if s.user != nil {
		if err := os.Chown(s.dir, int(s.user.Uid), int(s.user.Gid)); err != nil {
			return err
		}
	}
	out, err := s.command("initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "-D", s.data()).CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	conf, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = conf.Close() }()
	for _, line := range append(s.settings, "unix_socket_directories = '"+s.dir+"'") {
		if _, err := fmt.Fprintln(conf, line); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Restart starts the server after [Server.Kill] and waits until it answers.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.log.Reset()
	s.process = s.command("postgres", "-D", s.data())
	s.process.Stdout, s.process.Stderr = &s.log, &s.log
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	s.exited = make(chan error, 1)
	go func() { s.exited <- s.process.Wait() }()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := s.answers()
		if err == nil {
			return
		}
		select {
		case exit := <-s.exited:
			s.exited <- exit
			t.Fatalf("PostgreSQL ended while starting: %v\n%s", exit, s.log.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("PostgreSQL does not answer: %v", err)
		}
	}
}

func (s *Server) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.dsn("postgres"))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// Kill ends the server at once, connections and all, as a crash does; what was committed stays.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	if s.process == nil {
		return
	}
	if err := s.process.Process.Signal(syscall.SIGQUIT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	<-s.exited
	s.process = nil
}

// Database makes an empty database and returns how to connect to it.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	conn, err := pgx.Connect(context.Background(), s.dsn("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(context.Background(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	return s.dsn(name)
}

// Host is the folder of the socket, which clients take as the host.
func (s *Server) Host() string { return s.dir }

func (s *Server) dsn(database string) string {
	return "host=" + s.dir + " user=postgres dbname=" + database + " connect_timeout=5"
}
