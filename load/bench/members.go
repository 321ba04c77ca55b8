package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/synod-network/synod/load/members"
	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/node/network"
)

// runMembers runs a workload of members: each sequencer is a process of its own, this one is the load. All
// listeners have TLS.
func runMembers(ctx context.Context, o Options, dir string, log io.Writer) (_ Result, err error) {
	w := o.Workload
	self, err := os.Executable()
	if err != nil {
		return Result{}, err
	}
	plan := network.DefaultPlan(filepath.Join(dir, "net"))
	plan.Onboarding.Namespaces = max(plan.Onboarding.Namespaces, uint32(4*w.Members))
	plan.Sequencers = w.Nodes
	if plan.BasePort, err = freeBase(w.Nodes); err != nil {
		return Result{}, err
	}
	n, err := network.Create(plan)
	if err != nil {
		return Result{}, err
	}
	certificate, key, pool, err := makeCertificate(dir)
	if err != nil {
		return Result{}, err
	}
	cores := shareOut(w.Nodes + 1)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
	var nodes []*exec.Cmd
	defer func() {
		for _, c := range nodes {
			if c.ProcessState == nil {
				err = errors.Join(err, c.Process.Kill())
				_ = c.Wait()
			}
		}
	}()
	dial := []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}))}
	pprof := ""
	if o.CPUProfile != "" {
		pprof = "127.0.0.1:0"
	}
	var targets []members.Target
	for _, at := range n.Nodes {
		c := exec.CommandContext(ctx, self, "sequencer", "--config", at.ConfigFile, "--ready-file", at.Dir+"/ready",
			"--set", "public.tls_cert_file="+certificate, "--set", "public.tls_key_file="+key, "--set", "log.level=warn", "--set", "admin.pprof_listen="+pprof,
			"--set", "public.registrations_per_second=10000", "--set", "public.host_registrations_per_second=10000")
		c.Stderr, c.Env = log, append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(cores))
		if err := c.Start(); err != nil {
			return Result{}, err
		}
		nodes = append(nodes, c)
	}
	var profiled []string
	for _, at := range n.Nodes {
		listeners, err := waitReady(ctx, at.Dir+"/ready")
		if err != nil {
			return Result{}, fmt.Errorf("%s: %w", at.Name, err)
		}
		targets = append(targets, members.Target{Address: listeners["public"], Options: dial})
		if pprof != "" {
			profiled = append(profiled, listeners["pprof"])
		}
	}
	work := members.Config{Rate: w.Rate, Size: w.Size, Members: w.Members, Recipients: w.Recipients, InFlight: max(1, w.Outstanding/w.Members), Unary: w.Unary, Listen: 1, Gather: w.Gather}
	if work.Duration = w.WarmUp; w.WarmUp > 0 {
		if _, err := members.Run(ctx, work, targets...); err != nil {
			return Result{}, err
		}
	}
	work.Duration = w.Measure
	largest := 0.0
	work.Progress = func(members.Progress) {
		for _, c := range nodes {
			largest = max(largest, residentMiB(strconv.Itoa(c.Process.Pid)))
		}
	}
	var profiles errgroup.Group
	for i, address := range profiled {
		profiles.Go(func() error { return fetchProfile(ctx, address, w.Measure, fmt.Sprintf("%s-%d", o.CPUProfile, i+1)) })
	}
	before := processorTime()
	r, err := members.Run(ctx, work, targets...)
	if err := errors.Join(err, profiles.Wait()); err != nil {
		return Result{}, err
	}
	loadUsed := processorTime() - before
	result := Result{
		Engine: "synod", Workload: w.Name, Nodes: w.Nodes, Size: w.Size, Rate: w.Rate, Ordered: r.Receipts, OrderedPerSecond: r.ReceiptsPerSecond,
		P50: r.P50, P99: r.P99, LongestPause: r.LongestPause, BytesPerSecond: r.ReceiptsPerSecond * float64(w.Size),
		Lost: r.Lost, Duplicated: r.Duplicated, Reordered: r.Reordered + r.Forged, Clean: r.Clean, ResidentMiB: largest,
	}
	// What the sequencers used is known when they have ended: both runs, of which this is the share.
	var used time.Duration
	for _, c := range nodes {
		if err := c.Process.Signal(syscall.SIGTERM); err != nil {
			return Result{}, err
		}
		if err := c.Wait(); err != nil {
			return Result{}, fmt.Errorf("a sequencer ended: %w", err)
		}
		used += c.ProcessState.UserTime() + c.ProcessState.SystemTime()
		if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
			result.PeakMiB = max(result.PeakMiB, float64(u.Maxrss)/1024)
		}
	}
	if r.Receipts > 0 {
		share := w.Measure.Seconds() / (w.Measure + w.WarmUp).Seconds()
		result.CPUMicros = (used.Seconds()*share + loadUsed.Seconds()) * 1e6 / float64(r.Receipts)
	}
	return result, nil
}

// shareOut says how many cores each of so many processes has to itself, unless GOMAXPROCS says it. A process that takes all
// cores for its own looks on each of them for work, and wakes there, where others are at work: a fifth of the time of five on two.
func shareOut(processes int) int {
	if os.Getenv("GOMAXPROCS") != "" {
		return runtime.GOMAXPROCS(0)
	}
	return max(1, runtime.NumCPU()/processes)
}

// freeBase finds a base port from which on a network's ports are free.
func freeBase(nodes int) (int, error) {
	for base := 20_000 + os.Getpid()%5_000; base < 31_000; base += 200 {
		free := true
		for i := range 10 * (nodes + 1) {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(base+i)))
			if err != nil {
				free = false
				break
			}
			_ = l.Close()
		}
		if free {
			return base, nil
		}
	}
	return 0, errors.New("no free ports")
}

// fetchProfile writes what a sequencer does for so long to a file.
func fetchProfile(ctx context.Context, address string, during time.Duration, file string) error {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", address, max(1, int(during.Seconds())))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("fetch a profile: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("fetch a profile from %s: %s", url, response.Status)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, response.Body)
	return errors.Join(err, f.Close())
}

// waitReady waits for a ready file and returns the addresses in it.
func waitReady(ctx context.Context, file string) (listeners map[string]string, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if ready, err := node.ReadReady(file); err == nil && len(ready.Nodes) > 0 {
			return ready.Nodes[0].Listeners, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("it is not ready: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// makeCertificate makes a certificate for loopback.
func makeCertificate(dir string) (certificateFile, keyFile string, pool *x509.CertPool, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "synod bench"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return "", "", nil, err
	}
	encodedKey, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", nil, err
	}
	certificateFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	return certificateFile, keyFile, pool, errors.Join(
		os.WriteFile(certificateFile, certificate, 0o644),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encodedKey}), 0o600))
}
