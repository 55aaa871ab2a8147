// A credential composer that leaves its name, the first argument, in every credential: whoever comes after it adds theirs.
package main

import (
	"context"
	"os"

	"github.com/spiffe/spire-plugin-sdk/pluginmain"
	composerv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/credentialcomposer/v1"
	"google.golang.org/protobuf/types/known/structpb"
)

type plugin struct {
	composerv1.UnimplementedCredentialComposerServer
	name string
}

func (p plugin) named(subject *composerv1.DistinguishedName) {
	subject.OrganizationalUnit = append(subject.OrganizationalUnit, p.name)
}

func (p plugin) ComposeServerX509CA(_ context.Context, req *composerv1.ComposeServerX509CARequest) (*composerv1.ComposeServerX509CAResponse, error) {
	p.named(req.Attributes.Subject)
	return &composerv1.ComposeServerX509CAResponse{Attributes: req.Attributes}, nil
}

func (p plugin) ComposeServerX509SVID(_ context.Context, req *composerv1.ComposeServerX509SVIDRequest) (*composerv1.ComposeServerX509SVIDResponse, error) {
	p.named(req.Attributes.Subject)
	return &composerv1.ComposeServerX509SVIDResponse{Attributes: req.Attributes}, nil
}

func (p plugin) ComposeAgentX509SVID(_ context.Context, req *composerv1.ComposeAgentX509SVIDRequest) (*composerv1.ComposeAgentX509SVIDResponse, error) {
	p.named(req.Attributes.Subject)
	return &composerv1.ComposeAgentX509SVIDResponse{Attributes: req.Attributes}, nil
}

func (p plugin) ComposeWorkloadX509SVID(_ context.Context, req *composerv1.ComposeWorkloadX509SVIDRequest) (*composerv1.ComposeWorkloadX509SVIDResponse, error) {
	p.named(req.Attributes.Subject)
	req.Attributes.DnsSans = append(req.Attributes.DnsSans, p.name+".example.org")
	return &composerv1.ComposeWorkloadX509SVIDResponse{Attributes: req.Attributes}, nil
}

func (p plugin) ComposeWorkloadJWTSVID(_ context.Context, req *composerv1.ComposeWorkloadJWTSVIDRequest) (*composerv1.ComposeWorkloadJWTSVIDResponse, error) {
	fields := req.Attributes.Claims.Fields
	names := fields["names"].GetListValue()
	if names == nil {
		names = &structpb.ListValue{}
	}
	names.Values = append(names.Values, structpb.NewStringValue(p.name))
	fields["names"] = structpb.NewListValue(names)
	return &composerv1.ComposeWorkloadJWTSVIDResponse{Attributes: req.Attributes}, nil
}

func main() {
	name := "go"
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	pluginmain.Serve(composerv1.CredentialComposerPluginServer(plugin{name: name}))
}
