package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/hashicorp/hcl"
	composerv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/credentialcomposer/v1"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
)

type config struct {
	// Goes into the subject of X.509-SVIDs, and is the claim "org" of JWT-SVIDs.
	Organization string `hcl:"organization"`
}

type plugin struct {
	composerv1.UnimplementedCredentialComposerServer
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

func (p *plugin) configured() (*config, error) {
	p.mtx.RLock()
	defer p.mtx.RUnlock()
	if p.config == nil {
		return nil, status.Error(codes.FailedPrecondition, "not configured")
	}
	return p.config, nil
}

func parse(text string) (*config, error) {
	c := new(config)
	if err := hcl.Decode(c, text); err != nil {
		return nil, fmt.Errorf("cannot decode the configuration: %w", err)
	}
	if length := len(c.Organization); length < 1 || length > 64 {
		return nil, fmt.Errorf("organization: must have 1 to 64 bytes")
	}
	return c, nil
}

func (p *plugin) ComposeWorkloadX509SVID(_ context.Context, req *composerv1.ComposeWorkloadX509SVIDRequest) (*composerv1.ComposeWorkloadX509SVIDResponse, error) {
	c, err := p.configured()
	if err != nil {
		return nil, err
	}
	attributes := req.Attributes
	if attributes == nil {
		return nil, status.Error(codes.InvalidArgument, "the attributes are missing")
	}
	if attributes.Subject == nil {
		attributes.Subject = new(composerv1.DistinguishedName)
	}
	attributes.Subject.Organization = []string{c.Organization}
	return &composerv1.ComposeWorkloadX509SVIDResponse{Attributes: attributes}, nil
}

func (p *plugin) ComposeWorkloadJWTSVID(_ context.Context, req *composerv1.ComposeWorkloadJWTSVIDRequest) (*composerv1.ComposeWorkloadJWTSVIDResponse, error) {
	c, err := p.configured()
	if err != nil {
		return nil, err
	}
	claims := req.GetAttributes().GetClaims()
	if claims.GetFields() == nil {
		return nil, status.Error(codes.InvalidArgument, "the claims are missing")
	}
	claims.Fields["org"] = structpb.NewStringValue(c.Organization)
	return &composerv1.ComposeWorkloadJWTSVIDResponse{Attributes: &composerv1.JWTSVIDAttributes{Claims: claims}}, nil
}

// Where there is nothing to say, an empty answer leaves the credential as it is.

func (*plugin) ComposeServerX509CA(context.Context, *composerv1.ComposeServerX509CARequest) (*composerv1.ComposeServerX509CAResponse, error) {
	return &composerv1.ComposeServerX509CAResponse{}, nil
}

func (*plugin) ComposeServerX509SVID(context.Context, *composerv1.ComposeServerX509SVIDRequest) (*composerv1.ComposeServerX509SVIDResponse, error) {
	return &composerv1.ComposeServerX509SVIDResponse{}, nil
}

func (*plugin) ComposeAgentX509SVID(context.Context, *composerv1.ComposeAgentX509SVIDRequest) (*composerv1.ComposeAgentX509SVIDResponse, error) {
	return &composerv1.ComposeAgentX509SVIDResponse{}, nil
}
