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
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/anypb"
)

// attest relays between the two halves of a node attestor until the server's half has its verdict.
func attest(ctx context.Context, server, agent *grpc.ClientConn) ([]string, error) {
	aid, err := agentnodeattestorv1.NewNodeAttestorClient(agent).AidAttestation(ctx)
	if err != nil {
		return nil, err
	}
	judge, err := nodeattestorv1.NewNodeAttestorClient(server).Attest(metadata.AppendToOutgoingContext(ctx,
		"x-untrusted-forwarded-host", "spire.example.org", "x-forwarded-client-ip", "192.0.2.7"))
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

// attestReferences refers to a process, to a pod and to something that nobody knows, on behalf of a caller.
func attestReferences(ctx context.Context, conn *grpc.ClientConn, pids []int32) ([]string, error) {
	ctx = metadata.AppendToOutgoingContext(ctx, "spire-agent-broker-caller-id", "spiffe://example.org/broker")
	// The SDK has no types for references yet.
	resource := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "pods")
	object := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "shop")
	object = protowire.AppendString(protowire.AppendTag(object, 2, protowire.BytesType), "web-0")
	pod := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), resource)
	pod = protowire.AppendBytes(protowire.AppendTag(pod, 2, protowire.BytesType), object)
	pod = protowire.AppendString(protowire.AppendTag(pod, 3, protowire.BytesType), "42")
	references := []*anypb.Any{
		{TypeUrl: "type.googleapis.com/spiffe.broker.KubernetesObjectReference", Value: pod},
		{TypeUrl: "type.googleapis.com/example.Reference"},
		{TypeUrl: "type.googleapis.com/spiffe.broker.WorkloadPIDReference", Value: []byte{0xff}},
		nil,
	}
	for _, pid := range pids {
		value := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(pid))
		references = append(references, &anypb.Any{TypeUrl: "type.googleapis.com/spiffe.broker.WorkloadPIDReference", Value: value})
	}
	var seen []string
	for _, reference := range references {
		answer, err := workloadattestorv1.NewWorkloadAttestorClient(conn).AttestReference(ctx, &workloadattestorv1.AttestReferenceRequest{Reference: reference})
		if err != nil {
			seen = append(seen, outcome("refused", err))
			continue
		}
		seen = append(seen, strings.Join(answer.SelectorValues, " "))
	}
	return seen, nil
}
