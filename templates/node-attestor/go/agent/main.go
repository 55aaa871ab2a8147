// Command agent is the agent's half: it says who the node is, then proves it.
package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"assayer.example/__NAME__/proof"
	"github.com/hashicorp/hcl"
	"github.com/spiffe/spire-plugin-sdk/pluginmain"
	nodeattestorv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/agent/nodeattestor/v1"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type config struct {
	Node    string `hcl:"node"`
	KeyPath string `hcl:"key_path"`
}

type plugin struct {
	nodeattestorv1.UnimplementedNodeAttestorServer
	configv1.UnimplementedConfigServer

	mtx    sync.RWMutex
	config *config
}

func (p *plugin) Configure(_ context.Context, req *configv1.ConfigureRequest) (*configv1.ConfigureResponse, error) {
	c, err := parse(req.HclConfiguration)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	p.mtx.Lock()
	p.config = c
	p.mtx.Unlock()
	return &configv1.ConfigureResponse{}, nil
}

func (p *plugin) Validate(_ context.Context, req *configv1.ValidateRequest) (*configv1.ValidateResponse, error) {
	if _, err := parse(req.HclConfiguration); err != nil {
		return &configv1.ValidateResponse{Notes: []string{err.Error()}}, nil
	}
	return &configv1.ValidateResponse{Valid: true}, nil
}

func parse(text string) (*config, error) {
	c := new(config)
	if err := hcl.Decode(c, text); err != nil {
		return nil, fmt.Errorf("cannot decode the configuration: %w", err)
	}
	if !proof.NodeName.MatchString(c.Node) {
		return nil, fmt.Errorf("node: must be a name of small letters, digits, \".\" and \"-\"")
	}
	if !filepath.IsAbs(c.KeyPath) {
		return nil, fmt.Errorf("key_path: must be the absolute path of a file")
	}
	return c, nil
}

func (p *plugin) AidAttestation(stream nodeattestorv1.NodeAttestor_AidAttestationServer) error {
	p.mtx.RLock()
	c := p.config
	p.mtx.RUnlock()
	if c == nil {
		return status.Error(codes.FailedPrecondition, "not configured")
	}
	if err := stream.Send(&nodeattestorv1.PayloadOrChallengeResponse{
		Data: &nodeattestorv1.PayloadOrChallengeResponse_Payload{Payload: []byte(c.Node)},
	}); err != nil {
		return err
	}
	challenge, err := stream.Recv()
	if err != nil {
		return err
	}
	key, err := proof.ReadKey(c.KeyPath)
	if err != nil {
		return status.Error(codes.FailedPrecondition, err.Error())
	}
	return stream.Send(&nodeattestorv1.PayloadOrChallengeResponse{
		Data: &nodeattestorv1.PayloadOrChallengeResponse_ChallengeResponse{
			ChallengeResponse: proof.Of(key, c.Node, challenge.Challenge),
		},
	})
}

func main() {
	p := new(plugin)
	pluginmain.Serve(nodeattestorv1.NodeAttestorPluginServer(p), configv1.ConfigServiceServer(p))
}
