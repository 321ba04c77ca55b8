module github.com/synod-network/synod/test/sidecar/gosdk

go 1.26

require (
	github.com/make-software/casper-go-sdk v1.5.2
	github.com/make-software/casper-go-sdk/v2 v2.0.0
)

require (
	github.com/decred/dcrd/dcrec/secp256k1/v4 v4.0.1 // indirect
	golang.org/x/crypto v0.23.0 // indirect
	golang.org/x/sync v0.6.0 // indirect
	golang.org/x/sys v0.20.0 // indirect
)
