package bft

import (
	"fmt"

	"github.com/synod-network/synod/internal/canon"
)

// Message is what members send each other. A block is the only message of the
// hot path; the others repair, catch up and hand over.
type Message interface {
	// kind is the first byte on the wire.
	kind() byte
	encode(w *writer)
}

// BlockRequest asks for blocks by reference: missing ancestors. The answer is
// one BlockMessage for each block that the asked member has.
type BlockRequest struct {
	Epoch Epoch
	Refs  []Ref
}

// DAGRequest asks for all accepted blocks of an epoch, every variant, in rounds
// above Above, in order of rounds. The answer is a run of BlockMessages, as
// many as fit the server's limit, then a DAGEnd.
type DAGRequest struct {
	Epoch Epoch
	Above Round
}

// DAGEnd ends the answer to a DAGRequest: all accepted blocks of rounds up to
// Through were sent; More says that the server has further ones.
type DAGEnd struct {
	Epoch   Epoch
	Through Round
	More    bool
}

// ChainRequest asks for the commits from From on, with a proof.
type ChainRequest struct{ From CommitIndex }

// ChainResponse carries consecutive commits of one epoch. They prove nothing by
// themselves: either Handover ends their epoch and names a digest on their
// chain, or Votes of f+1 of the epoch's members do. An answer that does
// not reach its proof is continued by the next request.
type ChainResponse struct {
	Commits []*Commit
	// Handover, if not nil, ends the epoch of the commits.
	Handover *Handover
	// Votes are signed headers whose commit votes certify the chain.
	Votes []*UnverifiedBlock
	// Lowest is the lowest commit that the sender keeps. If it is above what
	// was asked for, Commits is empty and the way on is a snapshot.
	Lowest CommitIndex
}

// HandoverRequest asks for the hand-overs that ended the epochs from From on.
// Members keep all of them: they are the chain of trust.
type HandoverRequest struct{ From Epoch }

// HandoverVote is one member's signature under the hand-over as it sees it.
type HandoverVote struct {
	Content   HandoverContent
	Author    Author
	Signature Signature
}

// HandoverMessage carries complete hand-overs of consecutive epochs to a member
// that lacks them.
type HandoverMessage struct{ Handovers []*Handover }

// Status tells a peer how far the sender is: on connecting, and at every idle
// interval.
type Status struct {
	Epoch  Epoch
	Round  Round
	Commit CommitIndex
}

// RejoinQuery asks, with a nonce so that an old answer does not count, which
// epoch the other members can prove: see rule 13 in docs/protocol.
type RejoinQuery struct{ Nonce uint64 }

// RejoinAnswer names the epoch that the newest hand-over known to the sender
// opened.
type RejoinAnswer struct {
	Nonce uint64
	Epoch Epoch
}

// BlockMessage is a block on the wire. The engine sends its own and forwards
// none; the runtime sends stored ones in answer to requests.
type BlockMessage struct{ Block *Block }

// UnverifiedBlockMessage is a block as it arrives. It never enters the engine:
// the runtime verifies it first.
type UnverifiedBlockMessage struct{ Block UnverifiedBlock }

// EvidenceMessage passes on evidence against a member: see proofs.
type EvidenceMessage struct{ Evidence *Evidence }

// UnverifiedEvidenceMessage is evidence as it arrives.
type UnverifiedEvidenceMessage struct{ Evidence UnverifiedEvidence }

const (
	kindBlock byte = 1 + iota
	kindBlockRequest
	kindDAGRequest
	kindDAGEnd
	kindChainRequest
	kindChainResponse
	kindHandoverVote
	kindHandover
	kindStatus
	kindRejoinQuery
	kindRejoinAnswer
	kindHandoverRequest
	kindEvidence
)

// FirstForeignKind is the first message kind that this package will never use:
// the runtime numbers its own messages from here.
const FirstForeignKind byte = 128

func (*BlockMessage) kind() byte              { return kindBlock }
func (*UnverifiedBlockMessage) kind() byte    { return kindBlock }
func (*BlockRequest) kind() byte              { return kindBlockRequest }
func (*DAGRequest) kind() byte                { return kindDAGRequest }
func (*DAGEnd) kind() byte                    { return kindDAGEnd }
func (*ChainRequest) kind() byte              { return kindChainRequest }
func (*ChainResponse) kind() byte             { return kindChainResponse }
func (*HandoverVote) kind() byte              { return kindHandoverVote }
func (*HandoverMessage) kind() byte           { return kindHandover }
func (*HandoverRequest) kind() byte           { return kindHandoverRequest }
func (*Status) kind() byte                    { return kindStatus }
func (*RejoinQuery) kind() byte               { return kindRejoinQuery }
func (*RejoinAnswer) kind() byte              { return kindRejoinAnswer }
func (*EvidenceMessage) kind() byte           { return kindEvidence }
func (*UnverifiedEvidenceMessage) kind() byte { return kindEvidence }

// Limits of lists in messages, so that one message is bounded and a forged
// length allocates nothing.
const (
	// MaxRefs bounds the references in a BlockRequest.
	MaxRefs = 1024
	// MaxChain bounds the commits in a ChainResponse.
	MaxChain = 4096
	// MaxHandovers bounds the hand-overs in a HandoverMessage.
	MaxHandovers = 256
)

func (m *BlockMessage) encode(w *writer) {
	w.Bytes(m.Block.Encode())
	w.Bytes(m.Block.Payload)
}

func (m *UnverifiedBlockMessage) encode(w *writer) {
	w.Bytes(encodeUnverifiedHead(&m.Block))
	w.Bytes(m.Block.Payload)
}

func encodeUnverifiedHead(u *UnverifiedBlock) []byte {
	h := Head{Header: u.Header, Signature: u.Signature}
	return h.Encode()
}

func (m *BlockRequest) encode(w *writer) {
	w.U64(uint64(m.Epoch))
	w.U32(uint32(len(m.Refs)))
	for _, r := range m.Refs {
		w.ref(r)
	}
}

func (m *DAGRequest) encode(w *writer) {
	w.U64(uint64(m.Epoch))
	w.U64(uint64(m.Above))
}

func (m *DAGEnd) encode(w *writer) {
	w.U64(uint64(m.Epoch))
	w.U64(uint64(m.Through))
	w.Bool(m.More)
}

func (m *ChainRequest) encode(w *writer) { w.U64(uint64(m.From)) }

func (m *ChainResponse) encode(w *writer) {
	w.U32(uint32(len(m.Commits)))
	for _, c := range m.Commits {
		c.encode(w)
	}
	w.Bool(m.Handover != nil)
	if m.Handover != nil {
		m.Handover.encode(w)
	}
	w.U32(uint32(len(m.Votes)))
	for _, v := range m.Votes {
		v.Header.encode(w)
		w.Bytes(v.Signature[:])
	}
	w.U64(uint64(m.Lowest))
}

func (m *HandoverRequest) encode(w *writer) { w.U64(uint64(m.From)) }

func (m *HandoverVote) encode(w *writer) {
	m.Content.encode(w)
	w.U16(uint16(m.Author))
	w.Bytes(m.Signature[:])
}

func (m *HandoverMessage) encode(w *writer) {
	w.U32(uint32(len(m.Handovers)))
	for _, h := range m.Handovers {
		h.encode(w)
	}
}

func (m *Status) encode(w *writer) {
	w.U64(uint64(m.Epoch))
	w.U64(uint64(m.Round))
	w.U64(uint64(m.Commit))
}

func (m *RejoinQuery) encode(w *writer) { w.U64(m.Nonce) }

func (m *RejoinAnswer) encode(w *writer) {
	w.U64(m.Nonce)
	w.U64(uint64(m.Epoch))
}

func (m *EvidenceMessage) encode(w *writer) { w.Bytes(m.Evidence.Encode()) }

func (m *UnverifiedEvidenceMessage) encode(w *writer) { m.Evidence.encode(w) }

// EncodeMessage returns the wire form of a message in parts that are to be
// sent one after the other; large payloads are parts of their own and not
// copied.
func EncodeMessage(m Message) [][]byte {
	w := newWriter([]byte{m.kind()})
	switch m := m.(type) {
	case *BlockMessage:
		w.Bytes(m.Block.Encode())
		if len(m.Block.Payload) == 0 {
			return [][]byte{w.Buf}
		}
		return [][]byte{w.Buf, m.Block.Payload}
	case *UnverifiedBlockMessage:
		return [][]byte{append(w.Buf, encodeUnverifiedHead(&m.Block)...), m.Block.Payload}
	default:
		m.encode(&w)
		return [][]byte{w.Buf}
	}
}

// DecodeMessage takes a message apart. What it returns is well formed and not
// yet believed; byte slices in it alias b.
func DecodeMessage(b []byte, network NetworkID) (Message, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("decode message: %w", canon.ErrTruncated)
	}
	if b[0] == kindBlock {
		u, err := DecodeBlock(b[1:])
		if err != nil {
			return nil, err
		}
		return &UnverifiedBlockMessage{Block: u}, nil
	}
	r := newReader(b[1:])
	m := decodeBody(b[0], &r, network)
	if m == nil {
		return nil, fmt.Errorf("decode message: unknown kind %d", b[0])
	}
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("decode message of kind %d: %w", b[0], err)
	}
	return m, nil
}

func decodeBody(kind byte, r *reader, network NetworkID) Message {
	switch kind {
	case kindBlockRequest:
		m := &BlockRequest{Epoch: Epoch(r.U64())}
		for range r.count(MaxRefs, refSize) {
			m.Refs = append(m.Refs, r.ref())
		}
		return m
	case kindDAGRequest:
		return &DAGRequest{Epoch: Epoch(r.U64()), Above: Round(r.U64())}
	case kindDAGEnd:
		return &DAGEnd{Epoch: Epoch(r.U64()), Through: Round(r.U64()), More: r.Bool()}
	case kindChainRequest:
		return &ChainRequest{From: CommitIndex(r.U64())}
	case kindChainResponse:
		return decodeChainResponse(r, network)
	case kindHandoverVote:
		return &HandoverVote{Content: decodeHandoverContent(r), Author: Author(r.U16()), Signature: r.signature()}
	case kindHandover:
		m := &HandoverMessage{}
		for range r.count(MaxHandovers, minHandover) {
			m.Handovers = append(m.Handovers, decodeHandover(r))
		}
		return m
	case kindHandoverRequest:
		return &HandoverRequest{From: Epoch(r.U64())}
	case kindStatus:
		return &Status{Epoch: Epoch(r.U64()), Round: Round(r.U64()), Commit: CommitIndex(r.U64())}
	case kindRejoinQuery:
		return &RejoinQuery{Nonce: r.U64()}
	case kindRejoinAnswer:
		return &RejoinAnswer{Nonce: r.U64(), Epoch: Epoch(r.U64())}
	case kindEvidence:
		return &UnverifiedEvidenceMessage{Evidence: decodeEvidence(r)}
	default:
		return nil
	}
}

// minHead is a lower bound of an encoded head, minCommit of a commit.
const (
	minHead     = 32 + 8 + 8 + 2 + 8 + 4 + 4 + 4 + 32 + 40 + 64
	minCommit   = 8 + 32 + 8 + refSize + 8 + 4 + 4
	minHandover = 32 + 8 + 8 + 32 + 32 + 20 + 4 + 52 + 4
)

func decodeChainResponse(r *reader, network NetworkID) *ChainResponse {
	m := &ChainResponse{}
	for range r.count(MaxChain, minCommit) {
		m.Commits = append(m.Commits, decodeCommit(r, network))
	}
	if r.Bool() {
		m.Handover = decodeHandover(r)
	}
	for range r.count(MaxMembers, minHead) {
		m.Votes = append(m.Votes, &UnverifiedBlock{Header: decodeHeader(r), Signature: r.signature()})
	}
	m.Lowest = CommitIndex(r.U64())
	return m
}
