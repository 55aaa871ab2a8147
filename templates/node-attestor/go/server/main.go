// Command server is the server's half: it believes nothing but the proof.
package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"sync"

	"assayer.example/__NAME__/proof"
	"github.com/hashicorp/hcl"
	"github.com/spiffe/spire-plugin-sdk/pluginmain"
	nodeattestorv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/nodeattestor/v1"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type config struct {
	// A folder with a file a node, named like the node, that holds its key.
	KeysPath string `hcl:"keys_path"`

	trustDomain string
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
	c.trustDomain = req.GetCoreConfiguration().GetTrustDomain()
	if c.trustDomain == "" {
		return nil, status.Error(codes.InvalidArgument, "the host gave no trust domain")
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
	if !filepath.IsAbs(c.KeysPath) {
		return nil, fmt.Errorf("keys_path: must be the absolute path of a folder")
	}
	return c, nil
}

func (p *plugin) Attest(stream nodeattestorv1.NodeAttestor_AttestServer) error {
	p.mtx.RLock()
	c := p.config
	p.mtx.RUnlock()
	if c == nil {
		return status.Error(codes.FailedPrecondition, "not configured")
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	node := string(first.GetPayload())
	if !proof.NodeName.MatchString(node) {
		return status.Error(codes.PermissionDenied, "the payload is no name of a node")
	}
	challenge := make([]byte, proof.ChallengeBytes)
	if _, err := rand.Read(challenge); err != nil {
		return status.Errorf(codes.Internal, "no random bytes: %v", err)
	}
	if err := stream.Send(&nodeattestorv1.AttestResponse{
		Response: &nodeattestorv1.AttestResponse_Challenge{Challenge: challenge},
	}); err != nil {
		return err
	}
	answer, err := stream.Recv()
	if err != nil {
		return err
	}
	key, err := proof.ReadKey(filepath.Join(c.KeysPath, node))
	if err != nil {
		return status.Errorf(codes.PermissionDenied, "there is no key for node %q", node)
	}
	if !hmac.Equal(proof.Of(key, node, challenge), answer.GetChallengeResponse()) {
		return status.Errorf(codes.PermissionDenied, "the proof of node %q is wrong", node)
	}
	return stream.Send(&nodeattestorv1.AttestResponse{
		Response: &nodeattestorv1.AttestResponse_AgentAttributes{AgentAttributes: &nodeattestorv1.AgentAttributes{
			SpiffeId:       fmt.Sprintf("spiffe://%s/spire/agent/__NAME__/%s", c.trustDomain, node),
			SelectorValues: []string{"node:" + node},
			CanReattest:    true,
		}},
	})
}

func main() {
	p := new(plugin)
	pluginmain.Serve(nodeattestorv1.NodeAttestorPluginServer(p), configv1.ConfigServiceServer(p))
}
