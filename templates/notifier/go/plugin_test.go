package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/spiffe/spire-plugin-sdk/pluginsdk"
	"github.com/spiffe/spire-plugin-sdk/plugintest"
	notifierv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/notifier/v1"
	"github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/types"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestEachEventIsALine(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "journal")
	p := new(plugin)
	client := new(notifierv1.NotifierPluginClient)
	plugintest.ServeInBackground(t, plugintest.Config{
		PluginServer:   notifierv1.NotifierPluginServer(p),
		PluginClient:   client,
		ServiceServers: []pluginsdk.ServiceServer{configv1.ConfigServiceServer(p)},
	})
	configure := func(path string) {
		if _, err := p.Configure(ctx, &configv1.ConfigureRequest{HclConfiguration: `journal_path = "` + path + `"`}); err != nil {
			t.Fatal(err)
		}
	}
	bundle := &types.Bundle{TrustDomain: "example.org", SequenceNumber: 5, X509Authorities: []*types.X509Certificate{{Asn1: []byte("root")}}}
	load := func() error {
		_, err := client.NotifyAndAdvise(ctx, &notifierv1.NotifyAndAdviseRequest{
			Event: &notifierv1.NotifyAndAdviseRequest_BundleLoaded{BundleLoaded: &notifierv1.BundleLoaded{Bundle: bundle}},
		})
		return err
	}
	configure(path)
	if err := load(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Notify(ctx, &notifierv1.NotifyRequest{
		Event: &notifierv1.NotifyRequest_BundleUpdated{BundleUpdated: &notifierv1.BundleUpdated{Bundle: bundle}},
	}); err != nil {
		t.Fatal(err)
	}
	want := "bundle loaded: example.org sequence=5 x509=1 jwt=0\nbundle updated: example.org sequence=5 x509=1 jwt=0\n"
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("got %q, %v", got, err)
	}
	configure("/dev/null/journal")
	if err := load(); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("got %v", err)
	}
}
