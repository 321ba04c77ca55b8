package admin

import (
	"context"
	"encoding/json"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
)

// Sink counts the messages of contracts in what a source hands over, copies from several nodes included.
func (b *Board) Sink(next event.Sink) event.Sink { return &countingSink{b, next} }

type countingSink struct {
	b    *Board
	next event.Sink
}

// Append implements [event.Sink].
func (s *countingSink) Append(ctx context.Context, batch []event.Event) error {
	err := s.next.Append(ctx, batch)
	if err == nil {
		for i := range batch {
			s.b.countMessages("all", &batch[i])
		}
	}
	return err
}

// countMessages counts the messages of contracts in an event: label "all" as they come, "unique" without copies.
func (b *Board) countMessages(label string, e *event.Event) {
	if e.Kind != event.TransactionProcessed {
		return
	}
	var processed struct {
		Messages []struct{} `json:"messages"`
	}
	if json.Unmarshal(e.Body, &processed) == nil && len(processed.Messages) > 0 {
		b.metrics.messages.WithLabelValues(label).Add(float64(len(processed.Messages)))
	}
}

// Reader measures the JSON that is read from the database to answer requests.
func (b *Board) Reader(next log.Reader) log.Reader { return &measured{next, b.metrics} }

type measured struct {
	log.Reader
	metrics *metrics
}

func (m *measured) one(kind event.Kind, f log.Found, err error) (log.Found, error) {
	if err == nil {
		m.metrics.rawSize.WithLabelValues(kind.String()).Observe(float64(len(f.Raw)))
	}
	return f, err
}

func (m *measured) all(kind event.Kind, found []log.Found, err error) ([]log.Found, error) {
	for _, f := range found {
		m.metrics.rawSize.WithLabelValues(kind.String()).Observe(float64(len(f.Raw)))
	}
	return found, err
}

func (m *measured) LatestBlock(ctx context.Context) (log.Found, error) {
	f, err := m.Reader.LatestBlock(ctx)
	return m.one(event.BlockAdded, f, err)
}

func (m *measured) BlockByHash(ctx context.Context, hash string) (log.Found, error) {
	f, err := m.Reader.BlockByHash(ctx, hash)
	return m.one(event.BlockAdded, f, err)
}

func (m *measured) BlockByHeight(ctx context.Context, height uint64) (log.Found, error) {
	f, err := m.Reader.BlockByHeight(ctx, height)
	return m.one(event.BlockAdded, f, err)
}

func (m *measured) Deploy(ctx context.Context, kind event.Kind, variant, hash string) (log.Found, error) {
	f, err := m.Reader.Deploy(ctx, kind, variant, hash)
	return m.one(kind, f, err)
}

func (m *measured) FaultsByKey(ctx context.Context, publicKey string) ([]log.Found, error) {
	found, err := m.Reader.FaultsByKey(ctx, publicKey)
	return m.all(event.Fault, found, err)
}

func (m *measured) FaultsByEra(ctx context.Context, era uint64) ([]log.Found, error) {
	found, err := m.Reader.FaultsByEra(ctx, era)
	return m.all(event.Fault, found, err)
}

func (m *measured) Signatures(ctx context.Context, blockHash string) ([]log.Found, error) {
	found, err := m.Reader.Signatures(ctx, blockHash)
	return m.all(event.FinalitySignature, found, err)
}

func (m *measured) Step(ctx context.Context, era uint64) (log.Found, error) {
	f, err := m.Reader.Step(ctx, era)
	return m.one(event.Step, f, err)
}
