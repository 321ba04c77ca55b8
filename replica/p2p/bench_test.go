package p2p_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/replica/p2p"
)

// BenchmarkThroughput moves frames one way over a loopback link as fast as they go. cpu-s/GB is processor time of both
// ends together.
func BenchmarkThroughput(b *testing.B) {
	for _, size := range []int{256, 4 << 10, 64 << 10, 1 << 20, 4 << 20} {
		b.Run(fmt.Sprintf("frame=%d", size), func(b *testing.B) {
			var received atomic.Int64
			done := make(chan struct{}, 1)
			want := int64(b.N)
			from, to := pair(b, func(c *p2p.Config) {
				c.Handler = func(context.Context, keys.PublicKey, p2p.Lane, []byte) error {
					if received.Add(1) == want {
						done <- struct{}{}
					}
					return nil
				}
			})
			frame := make([]byte, size)
			b.SetBytes(int64(size))
			b.ResetTimer()
			before := cpu()
			for range b.N {
				for errors.Is(from.Send(to.key, p2p.Live, frame), p2p.ErrQueueFull) {
					time.Sleep(100 * time.Microsecond)
				}
			}
			<-done
			b.ReportMetric((cpu()-before).Seconds()/(float64(size)*float64(b.N)/1e9), "cpu-s/GB")
		})
	}
}

// BenchmarkBareTLS is the floor: one goroutine writes 1 MiB at a time, another reads.
func BenchmarkBareTLS(b *testing.B) {
	const size = 1 << 20
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		b.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	ended := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			defer conn.Close()
			into := make([]byte, size)
			for range b.N {
				if _, err = io.ReadFull(conn, into); err != nil {
					break
				}
			}
		}
		ended <- err
	}()
	conn, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	frame := make([]byte, size)
	b.SetBytes(size)
	b.ResetTimer()
	before := cpu()
	for range b.N {
		if _, err := conn.Write(frame); err != nil {
			b.Fatal(err)
		}
	}
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	b.ReportMetric((cpu()-before).Seconds()/(float64(size)*float64(b.N)/1e9), "cpu-s/GB")
}

// BenchmarkRoundTrip sends a small frame there and back, one at a time.
func BenchmarkRoundTrip(b *testing.B) {
	low, _ := lowHigh()
	var echo atomic.Pointer[p2p.Network]
	back := make(chan struct{}, 1)
	from, to := pair(b, func(c *p2p.Config) {
		if c.Key.Public() == low.Public() {
			c.Handler = func(context.Context, keys.PublicKey, p2p.Lane, []byte) error { back <- struct{}{}; return nil }
			return
		}
		c.Handler = func(_ context.Context, from keys.PublicKey, lane p2p.Lane, frame []byte) error {
			return echo.Load().Send(from, lane, frame)
		}
	})
	echo.Store(to.Network)
	frame := make([]byte, 256)
	for b.Loop() {
		if err := from.Send(to.key, p2p.Live, frame); err != nil {
			b.Fatal(err)
		}
		<-back
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
