package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"net/url"
	"strings"
	"sync"
	"time"

	metricsv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/hostservice/common/metrics/v1"
	agentstorev1 "github.com/spiffe/spire-plugin-sdk/proto/spire/hostservice/server/agentstore/v1"
	identityproviderv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/hostservice/server/identityprovider/v1"
	"github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

type agentStore struct {
	agentstorev1.UnimplementedAgentStoreServer
}

func (agentStore) GetAgentInfo(_ context.Context, request *agentstorev1.GetAgentInfoRequest) (*agentstorev1.GetAgentInfoResponse, error) {
	if !strings.HasSuffix(request.AgentId, "/known") {
		return nil, status.Errorf(codes.NotFound, "no agent %q", request.AgentId)
	}
	return &agentstorev1.GetAgentInfoResponse{Info: &agentstorev1.AgentInfo{AgentId: request.AgentId}}, nil
}

type identityProvider struct {
	identityproviderv1.UnimplementedIdentityProviderServer
}

// FetchX509Identity makes an identity that signs itself.
func (identityProvider) FetchX509Identity(context.Context, *identityproviderv1.FetchX509IdentityRequest) (*identityproviderv1.FetchX509IdentityResponse, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Hour),
		URIs: []*url.URL{{Scheme: "spiffe", Host: "example.org", Path: "/spire/server"}},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return &identityproviderv1.FetchX509IdentityResponse{
		Identity: &identityproviderv1.X509Identity{CertChain: [][]byte{certificate}, PrivateKey: private},
		Bundle:   &types.Bundle{TrustDomain: "example.org", X509Authorities: []*types.X509Certificate{{Asn1: certificate}}},
	}, nil
}

// metrics notes what the plugins measure.
type metrics struct {
	metricsv1.UnimplementedMetricsServer
}

var counters struct {
	mtx  sync.Mutex
	keys []string
}

func note(kind string, key []string) (*emptypb.Empty, error) {
	counters.mtx.Lock()
	defer counters.mtx.Unlock()
	counters.keys = append(counters.keys, kind+strings.Join(key, "."))
	return &emptypb.Empty{}, nil
}

func (metrics) IncrCounter(_ context.Context, request *metricsv1.IncrCounterRequest) (*emptypb.Empty, error) {
	return note("", request.Key)
}

func (metrics) SetGauge(_ context.Context, request *metricsv1.SetGaugeRequest) (*emptypb.Empty, error) {
	return note("gauge ", request.Key)
}

func (metrics) EmitKey(_ context.Context, request *metricsv1.EmitKeyRequest) (*emptypb.Empty, error) {
	return note("key ", request.Key)
}

func (metrics) AddSample(_ context.Context, request *metricsv1.AddSampleRequest) (*emptypb.Empty, error) {
	return note("sample ", request.Key)
}

func (metrics) MeasureSince(_ context.Context, request *metricsv1.MeasureSinceRequest) (*emptypb.Empty, error) {
	return note("time ", request.Key)
}

// counted is what the plugins measured so far.
func counted() []string {
	counters.mtx.Lock()
	defer counters.mtx.Unlock()
	return append([]string{}, counters.keys...)
}
