package main

import (
	"context"

	"github.com/make-software/casper-go-sdk/v2/sse"
)

// second subscribes with version 2.
func second(url string, start int) error {
	client := sse.NewClient(url)
	for kind, read := range map[sse.EventType]func(*sse.RawEvent) (string, error){
		sse.BlockAddedEventType: func(e *sse.RawEvent) (string, error) {
			parsed, err := e.ParseAsBlockAddedEvent()
			return parsed.BlockAdded.BlockHash, err
		},
		sse.DeployProcessedEventType: func(e *sse.RawEvent) (string, error) {
			parsed, err := e.ParseAsDeployProcessedEvent()
			return parsed.DeployProcessed.DeployHash.String(), err
		},
		sse.DeployAcceptedEventType: func(e *sse.RawEvent) (string, error) {
			parsed, err := e.ParseAsDeployAcceptedEvent()
			return parsed.DeployAccepted.Hash.String(), err
		},
		sse.DeployExpiredEventType: func(e *sse.RawEvent) (string, error) {
			parsed, err := e.ParseAsTransactionExpiredEvent() // the SDK has none of its own for deploys
			return parsed.TransactionExpiredPayload.TransactionHash.String(), err
		},
		sse.TransactionAcceptedEventType: func(e *sse.RawEvent) (string, error) {
			parsed, err := e.ParseAsTransactionAcceptedEvent()
			return parsed.TransactionAcceptedPayload.Transaction.Hash.String(), err
		},
		sse.TransactionProcessedEventType: func(e *sse.RawEvent) (string, error) {
			parsed, err := e.ParseAsTransactionProcessedEvent()
			return parsed.TransactionProcessedPayload.TransactionHash.String(), err
		},
		sse.TransactionExpiredEventType: func(e *sse.RawEvent) (string, error) {
			parsed, err := e.ParseAsTransactionExpiredEvent()
			return parsed.TransactionExpiredPayload.TransactionHash.String(), err
		},
		sse.FinalitySignatureType: func(e *sse.RawEvent) (string, error) {
			parsed, err := e.ParseAsFinalitySignatureEvent()
			return parsed.FinalitySignature.BlockHash.String(), err
		},
		sse.FaultEventType: func(e *sse.RawEvent) (string, error) {
			_, err := e.ParseAsFaultEvent()
			return "", err
		},
		sse.StepEventType: func(e *sse.RawEvent) (string, error) {
			_, err := e.ParseAsStepEvent()
			return "", err
		},
	} {
		client.RegisterHandler(kind, func(_ context.Context, e sse.RawEvent) error {
			hash, err := read(&e)
			say(e.EventID, sse.AllEventsNames[kind], e.Data, hash, err)
			return nil
		})
	}
	return client.Start(context.Background(), start)
}
