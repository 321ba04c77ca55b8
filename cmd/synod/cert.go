package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/node/pki"
)

func newCert() *cobra.Command {
	return group("cert", "Make the certificates of operators' listeners", certAuthority(), certLeaf("server"), certLeaf("client"))
}

func certAuthority() *cobra.Command {
	cmd := &cobra.Command{Use: "authority", Short: "Make an operators' authority", Args: noArgs}
	name := cmd.Flags().String("name", "synod operators", "`name` in the certificate")
	cert := cmd.Flags().String("out-cert", "ca-cert.pem", "`file` to write the certificate to")
	key := cmd.Flags().String("out-key", "ca-key.pem", "`file` to write the key to, readable by its owner alone")
	cmd.RunE = func(*cobra.Command, []string) error {
		_, err := pki.CreateAuthority(*name, *cert, *key, time.Now())
		return err
	}
	return cmd
}

// certLeaf makes the command for a certificate of a server or a client.
func certLeaf(kind string) *cobra.Command {
	cmd := &cobra.Command{Use: kind + " NAME", Short: "Make a certificate for a " + kind, Args: exactArgs("NAME")}
	caCert := cmd.Flags().String("ca-cert", "ca-cert.pem", "`file` with the authority's certificate")
	caKey := cmd.Flags().String("ca-key", "ca-key.pem", "`file` with the authority's key")
	cert := cmd.Flags().String("out-cert", kind+"-cert.pem", "`file` to write the certificate to")
	key := cmd.Flags().String("out-key", kind+"-key.pem", "`file` to write the key to, readable by its owner alone")
	var hosts *[]string
	if kind == "server" {
		hosts = cmd.Flags().StringSlice("host", nil, "`host` name or IP address under which the server is reached; repeatable")
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if hosts != nil && len(*hosts) == 0 {
			return exit.Errorf(exit.Usage, "a server's certificate needs the hosts under which it is reached; write --host")
		}
		authority, err := pki.OpenAuthority(*caCert, *caKey)
		if err != nil {
			return err
		}
		if hosts != nil {
			return authority.Server(args[0], *hosts, *cert, *key, time.Now())
		}
		return authority.Client(args[0], *cert, *key, time.Now())
	}
	return cmd
}
