// A server node attestor for tests: the node proves that it knows the SHA-256
// of the challenge and its payload.
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/hcl"
	"github.com/spiffe/spire-plugin-sdk/pluginmain"
	"github.com/spiffe/spire-plugin-sdk/pluginsdk"
	metricsv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/hostservice/common/metrics/v1"
	agentstorev1 "github.com/spiffe/spire-plugin-sdk/proto/spire/hostservice/server/agentstore/v1"
	identityproviderv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/hostservice/server/identityprovider/v1"
	nodeattestorv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/nodeattestor/v1"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type config struct {
	// Lines printed to stdout in every attestation.
	PrintLines int `hcl:"print_lines"`
	// Makes Configure fail with this text.
	Refuse string `hcl:"refuse"`
	// Makes Configure ask the agent store, which no host answers so early.
	AskEarly bool `hcl:"ask_early"`
	// Makes Configure measure something of every kind.
	Measure bool `hcl:"measure"`
	// How many series Configure makes of one gauge.
	Flood int `hcl:"flood"`
	// Draws by itself, whatever the host offers.
	OwnRandomness bool `hcl:"own_randomness"`

	trustDomain string
}

type plugin struct {
	nodeattestorv1.UnimplementedNodeAttestorServer
	configv1.UnimplementedConfigServer

	mtx      sync.RWMutex
	config   *config
	logger   hclog.Logger
	agents   agentstorev1.AgentStoreServiceClient
	identity identityproviderv1.IdentityProviderServiceClient
	metrics  metricsv1.MetricsServiceClient
	// Of the tools that record and replay attestations alone.
	randomness randomness
}

// randomness is the host service assayer.hostservice.replay.v1.Randomness. Its
// messages have the shape of well-known wrappers, so there is nothing to generate.
type randomness struct{ conn grpc.ClientConnInterface }

func (r *randomness) GRPCServiceName() string {
	return "assayer.hostservice.replay.v1.Randomness"
}
func (r *randomness) IsInitialized() bool { return r.conn != nil }
func (r *randomness) InitClient(conn grpc.ClientConnInterface) any {
	r.conn = conn
	return nil
}

// read fills random from the host where it offers that, else by itself.
func (r *randomness) read(ctx context.Context, random []byte, own bool) error {
	if own || r.conn == nil {
		_, err := rand.Read(random)
		return err
	}
	drawn := new(wrapperspb.BytesValue)
	size := wrapperspb.UInt32(uint32(len(random)))
	if err := r.conn.Invoke(ctx, "/"+r.GRPCServiceName()+"/Draw", size, drawn); err != nil {
		return err
	}
	if copy(random, drawn.Value) != len(random) {
		return status.Error(codes.Internal, "the host gave too few random bytes")
	}
	return nil
}

func (p *plugin) SetLogger(logger hclog.Logger) { p.logger = logger }

func (p *plugin) BrokerHostServices(broker pluginsdk.ServiceBroker) error {
	if !broker.BrokerClient(&p.agents) {
		return status.Error(codes.FailedPrecondition, "the agent store is needed")
	}
	if !broker.BrokerClient(&p.metrics) {
		return status.Error(codes.FailedPrecondition, "metrics are needed")
	}
	broker.BrokerClient(&p.identity)
	broker.BrokerClient(&p.randomness)
	return nil
}

func (p *plugin) Configure(ctx context.Context, req *configv1.ConfigureRequest) (*configv1.ConfigureResponse, error) {
	c := new(config)
	if err := hcl.Decode(c, req.HclConfiguration); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "cannot decode configuration: %v", err)
	}
	if c.Refuse != "" {
		return nil, status.Error(codes.InvalidArgument, c.Refuse)
	}
	if c.AskEarly {
		if _, err := p.agents.GetAgentInfo(ctx, &agentstorev1.GetAgentInfoRequest{AgentId: "spiffe://early"}); err != nil {
			return nil, err
		}
	}
	if c.Measure {
		if err := p.measure(ctx); err != nil {
			return nil, err
		}
	}
	for i := range c.Flood {
		if err := p.setGauge(ctx, "flood", fmt.Sprintf("wave %d", i)); err != nil {
			return nil, err
		}
	}
	c.trustDomain = req.GetCoreConfiguration().GetTrustDomain()
	p.mtx.Lock()
	p.config = c
	p.mtx.Unlock()
	p.logger.Info("configured", "trust_domain", c.trustDomain, "print_lines", c.PrintLines)
	return &configv1.ConfigureResponse{}, nil
}

func (p *plugin) Attest(stream nodeattestorv1.NodeAttestor_AttestServer) error {
	p.mtx.RLock()
	c := p.config
	p.mtx.RUnlock()
	if c == nil {
		return status.Error(codes.FailedPrecondition, "not configured")
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	payload := first.GetPayload()
	for i := 0; i < c.PrintLines; i++ {
		fmt.Printf("line %d of something that nobody asked for\n", i)
	}
	attributes := &nodeattestorv1.AgentAttributes{CanReattest: true}
	switch string(payload) {
	case "deny":
		return status.Error(codes.PermissionDenied, "node is not known")
	case "close":
		return nil
	case "nothing":
		return stream.Send(&nodeattestorv1.AttestResponse{})
	case "nameless":
		return sendAttributes(stream, attributes)
	}

	challenge := make([]byte, 32)
	if string(payload) == "empty-challenge" {
		challenge = []byte{}
	} else if err := p.randomness.read(stream.Context(), challenge, c.OwnRandomness); err != nil {
		return err
	}
	if err := stream.Send(&nodeattestorv1.AttestResponse{
		Response: &nodeattestorv1.AttestResponse_Challenge{Challenge: challenge},
	}); err != nil {
		return err
	}
	answer, err := stream.Recv()
	if err != nil {
		return err
	}
	want := sha256.Sum256(append(append([]byte{}, challenge...), payload...))
	if subtle.ConstantTimeCompare(want[:], answer.GetChallengeResponse()) != 1 {
		return status.Error(codes.PermissionDenied, "go_digest: the answer is wrong")
	}

	attributes.SpiffeId = fmt.Sprintf("spiffe://%s/spire/agent/go_digest/%s", c.trustDomain, payload)
	attributes.SelectorValues = append(metadataSelectors(stream.Context()), p.knownSelector(stream.Context(), attributes.SpiffeId))
	if string(payload) == "who-are-you" {
		selector, err := p.identitySelector(stream.Context())
		if err != nil {
			return err
		}
		attributes.SelectorValues = append(attributes.SelectorValues, selector)
	}
	if string(payload) == "measured" {
		if err := p.measure(stream.Context()); err != nil {
			return err
		}
	}
	if _, err := p.metrics.IncrCounter(stream.Context(), &metricsv1.IncrCounterRequest{Key: []string{"attested"}, Val: 1}); err != nil {
		return err
	}
	p.logger.Info("attested", "node", string(payload))
	return sendAttributes(stream, attributes)
}

// knownSelector says what the agent store knows of the agent.
func (p *plugin) knownSelector(ctx context.Context, agentID string) string {
	_, err := p.agents.GetAgentInfo(ctx, &agentstorev1.GetAgentInfoRequest{AgentId: agentID})
	return "agent-store:" + status.Code(err).String()
}

func metadataSelectors(ctx context.Context) []string {
	md, _ := metadata.FromIncomingContext(ctx)
	var selectors []string
	for _, key := range []string{"x-untrusted-forwarded-host", "x-forwarded-client-ip"} {
		for _, value := range md.Get(key) {
			selectors = append(selectors, key+":"+value)
		}
	}
	for _, value := range md.Get("assayer-csr-spki-bin") {
		selectors = append(selectors, "csr:"+hex.EncodeToString([]byte(value)))
	}
	return selectors
}

func sendAttributes(stream nodeattestorv1.NodeAttestor_AttestServer, attributes *nodeattestorv1.AgentAttributes) error {
	return stream.Send(&nodeattestorv1.AttestResponse{
		Response: &nodeattestorv1.AttestResponse_AgentAttributes{AgentAttributes: attributes},
	})
}

func main() {
	p := new(plugin)
	pluginmain.Serve(nodeattestorv1.NodeAttestorPluginServer(p), configv1.ConfigServiceServer(p))
}

func (p *plugin) measure(ctx context.Context) error {
	labels := []*metricsv1.Label{{Name: "shelf-mark", Value: "a.b"}, {Name: "plugin_name", Value: "somebody else"}}
	if _, err := p.metrics.IncrCounter(ctx, &metricsv1.IncrCounterRequest{Key: []string{"books", "lent"}, Val: 2, Labels: labels}); err != nil {
		return err
	}
	if _, err := p.metrics.AddSample(ctx, &metricsv1.AddSampleRequest{Key: []string{"pages"}, Val: 300}); err != nil {
		return err
	}
	if _, err := p.metrics.MeasureSince(ctx, &metricsv1.MeasureSinceRequest{Key: []string{"open"}, Time: time.Now().Add(-time.Second).UnixNano()}); err != nil {
		return err
	}
	if _, err := p.metrics.EmitKey(ctx, &metricsv1.EmitKeyRequest{Key: []string{"shelf"}, Val: 1}); err != nil {
		return err
	}
	return p.setGauge(ctx, "readers", "hall")
}

func (p *plugin) setGauge(ctx context.Context, key string, place string) error {
	labels := []*metricsv1.Label{{Name: "place", Value: place}}
	_, err := p.metrics.SetGauge(ctx, &metricsv1.SetGaugeRequest{Key: []string{key}, Val: 7.5, Labels: labels})
	return err
}
