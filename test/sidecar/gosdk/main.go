// Command gosdk subscribes with a Casper SDK for Go: gosdk SDK URL START prints a line "id kind hash" for each block and each processed
// deploy. SDK is 1 or 2; START is the number to start from, or -1. It is a module of its own, so that the SDKs stay out of synod's.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	sse1 "github.com/make-software/casper-go-sdk/sse"
	sse2 "github.com/make-software/casper-go-sdk/v2/sse"
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

func first(url string, start int) error {
	client := sse1.NewClient(url)
	client.RegisterHandler(sse1.BlockAddedEventType, func(_ context.Context, e sse1.RawEvent) error {
		parsed, err := e.ParseAsBlockAddedEvent()
		if err == nil {
			fmt.Println(e.EventID, "BlockAdded", parsed.BlockAdded.BlockHash)
		}
		return err
	})
	client.RegisterHandler(sse1.DeployProcessedEventType, func(_ context.Context, e sse1.RawEvent) error {
		parsed, err := e.ParseAsDeployProcessedEvent()
		if err == nil {
			fmt.Println(e.EventID, "DeployProcessed", parsed.DeployProcessed.DeployHash)
		}
		return err
	})
	return client.Start(context.Background(), start)
}

func second(url string, start int) error {
	client := sse2.NewClient(url)
	client.RegisterHandler(sse2.BlockAddedEventType, func(_ context.Context, e sse2.RawEvent) error {
		parsed, err := e.ParseAsBlockAddedEvent()
		if err == nil {
			fmt.Println(e.EventID, "BlockAdded", parsed.BlockAdded.BlockHash)
		}
		return err
	})
	client.RegisterHandler(sse2.DeployProcessedEventType, func(_ context.Context, e sse2.RawEvent) error {
		parsed, err := e.ParseAsDeployProcessedEvent()
		if err == nil {
			fmt.Println(e.EventID, "DeployProcessed", parsed.DeployProcessed.DeployHash)
		}
		return err
	})
	return client.Start(context.Background(), start)
}
