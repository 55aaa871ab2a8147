package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"assayer.example/__NAME__/proof"
	"github.com/spiffe/spire-plugin-sdk/pluginsdk"
	"github.com/spiffe/spire-plugin-sdk/plugintest"
	nodeattestorv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/nodeattestor/v1"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestAttest(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "node-1"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	p := new(plugin)
	client := new(nodeattestorv1.NodeAttestorPluginClient)
	plugintest.ServeInBackground(t, plugintest.Config{
		PluginServer:   nodeattestorv1.NodeAttestorPluginServer(p),
		PluginClient:   client,
		ServiceServers: []pluginsdk.ServiceServer{configv1.ConfigServiceServer(p)},
	})
	if _, err := p.Configure(context.Background(), &configv1.ConfigureRequest{
		CoreConfiguration: &configv1.CoreConfiguration{TrustDomain: "example.org"},
		HclConfiguration:  `keys_path = "` + folder + `"`,
	}); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		node string
		key  []byte
		want codes.Code
	}{
		{"node-1", key, codes.OK},
		{"node-1", bytes.Repeat([]byte{8}, 32), codes.PermissionDenied},
		{"node-2", key, codes.PermissionDenied},
		{"../node-1", key, codes.PermissionDenied},
	} {
		attributes, err := attest(t, client, row.node, row.key)
		if status.Code(err) != row.want {
			t.Errorf("%s: got %v, want %v", row.node, err, row.want)
		}
		if row.want == codes.OK && attributes.SpiffeId != "spiffe://example.org/spire/agent/__NAME__/node-1" {
			t.Errorf("got %q", attributes.SpiffeId)
		}
	}
}

func attest(t *testing.T, client *nodeattestorv1.NodeAttestorPluginClient, node string, key []byte) (*nodeattestorv1.AgentAttributes, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := client.Attest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&nodeattestorv1.AttestRequest{Request: &nodeattestorv1.AttestRequest_Payload{Payload: []byte(node)}}); err != nil {
		t.Fatal(err)
	}
	challenge, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	answer := proof.Of(key, node, challenge.GetChallenge())
	if err := stream.Send(&nodeattestorv1.AttestRequest{Request: &nodeattestorv1.AttestRequest_ChallengeResponse{ChallengeResponse: answer}}); err != nil {
		t.Fatal(err)
	}
	verdict, err := stream.Recv()
	return verdict.GetAgentAttributes(), err
}
