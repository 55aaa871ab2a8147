package main

import (
	"context"
	"testing"

	"github.com/spiffe/spire-plugin-sdk/pluginsdk"
	"github.com/spiffe/spire-plugin-sdk/plugintest"
	composerv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/credentialcomposer/v1"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	"google.golang.org/protobuf/types/known/structpb"
)

func TestCompose(t *testing.T) {
	ctx := context.Background()
	p := new(plugin)
	client := new(composerv1.CredentialComposerPluginClient)
	plugintest.ServeInBackground(t, plugintest.Config{
		PluginServer:   composerv1.CredentialComposerPluginServer(p),
		PluginClient:   client,
		ServiceServers: []pluginsdk.ServiceServer{configv1.ConfigServiceServer(p)},
	})
	if _, err := p.Configure(ctx, &configv1.ConfigureRequest{HclConfiguration: `organization = "Example"`}); err != nil {
		t.Fatal(err)
	}
	x509, err := client.ComposeWorkloadX509SVID(ctx, &composerv1.ComposeWorkloadX509SVIDRequest{
		SpiffeId:   "spiffe://example.org/web",
		Attributes: &composerv1.X509SVIDAttributes{Subject: &composerv1.DistinguishedName{CommonName: "web"}, DnsSans: []string{"web"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := x509.Attributes
	if got.Subject.CommonName != "web" || got.Subject.Organization[0] != "Example" || got.DnsSans[0] != "web" {
		t.Errorf("got %v", got)
	}
	claims, err := structpb.NewStruct(map[string]any{"sub": "x"})
	if err != nil {
		t.Fatal(err)
	}
	jwt, err := client.ComposeWorkloadJWTSVID(ctx, &composerv1.ComposeWorkloadJWTSVIDRequest{
		SpiffeId:   "spiffe://example.org/web",
		Attributes: &composerv1.JWTSVIDAttributes{Claims: claims},
	})
	if err != nil {
		t.Fatal(err)
	}
	if fields := jwt.Attributes.Claims.AsMap(); fields["sub"] != "x" || fields["org"] != "Example" {
		t.Errorf("got %v", fields)
	}
	kept, err := client.ComposeAgentX509SVID(ctx, &composerv1.ComposeAgentX509SVIDRequest{})
	if err != nil || kept.Attributes != nil {
		t.Errorf("got %v, %v", kept, err)
	}
}
