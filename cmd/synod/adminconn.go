package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/synod-network/synod/internal/grpclink"
	"github.com/synod-network/synod/node/exit"
)

// adminReach is where a sequencer's admin service is, and how to show who asks.
type adminReach struct {
	address, authorities, certificate, key string
	dir, readyFile, node                   string
}

func (r *adminReach) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&r.address, "admin", "", "`host:port` of the sequencer's admin gRPC listener")
	f.StringVar(&r.dir, "net", "", "`directory` as synod network init or sequencer join writes it, from which --node is reached with its operator's certificate (default none)")
	f.StringVar(&r.readyFile, "ready-file", "", "`file` that a sandbox wrote, from which --node is reached (default none)")
	f.StringVar(&r.node, "node", "", "`name` of the sequencer in --net or --ready-file; the first if it is left out")
	f.StringVar(&r.authorities, "tls-ca", "", "`file` of certificates (PEM) that the sequencer's must be from; without it the connection is plain")
	f.StringVar(&r.certificate, "tls-cert", "", "`file` with the certificate to show (default none)")
	f.StringVar(&r.key, "tls-key", "", "`file` with the key of --tls-cert (default none)")
}

func (r *adminReach) connect() (*grpc.ClientConn, error) {
	if r.dir != "" || r.readyFile != "" {
		all, err := r.all()
		if err != nil {
			return nil, err
		}
		*r = all[0]
	}
	if r.address == "" {
		return nil, exit.Errorf(exit.Usage, "no sequencer is named; write --admin host:port")
	}
	if _, _, err := net.SplitHostPort(r.address); err != nil {
		return nil, exit.Errorf(exit.Usage, "--admin %q is not host:port", r.address)
	}
	if (r.certificate == "") != (r.key == "") {
		return nil, exit.Errorf(exit.Usage, "--tls-cert and --tls-key go together; write both")
	}
	if r.certificate != "" && r.authorities == "" {
		return nil, exit.Errorf(exit.Usage, "--tls-cert without --tls-ca would be shown to nobody, since the connection would be plain; write --tls-ca too")
	}
	transport, err := r.credentials()
	if err != nil {
		return nil, err
	}
	conn, err := grpclink.Dial(r.address, grpc.WithTransportCredentials(transport))
	if err != nil {
		return nil, exit.Errorf(exit.Usage, "--admin %s: %w", r.address, err)
	}
	return conn, nil
}

func (r *adminReach) credentials() (credentials.TransportCredentials, error) {
	if r.authorities == "" {
		return insecure.NewCredentials(), nil
	}
	config, err := r.encryption()
	if err != nil {
		return nil, err
	}
	return credentials.NewTLS(config), nil
}

// encryption is how TLS is spoken.
func (r *adminReach) encryption() (*tls.Config, error) {
	pool, err := trusted(r.authorities)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool}
	if r.certificate != "" {
		pair, err := tls.LoadX509KeyPair(r.certificate, r.key)
		if err != nil {
			return nil, exit.Errorf(exit.BadConfig, "--tls-cert %s and --tls-key %s: %w", r.certificate, r.key, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// refusal asks a sequencer that hung up why: it says so after the handshake, and whoever writes meanwhile may not hear it. It returns
// what gRPC said if there is nothing more to hear.
func (r *adminReach) refusal(said string) string {
	config, err := r.encryption()
	if err != nil || !hungUp(said) {
		return said
	}
	config.NextProtos = []string{"h2"}
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: refusalPatience}, "tcp", r.address, config)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(refusalPatience)); err != nil {
		return said
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, io.EOF) {
		return err.Error()
	}
	return said
}

// refusalPatience is how long to listen for why.
const refusalPatience = 2 * time.Second

// explain words the failure of a call.
func (r *adminReach) explain(err error) error {
	s, ok := status.FromError(err)
	switch {
	case err == nil || !ok:
		return err
	case s.Code() == codes.Unavailable:
		message := s.Message()
		if r.authorities != "" {
			message = r.refusal(message)
		}
		text, code := connectionTrouble(message, r.authorities != "", r.certificate != "")
		return exit.Errorf(code, "%s: %s", r.address, text)
	case s.Code() == codes.DeadlineExceeded:
		return exit.Errorf(exit.Unavailable, "%s: no answer within %s", r.address, adminPatience)
	case s.Code() == codes.Unimplemented:
		return exit.Errorf(exit.BadConfig, "%s: it does not serve this: name the listener for operators (admin.grpc_listen), of a sequencer that is not older than this command", r.address)
	case s.Code() == codes.InvalidArgument:
		return exit.Errorf(exit.Usage, "%s: %s", r.address, s.Message())
	}
	return fmt.Errorf("%s: %s", r.address, s.Message())
}
