package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe/spire-plugin-sdk/pluginsdk"
	"github.com/spiffe/spire-plugin-sdk/plugintest"
	svidstorev1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/agent/svidstore/v1"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestStore(t *testing.T) {
	ctx, folder := context.Background(), t.TempDir()
	p := new(plugin)
	client := new(svidstorev1.SVIDStorePluginClient)
	plugintest.ServeInBackground(t, plugintest.Config{
		PluginServer:   svidstorev1.SVIDStorePluginServer(p),
		PluginClient:   client,
		ServiceServers: []pluginsdk.ServiceServer{configv1.ConfigServiceServer(p)},
	})
	if _, err := p.Configure(ctx, &configv1.ConfigureRequest{HclConfiguration: `folder = "` + folder + `"`}); err != nil {
		t.Fatal(err)
	}
	svid := &svidstorev1.X509SVID{
		SpiffeID: "spiffe://example.org/web", CertChain: [][]byte{[]byte("leaf"), []byte("intermediate")},
		PrivateKey: []byte("key"), Bundle: [][]byte{[]byte("root")},
	}
	put := func(metadata ...string) error {
		_, err := client.PutX509SVID(ctx, &svidstorev1.PutX509SVIDRequest{Svid: svid, Metadata: metadata})
		return err
	}
	if err := put("other:x", "name:web"); err != nil {
		t.Fatal(err)
	}
	chain, err := os.ReadFile(filepath.Join(folder, "web", "svid.pem"))
	if err != nil || strings.Count(string(chain), "BEGIN CERTIFICATE") != 2 {
		t.Errorf("got %q, %v", chain, err)
	}
	if found, err := os.Stat(filepath.Join(folder, "web", "key.pem")); err != nil || found.Mode().Perm() != 0o600 {
		t.Errorf("key.pem: %v, %v", found, err)
	}
	for _, metadata := range [][]string{nil, {"name:"}, {"name:.."}, {"name:a/b"}, {"name:a", "name:b"}} {
		if err := put(metadata...); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%q: got %v", metadata, err)
		}
	}
	if _, err := client.DeleteX509SVID(ctx, &svidstorev1.DeleteX509SVIDRequest{Metadata: []string{"name:web"}}); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
