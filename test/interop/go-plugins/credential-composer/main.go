// A credential composer. The path of the SPIFFE ID says what it does to a workload's credentials; it has nothing to say
// of an agent's, and leaves the server's SVID as it is.
package main

import (
	"context"
	"strings"

	"assayer.example/go-plugins/internal/describe"
	"github.com/spiffe/spire-plugin-sdk/pluginmain"
	composerv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/credentialcomposer/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
)

type plugin struct {
	composerv1.UnimplementedCredentialComposerServer
}

func (plugin) ComposeServerX509CA(_ context.Context, req *composerv1.ComposeServerX509CARequest) (*composerv1.ComposeServerX509CAResponse, error) {
	attributes := req.Attributes
	attributes.Subject.OrganizationalUnit = append(attributes.Subject.OrganizationalUnit, "composed")
	attributes.Subject.SerialNumber = "42"
	attributes.Subject.ExtraNames = append(attributes.Subject.ExtraNames,
		&composerv1.AttributeTypeAndValue{Oid: "0.9.2342.19200300.100.1.25", StringValue: "example"})
	attributes.PolicyIdentifiers = append(attributes.PolicyIdentifiers, "1.3.6.1.4.1.99999.1")
	attributes.ExtraExtensions = append(attributes.ExtraExtensions, extension())
	return &composerv1.ComposeServerX509CAResponse{Attributes: attributes}, nil
}

func (plugin) ComposeServerX509SVID(context.Context, *composerv1.ComposeServerX509SVIDRequest) (*composerv1.ComposeServerX509SVIDResponse, error) {
	return &composerv1.ComposeServerX509SVIDResponse{}, nil
}

func (plugin) ComposeWorkloadX509SVID(_ context.Context, req *composerv1.ComposeWorkloadX509SVIDRequest) (*composerv1.ComposeWorkloadX509SVIDResponse, error) {
	attributes := &composerv1.X509SVIDAttributes{
		Subject: &composerv1.DistinguishedName{CommonName: describe.Digest(req.PublicKey)},
		DnsSans: []string{"one.example.org"},
	}
	switch pathOf(req.SpiffeId) {
	case "/deny":
		return nil, status.Error(codes.PermissionDenied, "not for that workload")
	case "/no-subject":
		attributes.Subject = nil
	case "/bad-oid":
		attributes.ExtraExtensions = []*composerv1.X509Extension{{Oid: "not an oid"}}
	}
	return &composerv1.ComposeWorkloadX509SVIDResponse{Attributes: attributes}, nil
}

func (plugin) ComposeWorkloadJWTSVID(_ context.Context, req *composerv1.ComposeWorkloadJWTSVIDRequest) (*composerv1.ComposeWorkloadJWTSVIDResponse, error) {
	if pathOf(req.SpiffeId) == "/no-claims" {
		return &composerv1.ComposeWorkloadJWTSVIDResponse{Attributes: &composerv1.JWTSVIDAttributes{}}, nil
	}
	added, err := structpb.NewStruct(map[string]any{
		"number": 1.5, "text": "x", "yes": true, "nothing": nil, "list": []any{1, "two", nil}, "map": map[string]any{"of": "it"},
	})
	if err != nil {
		return nil, err
	}
	claims := req.Attributes.Claims
	for name, value := range added.Fields {
		claims.Fields[name] = value
	}
	delete(claims.Fields, "unwanted")
	return &composerv1.ComposeWorkloadJWTSVIDResponse{Attributes: &composerv1.JWTSVIDAttributes{Claims: claims}}, nil
}

func extension() *composerv1.X509Extension {
	return &composerv1.X509Extension{Oid: "1.3.6.1.4.1.99999.2", Value: []byte{0x05, 0x00}, Critical: true}
}

func pathOf(id string) string {
	return strings.TrimPrefix(id, "spiffe://example.org")
}

func main() {
	pluginmain.Serve(composerv1.CredentialComposerPluginServer(plugin{}))
}
