package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	metricsv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/hostservice/common/metrics/v1"
	agentstorev1 "github.com/spiffe/spire-plugin-sdk/proto/spire/hostservice/server/agentstore/v1"
	identityproviderv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/hostservice/server/identityprovider/v1"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// hostServicesID is the brokered connection that SPIRE fixes for host services.
const hostServicesID = 1

// startOptions say which plugin to run, as SPIRE would.
type startOptions struct {
	kind        string
	command     []string
	config      string
	trustDomain string
	autoMTLS    bool
}

// runningPlugin is a plugin after Init and Configure.
type runningPlugin struct {
	conn     *grpc.ClientConn
	services []string
	// What became of configurations that are good and that are not.
	configuration []string
	client        *plugin.Client
}

// grpcPlugin hands out the connection and serves the host's own services on the broker.
type grpcPlugin struct {
	plugin.NetRPCUnsupportedPlugin
}

func (grpcPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("this is a host")
}

func (grpcPlugin) GRPCClient(_ context.Context, broker *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	go broker.AcceptAndServe(hostServicesID, func(options []grpc.ServerOption) *grpc.Server {
		server := grpc.NewServer(options...)
		identityproviderv1.RegisterIdentityProviderServer(server, identityProvider{})
		agentstorev1.RegisterAgentStoreServer(server, agentStore{})
		metricsv1.RegisterMetricsServer(server, metrics{})
		return server
	})
	return conn, nil
}

func start(ctx context.Context, options startOptions) (*runningPlugin, error) {
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  1,
			MagicCookieKey:   options.kind,
			MagicCookieValue: options.kind,
		},
		Plugins:          map[string]plugin.Plugin{options.kind: grpcPlugin{}},
		Cmd:              exec.Command(options.command[0], options.command[1:]...),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         options.autoMTLS,
		StartTimeout:     20 * time.Second,
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: os.Stderr, JSONFormat: true}),
	})
	protocol, err := client.Client()
	if err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	if err := protocol.Ping(); err != nil {
		return nil, fmt.Errorf("ping: %w", err)
	}
	raw, err := protocol.Dispense(options.kind)
	if err != nil {
		return nil, fmt.Errorf("dispense: %w", err)
	}
	conn, ok := raw.(*grpc.ClientConn)
	if !ok {
		return nil, fmt.Errorf("dispensed %T", raw)
	}
	started := &runningPlugin{conn: conn, client: client}
	// Init's messages have one repeated string in field 1, as a FieldMask has.
	services := &fieldmaskpb.FieldMask{}
	offered := &fieldmaskpb.FieldMask{Paths: []string{
		identityproviderv1.IdentityProvider_ServiceDesc.ServiceName,
		agentstorev1.AgentStore_ServiceDesc.ServiceName,
		metricsv1.Metrics_ServiceDesc.ServiceName,
	}}
	if err := conn.Invoke(ctx, "/spire.service.private.init.v1.Init/Init", offered, services); err != nil {
		return nil, fmt.Errorf("init: %w", err)
	}
	started.services = services.Paths
	started.configuration, err = tryConfiguration(ctx, configv1.NewConfigClient(conn), options)
	if err != nil {
		return nil, fmt.Errorf("configure: %w", err)
	}
	return started, nil
}

// tryConfiguration configures the plugin; then it asks what it thinks of that and of something worse, and tries to put that into force.
func tryConfiguration(ctx context.Context, client configv1.ConfigClient, options startOptions) ([]string, error) {
	core := &configv1.CoreConfiguration{TrustDomain: options.trustDomain}
	worse := options.config + "\nnobody_knows_this = 1\n"
	if _, err := client.Configure(ctx, &configv1.ConfigureRequest{CoreConfiguration: core, HclConfiguration: options.config}); err != nil {
		return nil, err
	}
	var seen []string
	for _, text := range []string{options.config, worse} {
		answer, err := client.Validate(ctx, &configv1.ValidateRequest{CoreConfiguration: core, HclConfiguration: text})
		if err != nil {
			return nil, err
		}
		seen = append(seen, fmt.Sprintf("valid %t, %d notes", answer.Valid, len(answer.Notes)))
	}
	_, err := client.Configure(ctx, &configv1.ConfigureRequest{CoreConfiguration: core, HclConfiguration: worse})
	seen = append(seen, "configured with what nobody knows "+status.Code(err).String())
	_, err = client.Configure(ctx, &configv1.ConfigureRequest{HclConfiguration: options.config})
	return append(seen, outcome("configured without a trust domain", err)), nil
}

// stop ends the plugin in SPIRE's order and tells whether it was deinitialized and ended by itself.
func (p *runningPlugin) stop(ctx context.Context) bool {
	err := p.conn.Invoke(ctx, "/spire.service.private.init.v1.Init/Deinit", &emptypb.Empty{}, &emptypb.Empty{})
	p.client.Kill()
	return err == nil && p.client.Exited()
}
