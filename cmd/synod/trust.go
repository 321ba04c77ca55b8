package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
)

func newTrust() *cobra.Command {
	cmd := group("trust", "See what a sequencer thinks of its peers, and keep peers out", trustList(), trustExplain(), trustBan(), trustUnban(), trustProtect())
	cmd.Long = "Each sequencer has an opinion of its peers: a score from -1 to 1 that faults lower and time heals. At -0.5 a peer is read\n" +
		"slowly, at -1 it is banned, for five minutes at first and twice as long each time. Members are never kept out while\n" +
		"ordering may need them. Every sequencer decides for itself: what is done here is done at one."
	return cmd
}

// trustCall is a subcommand that asks one sequencer.
func trustCall(cmd *cobra.Command, call func(ctx context.Context, service adminv1.TrustServiceClient, args []string, out io.Writer, asJSON bool) error) *cobra.Command {
	var admin adminReach
	admin.flags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print the answer as JSON (default false)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		conn, err := admin.connect()
		if err != nil {
			return err
		}
		defer conn.Close()
		ctx, cancel := context.WithTimeout(cmd.Context(), adminPatience)
		defer cancel()
		return admin.explain(call(ctx, adminv1.NewTrustServiceClient(conn), args, cmd.OutOrStdout(), *asJSON))
	}
	return cmd
}

func trustList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List peers with their scores, bans, and who bans this sequencer", Args: noArgs,
		Long: "Lists every other member and every other peer that the sequencer remembers.",
	}
	return trustCall(cmd, func(ctx context.Context, service adminv1.TrustServiceClient, _ []string, out io.Writer, asJSON bool) error {
		answer, err := service.ListPeerTrust(ctx, &adminv1.ListPeerTrustRequest{})
		if err != nil {
			return err
		}
		l := trustListOf(answer)
		if asJSON {
			return printJSON(out, l)
		}
		return l.print(out)
	})
}

func trustExplain() *cobra.Command {
	cmd := &cobra.Command{
		Use: "explain PEER", Short: "Show what led to a peer's score", Args: exactArgs("PEER"),
		Long: "Shows the history of one peer, oldest first, and the proofs against it. PEER is a name, a key, or 8 or more digits with\nwhich only its key begins.",
	}
	return trustCall(cmd, func(ctx context.Context, service adminv1.TrustServiceClient, args []string, out io.Writer, asJSON bool) error {
		answer, err := service.ExplainPeerTrust(ctx, &adminv1.ExplainPeerTrustRequest{Peer: args[0]})
		return showPeer(out, answer.GetPeer(), err, asJSON)
	})
}

func trustBan() *cobra.Command {
	cmd := &cobra.Command{
		Use: "ban PEER", Short: "Keep a peer out", Args: exactArgs("PEER"),
		Long: "Closes the links to a peer, tells it why and until when, and keeps it out. A member is refused while ordering may need it.",
	}
	length := cmd.Flags().Duration("duration", 0, "how long, as 30m or 24h, at most 8784h; 0 for what its strikes deserve, from 5m to 720h")
	reason := cmd.Flags().String("reason", "", "`text` that the peer is told and the history keeps, at most 240 bytes (default none)")
	return trustCall(cmd, func(ctx context.Context, service adminv1.TrustServiceClient, args []string, out io.Writer, asJSON bool) error {
		answer, err := service.BanPeer(ctx, &adminv1.BanPeerRequest{Peer: args[0], Duration: durationpb.New(*length), Reason: *reason})
		return showPeer(out, answer.GetPeer(), err, asJSON)
	})
}

func trustUnban() *cobra.Command {
	cmd := &cobra.Command{
		Use: "unban PEER", Short: "Clear score, ban and strikes of a peer at once, and let it in", Args: exactArgs("PEER"),
		Long: "Gives a peer a clean slate. Proofs against it are kept.",
	}
	return trustCall(cmd, func(ctx context.Context, service adminv1.TrustServiceClient, args []string, out io.Writer, asJSON bool) error {
		answer, err := service.UnbanPeer(ctx, &adminv1.UnbanPeerRequest{Peer: args[0]})
		if err == nil && !answer.GetFound() && !asJSON {
			fmt.Fprintf(out, "nothing was held against %s\n", args[0])
		}
		return showPeer(out, answer.GetPeer(), err, asJSON)
	})
}

func trustProtect() *cobra.Command {
	cmd := &cobra.Command{
		Use: "protect PEER", Short: "Never limit or ban a peer", Args: exactArgs("PEER"),
		Long: "Lifts a ban of the peer and keeps the sequencer from ever limiting or banning it by itself. Its score goes on.",
	}
	off := cmd.Flags().Bool("off", false, "end the protection (default false)")
	return trustCall(cmd, func(ctx context.Context, service adminv1.TrustServiceClient, args []string, out io.Writer, asJSON bool) error {
		answer, err := service.ProtectPeer(ctx, &adminv1.ProtectPeerRequest{Peer: args[0], Protected: !*off})
		return showPeer(out, answer.GetPeer(), err, asJSON)
	})
}

func showPeer(out io.Writer, p *adminv1.PeerTrust, err error, asJSON bool) error {
	if err != nil {
		return err
	}
	shown := trustPeerOf(p)
	if asJSON {
		return printJSON(out, shown)
	}
	return shown.print(out)
}

// What is printed as JSON. Times are RFC 3339.
type (
	shownTrust struct {
		Peers            []shownPeer `json:"peers"`
		SelfSuspectUntil *time.Time  `json:"self_suspect_until"`
		Banned           int         `json:"banned_peers"`
		OnHold           int         `json:"bans_on_hold"`
		Limited          int         `json:"limited_peers"`
		BannedBy         int         `json:"banned_by_peers"`
		Counts           shownCounts `json:"counts_since_start"`
	}
	shownPeer struct {
		Name      string         `json:"name"`
		Key       string         `json:"key"`
		Member    bool           `json:"member"`
		Connected bool           `json:"connected"`
		Score     float64        `json:"score"`
		Standing  string         `json:"standing"`
		Protected bool           `json:"protected"`
		Strikes   int32          `json:"strikes"`
		Ban       *shownBan      `json:"ban"`
		PutOff    string         `json:"ban_put_off"`
		BannedBy  *shownBannedBy `json:"bans_this_node"`
		Proofs    int32          `json:"proofs"`
		// Actions are those of a member since the start.
		Actions  map[string]uint64 `json:"actions,omitempty"`
		History  []shownLine       `json:"history,omitempty"`
		Evidence []shownProof      `json:"evidence,omitempty"`
	}
	shownBan struct {
		From   time.Time `json:"from"`
		Until  time.Time `json:"until"`
		Reason string    `json:"reason"`
		Detail string    `json:"detail"`
		Origin string    `json:"origin"`
		OnHold bool      `json:"on_hold"`
	}
	shownBannedBy struct {
		Told   time.Time `json:"told"`
		Until  time.Time `json:"until"`
		Reason string    `json:"reason"`
		Detail string    `json:"detail"`
		Notice string    `json:"notice_hex"`
	}
	shownLine struct {
		From   time.Time `json:"from"`
		At     time.Time `json:"at"`
		Count  int32     `json:"count"`
		Action string    `json:"action"`
		Detail string    `json:"detail"`
		Change float64   `json:"change"`
		Score  float64   `json:"score"`
	}
	shownProof struct {
		At     time.Time `json:"at"`
		Kind   string    `json:"kind"`
		Detail string    `json:"detail"`
		Proof  string    `json:"proof_hex"`
	}
	shownCounts struct {
		Actions     map[string]uint64            `json:"actions"`
		Bans        map[string]map[string]uint64 `json:"bans"` // by origin and reason
		Unbans      map[string]uint64            `json:"unbans"`
		PutOff      map[string]uint64            `json:"bans_put_off"`
		Evidence    map[string]uint64            `json:"evidence"`
		QuorumGuard uint64                       `json:"quorum_guard"`
		Suspicions  uint64                       `json:"self_suspicions"`
		Rejections  uint64                       `json:"ban_rejections"`
	}
)

func trustListOf(a *adminv1.ListPeerTrustResponse) shownTrust {
	c := a.GetCounts()
	l := shownTrust{Peers: []shownPeer{}, Counts: shownCounts{
		Actions: c.GetActions(), Bans: map[string]map[string]uint64{}, Unbans: c.GetUnbans(), PutOff: c.GetPutOff(), Evidence: c.GetEvidence(),
		QuorumGuard: c.GetQuorumGuard(), Suspicions: c.GetSelfSuspicions(), Rejections: c.GetRejections(),
	}}
	for _, b := range c.GetBans() {
		if l.Counts.Bans[b.GetOrigin()] == nil {
			l.Counts.Bans[b.GetOrigin()] = map[string]uint64{}
		}
		l.Counts.Bans[b.GetOrigin()][b.GetReason()] = b.GetCount()
	}
	if until := a.GetSelfSuspectUntil(); until != 0 {
		t := micros(until)
		l.SelfSuspectUntil = &t
	}
	for _, p := range a.GetPeers() {
		l.Peers = append(l.Peers, trustPeerOf(p))
		switch {
		case p.GetStanding() == "banned":
			l.Banned++
		case p.GetStanding() == "limited":
			l.Limited++
		}
		if p.GetOnHold() {
			l.OnHold++
		}
		if p.GetBannedBy() != nil {
			l.BannedBy++
		}
	}
	return l
}

func trustPeerOf(p *adminv1.PeerTrust) shownPeer {
	s := shownPeer{
		Name: p.GetName(), Key: p.GetKey(), Member: p.GetMember(), Connected: p.GetConnected(), Score: p.GetScore(), Standing: p.GetStanding(),
		Protected: p.GetProtected(), Strikes: p.GetStrikes(), PutOff: p.GetPutOff(), Proofs: p.GetProofs(), Actions: p.GetActions(),
	}
	if b := p.GetBan(); b != nil {
		s.Ban = &shownBan{micros(b.GetFrom()), micros(b.GetUntil()), b.GetReason(), b.GetDetail(), b.GetOrigin(), p.GetOnHold()}
	}
	if b := p.GetBannedBy(); b != nil {
		s.BannedBy = &shownBannedBy{micros(b.GetToldAt()), micros(b.GetUntil()), b.GetReason(), b.GetDetail(), hex.EncodeToString(b.GetNotice())}
	}
	for _, h := range p.GetHistory() {
		s.History = append(s.History, shownLine{micros(h.GetFrom()), micros(h.GetAt()), h.GetCount(), h.GetAction(), h.GetDetail(), h.GetChange(), h.GetScore()})
	}
	for _, e := range p.GetEvidence() {
		s.Evidence = append(s.Evidence, shownProof{micros(e.GetAt()), e.GetKind(), e.GetDetail(), hex.EncodeToString(e.GetProof())})
	}
	return s
}

func micros(t int64) time.Time { return time.UnixMicro(t).UTC() }

func forPeople(t time.Time) string { return t.Truncate(time.Second).Format(time.RFC3339) }

func (l shownTrust) print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PEER\tKEY\tMEMBER\tCONNECTED\tSCORE\tSTANDING\tSTRIKES\tPROOFS\tUNTIL\tREASON")
	for _, p := range l.Peers {
		until, reason := "-", "-"
		if b := p.Ban; b != nil {
			until, reason = forPeople(b.Until), b.Reason
		}
		if p.PutOff != "" {
			reason = p.PutOff + " (put off)"
		}
		fmt.Fprintf(t, "%s\t%.16s\t%s\t%s\t%+.3f\t%s\t%d\t%d\t%s\t%s\n", p.Name, p.Key, yesNo(p.Member), yesNo(p.Connected), p.Score, p.standing(), p.Strikes, p.Proofs, until, reason)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, p := range l.Peers {
		if b := p.BannedBy; b != nil {
			fmt.Fprintf(out, "this sequencer is banned by %s until %s because of %s: %s\n", p.Name, forPeople(b.Until), b.Reason, b.Detail)
		}
	}
	if l.SelfSuspectUntil != nil {
		fmt.Fprintf(out, "this sequencer suspects itself until %s, and bans nobody: more members look bad to it than can be faulty\n", forPeople(*l.SelfSuspectUntil))
	}
	return nil
}

func (p shownPeer) standing() string {
	var more []string
	if p.Ban != nil && p.Ban.OnHold {
		more = append(more, "ban on hold")
	}
	if p.Protected {
		more = append(more, "protected")
	}
	if len(more) == 0 {
		return p.Standing
	}
	return p.Standing + " (" + strings.Join(more, ", ") + ")"
}

func (p shownPeer) print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "peer\t%s\nkey\t%s\nmember\t%s\nconnected\t%s\nscore\t%+.3f\nstanding\t%s\nstrikes\t%d\n",
		p.Name, p.Key, yesNo(p.Member), yesNo(p.Connected), p.Score, p.standing(), p.Strikes)
	if b := p.Ban; b != nil {
		fmt.Fprintf(t, "banned\tfrom %s until %s by %s decision because of %s: %s\n", forPeople(b.From), forPeople(b.Until), b.Origin, b.Reason, b.Detail)
	}
	if p.PutOff != "" {
		fmt.Fprintf(t, "ban put off\tit deserves one because of %s\n", p.PutOff)
	}
	if b := p.BannedBy; b != nil {
		fmt.Fprintf(t, "bans this node\tuntil %s because of %s: %s\n", forPeople(b.Until), b.Reason, b.Detail)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(p.History) > 0 {
		fmt.Fprintln(out, "\nwhat led to it, oldest first:")
		fmt.Fprintln(t, "  AT\tTIMES\tWHAT\tCHANGE\tSCORE\tDETAIL")
		for _, h := range p.History {
			fmt.Fprintf(t, "  %s\t%d\t%s\t%+.4f\t%+.3f\t%s\n", forPeople(h.At), h.Count, h.Action, h.Change, h.Score, h.Detail)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	for _, e := range p.Evidence {
		fmt.Fprintf(out, "\nproof of %s, seen %s: %s\n%s\n", e.Kind, forPeople(e.At), e.Detail, e.Proof)
	}
	return nil
}

func yesNo(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}
