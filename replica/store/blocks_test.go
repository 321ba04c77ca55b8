package store_test

import (
	"encoding/binary"
	"testing"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/replica/store"
)

var network = bft.NetworkID{1, 2, 3}

// committee is four members whose signatures nobody checks here.
func committee(epoch bft.Epoch) *bft.Committee {
	c := bft.Genesis(network, []bft.PublicKey{{1}, {2}, {3}, {4}}, bft.DefaultParams(), 1)
	c.Epoch = epoch
	return c
}

// newBlock makes a valid block with one request that fills the payload; size 0 is an empty block.
func newBlock(t testing.TB, epoch bft.Epoch, round bft.Round, author bft.Author, size int) *bft.Block {
	t.Helper()
	c := committee(epoch)
	u := bft.UnverifiedBlock{Header: bft.Header{
		Network: network, Epoch: epoch, Round: round, Author: author, Timestamp: bft.Time(1_000_000 + round),
	}}
	for i := range 4 {
		a := (author + bft.Author(i)) % 4
		parent := bft.Ref{Round: round - 1, Author: a, Digest: bft.Digest{byte(round), byte(a)}}
		if round == 1 {
			parent = c.Root(a)
		}
		u.Header.Parents = append(u.Header.Parents, parent)
	}
	if size > 4 {
		u.Payload = make([]byte, size)
		binary.BigEndian.PutUint32(u.Payload, uint32(size-4))
		for i := range u.Payload[4:] {
			u.Payload[4+i] = byte(uint64(i)*7 + uint64(round) + uint64(author)*31 + uint64(i>>8))
		}
		u.Header.Requests, u.Header.PayloadSize, u.Header.Payload = 1, uint32(size), bft.PayloadDigest(u.Payload)
	}
	b, err := u.Verify(c, func(bft.PublicKey, []byte, bft.Signature) bool { return true })
	if err != nil {
		t.Fatalf("make block: %v", err)
	}
	return b
}

// newCommit makes a commit of some blocks; the last is the leader.
func newCommit(t testing.TB, index bft.CommitIndex, epoch bft.Epoch, blocks ...bft.Ref) *bft.CommitRecord {
	t.Helper()
	c := bft.Commit{Index: index, Epoch: epoch, Leader: blocks[len(blocks)-1], Time: bft.Time(index), Blocks: blocks}
	decoded, err := bft.DecodeCommit(c.Encode(), network)
	if err != nil {
		t.Fatalf("make commit: %v", err)
	}
	return &bft.CommitRecord{Commit: decoded, Schedule: bft.Schedule{Standings: make([]bft.Standing, 4)}}
}

func newHandover(epoch bft.Epoch) *bft.Handover {
	return &bft.Handover{HandoverContent: bft.HandoverContent{
		Network: network, Epoch: epoch, Schedule: bft.Schedule{Standings: make([]bft.Standing, 4)},
		Members: []bft.PublicKey{{1}, {2}, {3}, {4}}, Params: bft.DefaultParams(),
	}}
}

func newEvidence(t testing.TB, epoch bft.Epoch, round bft.Round, author bft.Author) *bft.Evidence {
	t.Helper()
	return &bft.Evidence{
		Kind: bft.Equivocation, Epoch: epoch,
		First: newBlock(t, epoch, round, author, 0).Head, Other: newBlock(t, epoch, round, author, 10).Head,
	}
}

func create(t testing.TB, opts store.Options) {
	t.Helper()
	if err := store.Create(opts, store.Newborn); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, opts store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func persist(t testing.TB, s *store.Store, fill func(b *store.Batch)) {
	t.Helper()
	var b store.Batch
	fill(&b)
	if err := s.Persist(&b); err != nil {
		t.Fatal(err)
	}
}
