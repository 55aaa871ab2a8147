package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	metricsv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/hostservice/common/metrics/v1"
	agentstorev1 "github.com/spiffe/spire-plugin-sdk/proto/spire/hostservice/server/agentstore/v1"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
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
	client   *plugin.Client
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
		agentstorev1.AgentStore_ServiceDesc.ServiceName,
		metricsv1.Metrics_ServiceDesc.ServiceName,
	}}
	if err := conn.Invoke(ctx, "/spire.service.private.init.v1.Init/Init", offered, services); err != nil {
		return nil, fmt.Errorf("init: %w", err)
	}
	started.services = services.Paths
	_, err = configv1.NewConfigClient(conn).Configure(ctx, &configv1.ConfigureRequest{
		CoreConfiguration: &configv1.CoreConfiguration{TrustDomain: options.trustDomain},
		HclConfiguration:  options.config,
	})
	if err != nil {
		return nil, fmt.Errorf("configure: %w", err)
	}
	return started, nil
}

// stop ends the plugin in SPIRE's order and tells whether it ended by itself.
func (p *runningPlugin) stop(ctx context.Context) bool {
	_ = p.conn.Invoke(ctx, "/spire.service.private.init.v1.Init/Deinit", &emptypb.Empty{}, &emptypb.Empty{})
	p.client.Kill()
	return p.client.Exited()
}

type agentStore struct {
	agentstorev1.UnimplementedAgentStoreServer
}

func (agentStore) GetAgentInfo(_ context.Context, request *agentstorev1.GetAgentInfoRequest) (*agentstorev1.GetAgentInfoResponse, error) {
	if request.AgentId != "spiffe://example.org/node" {
		return nil, status.Errorf(codes.NotFound, "no agent %q", request.AgentId)
	}
	return &agentstorev1.GetAgentInfoResponse{Info: &agentstorev1.AgentInfo{AgentId: request.AgentId}}, nil
}

type metrics struct {
	metricsv1.UnimplementedMetricsServer
}

var counters struct {
	mtx  sync.Mutex
	keys []string
}

func (metrics) IncrCounter(_ context.Context, request *metricsv1.IncrCounterRequest) (*emptypb.Empty, error) {
	counters.mtx.Lock()
	defer counters.mtx.Unlock()
	counters.keys = append(counters.keys, strings.Join(request.Key, "."))
	return &emptypb.Empty{}, nil
}

// counted is what the plugins counted so far.
func counted() []string {
	counters.mtx.Lock()
	defer counters.mtx.Unlock()
	return append([]string{}, counters.keys...)
}
