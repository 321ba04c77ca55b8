package rest

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
)

// route is one kind of request. A segment in braces stands for an argument.
type route struct {
	path    string
	summary string
	returns string // the schema of the answer, in openapi.go
	many    bool   // a list of it
	answer  func(s *server, ctx context.Context, args []string) ([]byte, error)
}

// match compares the segments of a request's path and returns its arguments.
func (r *route) match(segments []string) ([]string, bool) {
	pattern := strings.Split(strings.TrimPrefix(r.path, "/"), "/")
	if len(pattern) != len(segments) {
		return nil, false
	}
	var args []string
	for i, p := range pattern {
		switch {
		case strings.HasPrefix(p, "{"):
			if segments[i] == "" {
				return nil, false
			}
			args = append(args, segments[i])
		case p != segments[i]:
			return nil, false
		}
	}
	return args, true
}

func routesOf(layout log.Layout) []route {
	routes := []route{
		{"/block", "The newest stored block.", "BlockAdded", false, latestBlock},
		{"/block/{block_hash_or_height}", "A block by its hash (64 hexadecimal digits) or its height.", "BlockAdded", false, block},
	}
	if layout == log.V1 {
		routes = append(routes, routesOfDeploys()...)
	} else {
		routes = append(routes, routesOfTransactions()...)
	}
	return append(routes,
		route{"/faults/{public_key_or_era}", "Faults of a validator, by its public key (66 or 68 hexadecimal digits), or of an era.", "Fault", true, faults},
		route{"/signatures/{block_hash}", "Finality signatures on a block.", "FinalitySignature", true, signatures},
		route{"/step/{era}", "The step event at the end of an era.", "Step", false, step},
		route{"/status", "The version of the sidecar.", "Status", false, status},
		route{"/api-doc.json", "This document.", "Document", false, document},
	)
}

func routesOfDeploys() []route {
	return []route{
		{"/deploy/{deploy_hash}", "What is known about a deploy.", "DeployAggregate", false, deployAggregate},
		{"/deploy/accepted/{deploy_hash}", "The acceptance of a deploy.", "DeployAccepted", false, deployEvent(event.DeployAccepted)},
		{"/deploy/processed/{deploy_hash}", "The execution of a deploy.", "DeployProcessed", false, deployEvent(event.DeployProcessed)},
		{"/deploy/expired/{deploy_hash}", "The expiry of a deploy.", "DeployExpired", false, deployEvent(event.DeployExpired)},
	}
}

func routesOfTransactions() []route {
	return []route{
		{"/transaction/accepted/{transaction_type}/{transaction_hash}", "The acceptance of a transaction.", "TransactionAccepted", false, transactionEvent(event.TransactionAccepted)},
		{"/transaction/processed/{transaction_type}/{transaction_hash}", "The execution of a transaction.", "TransactionProcessed", false, transactionEvent(event.TransactionProcessed)},
		{"/transaction/expired/{transaction_type}/{transaction_hash}", "The expiry of a transaction.", "TransactionExpired", false, transactionEvent(event.TransactionExpired)},
		{"/transaction/{transaction_type}/{transaction_hash}", "What is known about a transaction; the type is deploy or version1.", "TransactionAggregate", false, transactionAggregate},
	}
}

func latestBlock(s *server, ctx context.Context, _ []string) ([]byte, error) {
	return s.one(s.reader.LatestBlock(ctx))
}

func block(s *server, ctx context.Context, args []string) ([]byte, error) {
	hash, err := hashOf(args[0])
	if err == nil {
		return s.one(s.reader.BlockByHash(ctx, hash))
	}
	if height, isNumber := number(args[0]); isNumber {
		return s.one(s.reader.BlockByHeight(ctx, height))
	}
	return nil, err
}

func deployEvent(kind event.Kind) func(*server, context.Context, []string) ([]byte, error) {
	return func(s *server, ctx context.Context, args []string) ([]byte, error) {
		hash, err := hashOf(args[0])
		if err != nil {
			return nil, err
		}
		return s.one(s.reader.Deploy(ctx, kind, "", hash))
	}
}

func transactionEvent(kind event.Kind) func(*server, context.Context, []string) ([]byte, error) {
	return func(s *server, ctx context.Context, args []string) ([]byte, error) {
		variant, hash, err := transactionOf(args)
		if err != nil {
			return nil, err
		}
		return s.one(s.reader.Deploy(ctx, kind, variant, hash))
	}
}

// aggregate is what is known about a deploy or transaction.
type aggregate struct {
	Hash      string
	Accepted  json.RawMessage
	Processed json.RawMessage // nil: not yet
	Expired   bool
}

// gather looks a deploy or transaction up in its three tables. It is unknown unless its acceptance is stored; expiry is asked for
// only if it was not processed.
func (s *server) gather(ctx context.Context, variant, hash string, accepted, processed, expired event.Kind) (a aggregate, err error) {
	a.Hash = hash
	f, err := s.reader.Deploy(ctx, accepted, variant, hash)
	if err != nil {
		return a, err
	}
	a.Accepted = s.envelope(f)
	f, err = s.reader.Deploy(ctx, processed, variant, hash)
	if err == nil {
		a.Processed = s.envelope(f)
		return a, nil
	}
	if !errors.Is(err, log.ErrNotFound) {
		return a, err
	}
	_, err = s.reader.Deploy(ctx, expired, variant, hash)
	a.Expired = err == nil
	if errors.Is(err, log.ErrNotFound) {
		err = nil
	}
	return a, err
}

func deployAggregate(s *server, ctx context.Context, args []string) ([]byte, error) {
	hash, err := hashOf(args[0])
	if err != nil {
		return nil, err
	}
	a, err := s.gather(ctx, "", hash, event.DeployAccepted, event.DeployProcessed, event.DeployExpired)
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Hash      string          `json:"deploy_hash"`
		Accepted  json.RawMessage `json:"deploy_accepted"`
		Processed json.RawMessage `json:"deploy_processed"`
		Expired   bool            `json:"deploy_expired"`
	}(a))
}

func transactionAggregate(s *server, ctx context.Context, args []string) ([]byte, error) {
	variant, hash, err := transactionOf(args)
	if err != nil {
		return nil, err
	}
	a, err := s.gather(ctx, variant, hash, event.TransactionAccepted, event.TransactionProcessed, event.TransactionExpired)
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Hash      string          `json:"transaction_hash"`
		Accepted  json.RawMessage `json:"transaction_accepted"`
		Processed json.RawMessage `json:"transaction_processed"`
		Expired   bool            `json:"transaction_expired"`
	}(a))
}

func faults(s *server, ctx context.Context, args []string) ([]byte, error) {
	if n := len(args[0]); (n == 66 || n == 68) && isHex(args[0]) {
		return s.list(s.reader.FaultsByKey(ctx, strings.ToLower(args[0])))
	}
	if era, isNumber := number(args[0]); isNumber {
		return s.list(s.reader.FaultsByEra(ctx, era))
	}
	return nil, invalid("public key", "66/68", args[0])
}

func signatures(s *server, ctx context.Context, args []string) ([]byte, error) {
	hash, err := hashOf(args[0])
	if err != nil {
		return nil, err
	}
	return s.list(s.reader.Signatures(ctx, hash))
}

func step(s *server, ctx context.Context, args []string) ([]byte, error) {
	era, isNumber := number(args[0])
	if !isNumber {
		return nil, errPath
	}
	return s.one(s.reader.Step(ctx, era))
}

func status(s *server, _ context.Context, _ []string) ([]byte, error) {
	return json.Marshal(struct {
		Version string `json:"version"`
	}{s.version})
}

func document(s *server, _ context.Context, _ []string) ([]byte, error) { return s.openAPI, nil }

// hashOf accepts digits of either case, although the database has the lower one.
func hashOf(text string) (string, error) {
	if len(text) != 64 || !isHex(text) {
		return "", invalid("hash", "64", text)
	}
	return strings.ToLower(text), nil
}

func transactionOf(args []string) (variant, hash string, err error) {
	switch strings.ToLower(args[0]) {
	case "deploy":
		variant = "Deploy"
	case "version1":
		variant = "Version1"
	default:
		return "", "", errPath
	}
	hash, err = hashOf(args[1])
	return variant, hash, err
}

func isHex(text string) bool {
	return strings.Trim(text, "0123456789abcdefABCDEF") == ""
}

func number(text string) (uint64, bool) {
	n, err := strconv.ParseUint(text, 10, 64)
	return n, err == nil && text[0] != '+'
}
