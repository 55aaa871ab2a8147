// The agent's half: it answers challenges with the SHA-256 of challenge and payload.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"sync"

	"github.com/hashicorp/hcl"
	"github.com/spiffe/spire-plugin-sdk/pluginmain"
	nodeattestorv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/agent/nodeattestor/v1"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type config struct {
	// The payload; "" sends an empty one, "close" none.
	Node string `hcl:"node"`
}

type plugin struct {
	nodeattestorv1.UnimplementedNodeAttestorServer
	configv1.UnimplementedConfigServer

	mtx    sync.RWMutex
	config config
}

func (p *plugin) Configure(_ context.Context, req *configv1.ConfigureRequest) (*configv1.ConfigureResponse, error) {
	var c config
	if err := hcl.Decode(&c, req.HclConfiguration); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "cannot decode configuration: %v", err)
	}
	p.mtx.Lock()
	p.config = c
	p.mtx.Unlock()
	return &configv1.ConfigureResponse{}, nil
}

func (p *plugin) AidAttestation(stream nodeattestorv1.NodeAttestor_AidAttestationServer) error {
	p.mtx.RLock()
	payload := []byte(p.config.Node)
	p.mtx.RUnlock()
	if string(payload) == "close" {
		return nil
	}
	if err := stream.Send(&nodeattestorv1.PayloadOrChallengeResponse{
		Data: &nodeattestorv1.PayloadOrChallengeResponse_Payload{Payload: payload},
	}); err != nil {
		return err
	}
	for {
		challenge, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if string(challenge.Challenge) == "refuse" {
			return status.Error(codes.InvalidArgument, "the challenge makes no sense")
		}
		response := []byte{}
		if string(challenge.Challenge) != "silence" {
			sum := sha256.Sum256(append(append([]byte{}, challenge.Challenge...), payload...))
			response = sum[:]
		}
		if err := stream.Send(&nodeattestorv1.PayloadOrChallengeResponse{
			Data: &nodeattestorv1.PayloadOrChallengeResponse_ChallengeResponse{ChallengeResponse: response},
		}); err != nil {
			return err
		}
	}
}

func main() {
	p := new(plugin)
	pluginmain.Serve(nodeattestorv1.NodeAttestorPluginServer(p), configv1.ConfigServiceServer(p))
}
