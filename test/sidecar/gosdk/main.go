// Command gosdk subscribes with a Casper SDK for Go: gosdk SDK URL START prints a line "id kind digest hash" for each event. SDK is 1
// or 2; START is the number to start from, or -1. The digest is of the data as it came, the hash is what the SDK read out of it: "-" for
// kinds without one, "unreadable:…" if it could not. It is a module of its own, so that the SDKs stay out of synod's.
package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"strconv"
	"strings"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: gosdk SDK URL START")
		os.Exit(2)
	}
	start, err := strconv.Atoi(os.Args[3])
	if err == nil && os.Args[1] == "1" {
		err = first(os.Args[2], start)
	} else if err == nil {
		err = second(os.Args[2], start)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// say prints the line for one event.
func say(id uint64, kind string, data []byte, hash string, err error) {
	switch {
	case err != nil:
		hash = "unreadable:" + strings.Join(strings.Fields(err.Error()), "_")
	case hash == "":
		hash = "-"
	}
	fmt.Printf("%d %s %.16x %s\n", id, kind, sha256.Sum256(bytes.TrimSuffix(data, []byte("\n"))), hash)
}
