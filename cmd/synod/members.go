package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/internal/wholefile"
	"github.com/synod-network/synod/node/exit"
)

func newMembers() *cobra.Command {
	cmd := group("members", "See members and their traffic, and decide about them", membersList(), membersTraffic(), membersNamespaces(), membersBuy(), membersDisable(), membersSign())
	cmd.Long = "What is decided about a member needs the signatures of a quorum of sequencers. The first operator proposes and writes a\n" +
		"file with --out; the others sign it, one after the other, each at a sequencer of their own; the last signature has it ordered."
	return cmd
}

func membersList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List members with how far they are", Args: noArgs}
	prefix := cmd.Flags().String("prefix", "", "`text` with which names begin (default all)")
	return adminCall(cmd, func(ctx context.Context, conn *grpc.ClientConn, _ []string) (*adminv1.ListMembersResponse, error) {
		return adminv1.NewMemberServiceClient(conn).ListMembers(ctx, &adminv1.ListMembersRequest{Prefix: *prefix}, grpc.MaxCallRecvMsgSize(16<<20))
	}, func(out io.Writer, r *adminv1.ListMembersResponse) error {
		err := table(out, "MEMBER\tDISABLED\tSINCE\tLAST EVENT\tACKNOWLEDGED\tIN FLIGHT\tTRAFFIC LEFT", func(row func(string, ...any)) {
			for _, m := range r.GetMembers() {
				row("%s\t%s\t%s\t%s\t%s\t%d\t%d", m.GetMember(), yesNo(m.GetDisabled()), clock(m.GetRegisteredAt()), clock(m.GetLastEventAt()),
					clock(m.GetAcknowledged()), m.GetInFlight(), m.GetLeft())
			}
		})
		return thereAreMore(out, r.GetMore(), err)
	})
}

func membersTraffic() *cobra.Command {
	cmd := &cobra.Command{
		Use: "traffic", Short: "Show what members may spend on traffic, and what they bought", Args: noArgs,
		Long: "Shows the rules in force, and for each member the balance (LEFT) of its allowance (BASE), which refills at a steady rate, and of\n" +
			"what it bought (EXTRA, of BOUGHT in all by purchase SERIAL), with when it last changed. All numbers are bytes.",
	}
	prefix := cmd.Flags().String("prefix", "", "`text` with which names begin (default all)")
	return adminCall(cmd, func(ctx context.Context, conn *grpc.ClientConn, _ []string) (*adminv1.ListTrafficResponse, error) {
		return adminv1.NewMemberServiceClient(conn).ListTraffic(ctx, &adminv1.ListTrafficRequest{Prefix: *prefix}, grpc.MaxCallRecvMsgSize(16<<20))
	}, func(out io.Writer, r *adminv1.ListTrafficResponse) error {
		rules := r.GetRules()
		text := "traffic costs nothing in this network\n"
		if rules.GetMetered() {
			text = fmt.Sprintf("allowance %d in %s; a submission costs %d, an envelope %d and %g of its payload, each of its recipients %d and %g of it\n", rules.GetBase(),
				rules.GetWindow().AsDuration(), rules.GetEventCost(), rules.GetEnvelopeCost(), float64(rules.GetWriteCost())/10_000,
				rules.GetRecipientCost(), float64(rules.GetReadCost())/10_000)
		}
		if _, err := io.WriteString(out, text); err != nil {
			return err
		}
		err := table(out, "MEMBER\tLEFT\tBASE\tRATE\tEXTRA\tBOUGHT\tSERIAL\tCHANGED", func(row func(string, ...any)) {
			for _, m := range r.GetMembers() {
				left, base, rate := strconv.FormatUint(m.GetLeft(), 10), strconv.FormatUint(m.GetBaseLeft(), 10), fmt.Sprintf("%.0f/s", m.GetBaseRate())
				if m.GetFree() || !rules.GetMetered() {
					left, base, rate = "free", "-", "-"
				}
				row("%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s", m.GetMember(), left, base, rate, m.GetExtraLeft(), m.GetPurchased(), m.GetSerial(), clock(m.GetChangedAt()))
			}
		})
		return thereAreMore(out, r.GetMore(), err)
	})
}

func membersNamespaces() *cobra.Command {
	cmd := &cobra.Command{
		Use: "namespaces", Short: "Show who may add to the topology, and what is used of that", Args: noArgs,
		Long: "Shows the mode and limits that the owners set, and of each namespace but theirs whether they permit it, how many MAPPINGS it ever\n" +
			"had (removed ones count) of how many it may, and how many CHANGES it may make now. Owners change this with synod network\n" +
			"onboarding and permit.",
	}
	prefix := cmd.Flags().String("prefix", "", "`text` with which namespaces begin (default all)")
	return adminCall(cmd, func(ctx context.Context, conn *grpc.ClientConn, _ []string) (*adminv1.ListNamespacesResponse, error) {
		return adminv1.NewMemberServiceClient(conn).ListNamespaces(ctx, &adminv1.ListNamespacesRequest{Prefix: *prefix}, grpc.MaxCallRecvMsgSize(16<<20))
	}, func(out io.Writer, r *adminv1.ListNamespacesResponse) error {
		_, err := fmt.Fprintf(out, "%s; %d of %d namespaces without permission, %d permissions, %d mappings in all\n",
			r.GetMode(), r.GetUnpermitted(), r.GetUnpermittedLimit(), r.GetPermissions(), r.GetMappings())
		if err != nil {
			return err
		}
		err = table(out, "NAMESPACE\tPERMITTED\tMAPPINGS\tOF\tCHANGES\tANOTHER EACH", func(row func(string, ...any)) {
			for _, n := range r.GetNamespaces() {
				l := n.GetLimits()
				row("%s\t%s\t%d\t%d\t%d\t%s", n.GetNamespace(), yesNo(n.GetPermitted()), n.GetMappings(), l.GetMappings(), n.GetChangesLeft(), l.GetChangeInterval().AsDuration())
			}
		})
		return thereAreMore(out, r.GetMore(), err)
	})
}

func thereAreMore(out io.Writer, more bool, err error) error {
	if err == nil && more {
		_, err = fmt.Fprintln(out, "there are more; name a --prefix")
	}
	return err
}

func membersBuy() *cobra.Command {
	cmd := &cobra.Command{Use: "buy MEMBER TOTAL", Short: "Set how much traffic a member has bought in all, in bytes", Args: exactArgs("MEMBER", "TOTAL")}
	return decide(cmd, func(ctx context.Context, service adminv1.MemberServiceClient, args []string) (*adminv1.Decision, error) {
		total, err := strconv.ParseUint(args[1], 10, 64)
		if err != nil {
			return nil, exit.Errorf(exit.Usage, "%q is no number of bytes", args[1])
		}
		return service.ProposeTraffic(ctx, &adminv1.ProposeTrafficRequest{Member: args[0], Total: total})
	})
}

func membersDisable() *cobra.Command {
	cmd := &cobra.Command{Use: "disable MEMBER", Short: "Shut a member out for good", Args: exactArgs("MEMBER")}
	return decide(cmd, func(ctx context.Context, service adminv1.MemberServiceClient, args []string) (*adminv1.Decision, error) {
		return service.ProposeDisable(ctx, &adminv1.ProposeDisableRequest{Member: args[0]})
	})
}

func membersSign() *cobra.Command {
	cmd := &cobra.Command{
		Use: "sign FILE", Short: "Add this sequencer's signature to a decision", Args: exactArgs("FILE"),
		Long: "Shows what the file decides, asks whether to sign it, and adds the signature of this sequencer. The last one that is needed has it\n" +
			"ordered. Where nobody can be asked, without a terminal, --yes is needed.",
	}
	yes := cmd.Flags().Bool("yes", false, "sign without being asked (default false)")
	return decide(cmd, func(ctx context.Context, service adminv1.MemberServiceClient, args []string) (*adminv1.Decision, error) {
		request, what, err := readDecision(args[0])
		if err != nil {
			return nil, err
		}
		if err := consent(cmd.InOrStdin(), cmd.ErrOrStderr(), what, *yes); err != nil {
			return nil, err
		}
		return service.Sign(ctx, &adminv1.SignRequest{Request: request})
	})
}

// decide is a command that yields a decision, complete or to be handed on.
func decide(cmd *cobra.Command, ask func(context.Context, adminv1.MemberServiceClient, []string) (*adminv1.Decision, error)) *cobra.Command {
	out := cmd.Flags().String("out", "", "`file` for the decision, for the next operator to sign (default none)")
	return adminCall(cmd, func(ctx context.Context, conn *grpc.ClientConn, args []string) (*adminv1.Decision, error) {
		d, err := ask(ctx, adminv1.NewMemberServiceClient(conn), args)
		if err == nil && *out != "" {
			err = wholefile.Replace(*out, d.GetRequest(), 0o644)
		}
		return d, err
	}, func(to io.Writer, d *adminv1.Decision) error {
		next := "hand it to the operator of another sequencer"
		if d.GetSubmitted() {
			next = "complete, and handed to ordering"
		}
		_, err := fmt.Fprintf(to, "%s\ndigest %s\n%d of %d signatures: %s\n", d.GetDescription(), d.GetDigest(), d.GetSignatures(), d.GetNeeded(), next)
		return err
	})
}
