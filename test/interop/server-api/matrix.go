package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	agentv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/agent/v1"
	bundlev1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/bundle/v1"
	entryv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/entry/v1"
	localauthorityv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/localauthority/v1"
	loggerv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/logger/v1"
	svidv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/svid/v1"
	trustdomainv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/trustdomain/v1"
	"github.com/spiffe/spire-api-sdk/proto/spire/api/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// services of the server that clients of SPIRE know; what each has is read from its descriptor.
var services = []protoreflect.FullName{
	"spire.api.server.agent.v1.Agent",
	"spire.api.server.bundle.v1.Bundle",
	"spire.api.server.debug.v1.Debug",
	"spire.api.server.entry.v1.Entry",
	"spire.api.server.localauthority.v1.LocalAuthority",
	"spire.api.server.logger.v1.Logger",
	"spire.api.server.svid.v1.SVID",
	"spire.api.server.trustdomain.v1.TrustDomain",
	"grpc.health.v1.Health",
}

// requests that are more than empty, so that whoever may call gets as far as the method itself. None does lasting harm.
func requests() map[string]proto.Message {
	csr, _ := newCSR("/web", "")
	plain, _ := newCSR("", "")
	nobody := apiID("/spire/agent/none/nobody")
	stranger := []string{"stranger.test"}
	return map[string]proto.Message{
		"GetAgent":                          &agentv1.GetAgentRequest{Id: nobody},
		"DeleteAgent":                       &agentv1.DeleteAgentRequest{Id: nobody},
		"BanAgent":                          &agentv1.BanAgentRequest{Id: nobody},
		"CreateJoinToken":                   &agentv1.CreateJoinTokenRequest{Ttl: 60},
		"RenewAgent":                        &agentv1.RenewAgentRequest{Params: &agentv1.AgentX509SVIDParams{Csr: plain}},
		"PostStatus":                        &agentv1.PostStatusRequest{AgentVersion: "go"},
		"GetFederatedBundle":                &bundlev1.GetFederatedBundleRequest{TrustDomain: "stranger.test"},
		"BatchDeleteFederatedBundle":        &bundlev1.BatchDeleteFederatedBundleRequest{TrustDomains: stranger},
		"GetEntry":                          &entryv1.GetEntryRequest{Id: "none"},
		"BatchDeleteEntry":                  &entryv1.BatchDeleteEntryRequest{Ids: []string{"none"}},
		"SyncAuthorizedEntries":             &entryv1.SyncAuthorizedEntriesRequest{},
		"MintX509SVID":                      &svidv1.MintX509SVIDRequest{Csr: csr},
		"MintJWTSVID":                       &svidv1.MintJWTSVIDRequest{Id: apiID("/web"), Audience: []string{"api"}},
		"BatchNewX509SVID":                  &svidv1.BatchNewX509SVIDRequest{Params: []*svidv1.NewX509SVIDParams{{EntryId: "none", Csr: plain}}},
		"NewJWTSVID":                        &svidv1.NewJWTSVIDRequest{EntryId: "none", Audience: []string{"api"}},
		"NewDownstreamX509CA":               &svidv1.NewDownstreamX509CARequest{Csr: plain},
		"SetLogLevel":                       &loggerv1.SetLogLevelRequest{NewLevel: types.LogLevel_DEBUG},
		"GetFederationRelationship":         &trustdomainv1.GetFederationRelationshipRequest{TrustDomain: "stranger.test"},
		"BatchDeleteFederationRelationship": &trustdomainv1.BatchDeleteFederationRelationshipRequest{TrustDomains: stranger},
		"RefreshBundle":                     &trustdomainv1.RefreshBundleRequest{TrustDomain: "stranger.test"},
		"ActivateX509Authority":             &localauthorityv1.ActivateX509AuthorityRequest{AuthorityId: "none"},
		"TaintX509Authority":                &localauthorityv1.TaintX509AuthorityRequest{AuthorityId: "none"},
		"RevokeX509Authority":               &localauthorityv1.RevokeX509AuthorityRequest{AuthorityId: "none"},
		"TaintX509UpstreamAuthority":        &localauthorityv1.TaintX509UpstreamAuthorityRequest{SubjectKeyId: "none"},
		"RevokeX509UpstreamAuthority":       &localauthorityv1.RevokeX509UpstreamAuthorityRequest{SubjectKeyId: "none"},
		"ActivateJWTAuthority":              &localauthorityv1.ActivateJWTAuthorityRequest{AuthorityId: "none"},
		"TaintJWTAuthority":                 &localauthorityv1.TaintJWTAuthorityRequest{AuthorityId: "none"},
		"RevokeJWTAuthority":                &localauthorityv1.RevokeJWTAuthorityRequest{AuthorityId: "none"},
	}
}

// matrix calls every method as every kind of caller. Between two lines it waits for one on standard input, while whoever started
// it moves the server's clock beyond the lives of SVIDs.
func matrix(ctx context.Context, admin *administrator, local *grpc.ClientConn, address string) {
	admin.bundle(ctx)
	serverID := tlsconfig.AuthorizeID(memberID("/spire/server"))
	connect := func(svid *x509svid.SVID) *grpc.ClientConn {
		conn := dial(address, tlsconfig.MTLSClientConfig(svid, admin.trust, serverID))
		must(bundlev1.NewBundleClient(conn).GetBundle(ctx, &bundlev1.GetBundleRequest{})) // before its SVID expires
		return conn
	}
	minted := func(path string) *grpc.ClientConn { return connect(admin.mintSVID(ctx, path)) }
	attested := func() (*grpc.ClientConn, *x509svid.SVID) {
		token := must(admin.agentClient.CreateJoinToken(ctx, &agentv1.CreateJoinTokenRequest{Ttl: 60})).Value
		anonymous := dial(address, tlsconfig.TLSClientConfig(admin.trust, serverID))
		defer anonymous.Close()
		svid := attest(ctx, admin, agentv1.NewAgentClient(anonymous), token, "/spire/agent/join_token/"+token)
		return connect(svid), svid
	}
	deputy, below := newEntry("/node", "/deputy"), newEntry("/node", "/below")
	deputy.Admin, below.Downstream = true, true
	admin.createEntries(ctx, deputy, below)

	agent, _ := attested()
	bannedAgent, banned := attested()
	must(admin.agentClient.BanAgent(ctx, &agentv1.BanAgentRequest{Id: apiID(banned.ID.Path())}))
	evictedAgent, evicted := attested()
	must(admin.agentClient.DeleteAgent(ctx, &agentv1.DeleteAgentRequest{Id: apiID(evicted.ID.Path())}))
	retiredAgent, retired := attested()
	must(agentv1.NewAgentClient(retiredAgent).PostStatus(ctx, &agentv1.PostStatusRequest{}))
	renewed := connect(renewOf(ctx, admin, retiredAgent, retired.ID.Path()))
	must(agentv1.NewAgentClient(renewed).PostStatus(ctx, &agentv1.PostStatusRequest{}))
	chief := minted("/chief")

	report(map[string]*grpc.ClientConn{
		"local":        local,
		"adminById":    chief,
		"adminByEntry": minted("/deputy"),
		"registrar":    minted("/registrar"),
		"agent":        agent,
		"bannedAgent":  bannedAgent,
		"evictedAgent": evictedAgent,
		"retiredAgent": retiredAgent,
		"downstream":   minted("/below"),
		"workload":     minted("/nobody"),
		"stranger":     dial(address, tlsconfig.TLSClientConfig(admin.trust, serverID)),
	})
	must(bufio.NewReader(os.Stdin).ReadString('\n'))
	report(map[string]*grpc.ClientConn{"expiredAgent": renewed, "expiredAdmin": chief})
}

// report prints, on one line, what each caller got of each method.
func report(callers map[string]*grpc.ClientConn) {
	prepared := requests()
	answers := map[string]map[string]string{}
	for _, service := range services {
		descriptor := must(protoregistry.GlobalFiles.FindDescriptorByName(service)).(protoreflect.ServiceDescriptor)
		for i := range descriptor.Methods().Len() {
			method := descriptor.Methods().Get(i)
			request, ok := prepared[string(method.Name())]
			if !ok {
				request = must(protoregistry.GlobalTypes.FindMessageByName(method.Input().FullName())).New().Interface()
			}
			name := fmt.Sprintf("%s/%s", service, method.Name())
			answers[name] = map[string]string{}
			for caller, conn := range callers {
				answers[name][caller] = describeError(call(conn, "/"+name, method, request))
			}
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		panic(err)
	}
}

func call(conn *grpc.ClientConn, path string, method protoreflect.MethodDescriptor, request proto.Message) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	desc := &grpc.StreamDesc{ClientStreams: method.IsStreamingClient(), ServerStreams: true}
	stream, err := conn.NewStream(ctx, desc, path)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(request); err != nil && err != io.EOF {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	output := must(protoregistry.GlobalTypes.FindMessageByName(method.Output().FullName()))
	for {
		err := stream.RecvMsg(output.New().Interface())
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if method.Name() == "Watch" {
			return nil // it would go on
		}
	}
}

func describeError(err error) string {
	code := status.Code(err).String()
	var reasons []string
	for _, detail := range status.Convert(err).Details() {
		if denied, ok := detail.(*types.PermissionDeniedDetails); ok {
			reasons = append(reasons, denied.Reason.String())
		}
	}
	sort.Strings(reasons)
	if status.Code(err) == codes.Unknown {
		code = err.Error()
	}
	return strings.TrimSpace(code + " " + strings.Join(reasons, " "))
}

func (a *administrator) mintSVID(ctx context.Context, path string) *x509svid.SVID {
	csr, key := newCSR(path, "")
	minted := must(a.svidClient.MintX509SVID(ctx, &svidv1.MintX509SVIDRequest{Csr: csr})).Svid
	return agentSVID(a, minted, key, path)
}

func renewOf(ctx context.Context, admin *administrator, conn *grpc.ClientConn, path string) *x509svid.SVID {
	return renew(ctx, admin, agentv1.NewAgentClient(conn), path)
}
