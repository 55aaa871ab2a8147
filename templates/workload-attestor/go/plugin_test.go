package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/spiffe/spire-plugin-sdk/pluginsdk"
	"github.com/spiffe/spire-plugin-sdk/plugintest"
	workloadattestorv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/agent/workloadattestor/v1"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func serve(t *testing.T) (*workloadattestorv1.WorkloadAttestorPluginClient, *configv1.ConfigServiceClient) {
	p := new(plugin)
	attestor := new(workloadattestorv1.WorkloadAttestorPluginClient)
	config := new(configv1.ConfigServiceClient)
	plugintest.ServeInBackground(t, plugintest.Config{
		PluginServer:   workloadattestorv1.WorkloadAttestorPluginServer(p),
		PluginClient:   attestor,
		ServiceServers: []pluginsdk.ServiceServer{configv1.ConfigServiceServer(p)},
		ServiceClients: []pluginsdk.ServiceClient{config},
	})
	return attestor, config
}

func configure(t *testing.T, config *configv1.ConfigServiceClient, text string) error {
	_, err := config.Configure(context.Background(), &configv1.ConfigureRequest{
		CoreConfiguration: &configv1.CoreConfiguration{TrustDomain: "example.org"},
		HclConfiguration:  text,
	})
	return err
}

func TestAttest(t *testing.T) {
	attestor, config := serve(t)
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, path string
		want       []string
	}{
		{"test", own, []string{"program:test"}},
		{"other", "/usr/bin/other", nil},
	} {
		if err := configure(t, config, fmt.Sprintf("programs { %s = %q }", row.name, row.path)); err != nil {
			t.Fatal(err)
		}
		answer, err := attestor.Attest(context.Background(), &workloadattestorv1.AttestRequest{Pid: int32(os.Getpid())})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(answer.SelectorValues, row.want) {
			t.Errorf("%s: got %q, want %q", row.name, answer.SelectorValues, row.want)
		}
	}
}

func TestProcessThatIsGone(t *testing.T) {
	attestor, config := serve(t)
	if err := configure(t, config, "programs {}"); err != nil {
		t.Fatal(err)
	}
	_, err := attestor.Attest(context.Background(), &workloadattestorv1.AttestRequest{Pid: 1<<22 + 1})
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("got %v", err)
	}
}

func TestConfigurationThatIsWrong(t *testing.T) {
	_, config := serve(t)
	for _, text := range []string{"", "programs { Big = \"/x\" }", "programs { small = \"x\" }", "programs {"} {
		if err := configure(t, config, text); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%q: got %v", text, err)
		}
	}
}
