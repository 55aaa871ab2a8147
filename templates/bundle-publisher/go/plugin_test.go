package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe/spire-plugin-sdk/pluginsdk"
	"github.com/spiffe/spire-plugin-sdk/plugintest"
	bundlepublisherv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/bundlepublisher/v1"
	"github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/types"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestPublish(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "bundle.pem")
	p := new(plugin)
	client := new(bundlepublisherv1.BundlePublisherPluginClient)
	plugintest.ServeInBackground(t, plugintest.Config{
		PluginServer:   bundlepublisherv1.BundlePublisherPluginServer(p),
		PluginClient:   client,
		ServiceServers: []pluginsdk.ServiceServer{configv1.ConfigServiceServer(p)},
	})
	if _, err := p.Configure(ctx, &configv1.ConfigureRequest{HclConfiguration: `path = "` + path + `"`}); err != nil {
		t.Fatal(err)
	}
	for _, roots := range [][]string{{"one"}, {"one"}, {"one", "two"}} {
		bundle := new(types.Bundle)
		for _, root := range roots {
			bundle.X509Authorities = append(bundle.X509Authorities, &types.X509Certificate{Asn1: []byte(root)})
		}
		if _, err := client.PublishBundle(ctx, &bundlepublisherv1.PublishBundleRequest{Bundle: bundle}); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil || strings.Count(string(text), "BEGIN CERTIFICATE") != len(roots) {
			t.Errorf("%q: got %q, %v", roots, text, err)
		}
	}
	if _, err := client.PublishBundle(ctx, &bundlepublisherv1.PublishBundleRequest{}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("without a bundle: got %v", err)
	}
}
