package main

import (
	"context"
	"errors"
	"io"

	agentnodeattestorv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/agent/nodeattestor/v1"
	nodeattestorv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/nodeattestor/v1"
	"google.golang.org/grpc"
)

func payload(text string) *nodeattestorv1.AttestRequest {
	return &nodeattestorv1.AttestRequest{Request: &nodeattestorv1.AttestRequest_Payload{Payload: []byte(text)}}
}

func challengeResponse(text string) *nodeattestorv1.AttestRequest {
	return &nodeattestorv1.AttestRequest{Request: &nodeattestorv1.AttestRequest_ChallengeResponse{ChallengeResponse: []byte(text)}}
}

// tryRefusals leads both halves of a node attestor to every error that they have.
func tryRefusals(ctx context.Context, server, agent *grpc.ClientConn) []string {
	var seen []string
	for _, trial := range []struct {
		what     string
		requests []*nodeattestorv1.AttestRequest
	}{
		{"deny", []*nodeattestorv1.AttestRequest{payload("deny")}},
		{"liar", []*nodeattestorv1.AttestRequest{payload("liar"), challengeResponse("wrong")}},
		{"answer first", []*nodeattestorv1.AttestRequest{challengeResponse("wrong")}},
		{"payload twice", []*nodeattestorv1.AttestRequest{payload("one"), payload("two")}},
		{"neither", []*nodeattestorv1.AttestRequest{{}}},
		{"nothing", nil},
		{"no answer", []*nodeattestorv1.AttestRequest{payload("one")}},
	} {
		seen = append(seen, outcome(trial.what, judge(ctx, server, trial.requests)))
	}
	seen = append(seen, outcome("challenge refuse", aid(ctx, agent, "refuse")))
	seen = append(seen, outcome("challenge of no length", aid(ctx, agent, "")))
	return seen
}

// judge sends requests and nothing after them. It returns how the stream ended; nil where there was no error.
func judge(ctx context.Context, conn *grpc.ClientConn, requests []*nodeattestorv1.AttestRequest) error {
	stream, err := nodeattestorv1.NewNodeAttestorClient(conn).Attest(ctx)
	if err != nil {
		return err
	}
	for _, request := range requests {
		if err := stream.Send(request); err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// aid sends one challenge. It returns how the stream ended; nil where there was no error.
func aid(ctx context.Context, conn *grpc.ClientConn, challenge string) error {
	stream, err := agentnodeattestorv1.NewNodeAttestorClient(conn).AidAttestation(ctx)
	if err != nil {
		return err
	}
	if _, err := stream.Recv(); err != nil {
		return err
	}
	if err := stream.Send(&agentnodeattestorv1.Challenge{Challenge: []byte(challenge)}); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
