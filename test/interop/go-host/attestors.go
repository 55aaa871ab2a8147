package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	agentnodeattestorv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/agent/nodeattestor/v1"
	workloadattestorv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/agent/workloadattestor/v1"
	nodeattestorv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/nodeattestor/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// attest relays between the two halves of a node attestor until the server's half has its verdict.
func attest(ctx context.Context, server, agent *grpc.ClientConn) ([]string, error) {
	aid, err := agentnodeattestorv1.NewNodeAttestorClient(agent).AidAttestation(ctx)
	if err != nil {
		return nil, err
	}
	judge, err := nodeattestorv1.NewNodeAttestorClient(server).Attest(ctx)
	if err != nil {
		return nil, err
	}
	first, err := aid.Recv()
	if err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	if len(first.GetPayload()) == 0 {
		return nil, errors.New("the agent's half sent no payload first")
	}
	request := &nodeattestorv1.AttestRequest{Request: &nodeattestorv1.AttestRequest_Payload{Payload: first.GetPayload()}}
	for {
		if err := judge.Send(request); err != nil {
			return nil, err
		}
		answer, err := judge.Recv()
		if err != nil {
			return nil, fmt.Errorf("verdict: %w", err)
		}
		if attributes := answer.GetAgentAttributes(); attributes != nil {
			lines := []string{"id " + attributes.SpiffeId, fmt.Sprintf("reattest %t", attributes.CanReattest)}
			for _, value := range attributes.SelectorValues {
				lines = append(lines, "selector "+value)
			}
			return lines, nil
		}
		if err := aid.Send(&agentnodeattestorv1.Challenge{Challenge: answer.GetChallenge()}); err != nil {
			return nil, err
		}
		response, err := aid.Recv()
		if err != nil {
			return nil, fmt.Errorf("answer: %w", err)
		}
		request = &nodeattestorv1.AttestRequest{
			Request: &nodeattestorv1.AttestRequest_ChallengeResponse{ChallengeResponse: response.GetChallengeResponse()},
		}
	}
}

func attestWorkload(ctx context.Context, conn *grpc.ClientConn, pids []int32) ([]string, error) {
	var seen []string
	for _, pid := range pids {
		answer, err := workloadattestorv1.NewWorkloadAttestorClient(conn).Attest(ctx, &workloadattestorv1.AttestRequest{Pid: pid})
		if err != nil {
			seen = append(seen, fmt.Sprintf("%d %s", pid, status.Code(err)))
			continue
		}
		seen = append(seen, fmt.Sprintf("%d %s", pid, strings.Join(answer.SelectorValues, " ")))
	}
	return seen, nil
}
