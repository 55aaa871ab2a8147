package main

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"

	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	agentv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/agent/v1"
	bundlev1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/bundle/v1"
	entryv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/entry/v1"
	svidv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/svid/v1"
	"github.com/spiffe/spire-api-sdk/proto/spire/api/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// More than the server sends whole at once, so that it sends revisions first.
const manyEntries = 1200

// beAgent attests with a join token over a connection without an SVID, and goes on over mTLS as SPIRE's agent does.
func beAgent(ctx context.Context, admin *administrator, address string) map[string]any {
	token := must(admin.agentClient.CreateJoinToken(ctx, &agentv1.CreateJoinTokenRequest{
		Ttl: 60, AgentId: apiID("/go-node"),
	}))
	serverID := tlsconfig.AuthorizeID(memberID("/spire/server"))
	agentPath := "/spire/agent/join_token/" + token.Value
	anonymous := dial(address, tlsconfig.TLSClientConfig(admin.trust, serverID))
	defer anonymous.Close()
	svid := attest(ctx, admin, agentv1.NewAgentClient(anonymous), token.Value, agentPath)
	_, anonymousErr := entryv1.NewEntryClient(anonymous).GetAuthorizedEntries(ctx, &entryv1.GetAuthorizedEntriesRequest{})

	conn := dial(address, tlsconfig.MTLSClientConfig(svid, admin.trust, serverID))
	defer conn.Close()
	renewed := renew(ctx, admin, agentv1.NewAgentClient(conn), agentPath)
	next := dial(address, tlsconfig.MTLSClientConfig(renewed, admin.trust, serverID))
	defer next.Close()
	must(agentv1.NewAgentClient(next).PostStatus(ctx, &agentv1.PostStatusRequest{AgentVersion: "go-1"}))
	_, retired := agentv1.NewAgentClient(conn).PostStatus(ctx, &agentv1.PostStatusRequest{})

	entry := admin.createEntries(ctx, newEntry("/go-node", "/go-workload"))[0]
	entries := entryv1.NewEntryClient(next)
	authorized := must(entries.GetAuthorizedEntries(ctx, &entryv1.GetAuthorizedEntriesRequest{})).Entries
	small := sync(ctx, entries)
	svids := signFor(ctx, admin, svidv1.NewSVIDClient(next), entry)
	var many []*types.Entry
	for i := range manyEntries {
		many = append(many, newEntry("/go-node", fmt.Sprintf("/many/%d", i)))
	}
	admin.createEntries(ctx, many...)
	return map[string]any{
		"anonymous":  status.Code(anonymousErr).String(),
		"retired":    reasonOf(retired),
		"bundle":     must(bundlev1.NewBundleClient(next).GetBundle(ctx, &bundlev1.GetBundleRequest{})).TrustDomain,
		"authorized": len(authorized),
		"small":      small,
		"large":      sync(ctx, entries),
		"svids":      svids,
	}
}

func dial(address string, config *tls.Config) *grpc.ClientConn {
	return must(grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(config))))
}

func attest(ctx context.Context, admin *administrator, client agentv1.AgentClient, token, path string) *x509svid.SVID {
	csr, key := newCSR("", "")
	stream := must(client.AttestAgent(ctx))
	check(stream.Send(&agentv1.AttestAgentRequest{Step: &agentv1.AttestAgentRequest_Params_{
		Params: &agentv1.AttestAgentRequest_Params{
			Data:   &types.AttestationData{Type: "join_token", Payload: []byte(token)},
			Params: &agentv1.AgentX509SVIDParams{Csr: csr},
		},
	}}) == nil, "the parameters were not sent")
	result := must(stream.Recv()).GetResult()
	check(result != nil && !result.Reattestable, "an agent of a join token cannot attest again")
	check(stream.CloseSend() == nil, "the stream was not closed")
	_, err := stream.Recv()
	check(err == io.EOF, "the stream goes on: %v", err)
	return agentSVID(admin, result.Svid, key, path)
}

func renew(ctx context.Context, admin *administrator, client agentv1.AgentClient, path string) *x509svid.SVID {
	csr, key := newCSR("", "")
	renewed := must(client.RenewAgent(ctx, &agentv1.RenewAgentRequest{Params: &agentv1.AgentX509SVIDParams{Csr: csr}}))
	return agentSVID(admin, renewed.Svid, key, path)
}

func agentSVID(admin *administrator, svid *types.X509SVID, key crypto.Signer, path string) *x509svid.SVID {
	admin.verifyX509(svid, path)
	var chain []*x509.Certificate
	for _, der := range svid.CertChain {
		chain = append(chain, must(x509.ParseCertificate(der)))
	}
	return &x509svid.SVID{ID: memberID(path), Certificates: chain, PrivateKey: key}
}

func reasonOf(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if denied, ok := detail.(*types.PermissionDeniedDetails); ok {
			return denied.Reason.String()
		}
	}
	return fmt.Sprint(err)
}

// sync asks for what changed as SPIRE's agent does, with nothing at hand: all that has a revision is asked for.
func sync(ctx context.Context, client entryv1.EntryClient) map[string]any {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream := must(client.SyncAuthorizedEntries(ctx))
	send := func(request *entryv1.SyncAuthorizedEntriesRequest) {
		check(stream.Send(request) == nil, "a request was not sent")
	}
	mask := &types.EntryMask{SpiffeId: true, RevisionNumber: true, Selectors: true}
	send(&entryv1.SyncAuthorizedEntriesRequest{OutputMask: mask})
	var wanted []string
	entries := map[string]*types.Entry{}
	pages := []int{}
	for more := true; more; {
		answer := must(stream.Recv())
		for _, revision := range answer.EntryRevisions {
			check(revision.CreatedAt > 0, "a revision without a creation time")
			wanted = append(wanted, revision.Id)
		}
		for _, entry := range answer.Entries {
			entries[entry.Id] = entry
		}
		more = answer.More
	}
	whole := len(entries)
	if len(wanted) > 0 {
		send(&entryv1.SyncAuthorizedEntriesRequest{Ids: append([]string{"unknown"}, wanted...)})
		for more := true; more; {
			answer := must(stream.Recv())
			pages = append(pages, len(answer.Entries))
			for _, entry := range answer.Entries {
				check(len(entry.Selectors) == 1 && entry.ParentId == nil, "the mask was not heeded")
				entries[entry.Id] = entry
			}
			more = answer.More
		}
		send(&entryv1.SyncAuthorizedEntriesRequest{Ids: []string{"unknown"}})
		last := must(stream.Recv())
		check(len(last.Entries) == 0 && !last.More, "an unknown entry was answered")
	}
	check(stream.CloseSend() == nil, "the stream was not closed")
	_, err := stream.Recv()
	check(err == io.EOF, "the stream goes on: %v", err)
	return map[string]any{"whole": whole, "revisions": len(wanted), "pages": pages, "entries": len(entries)}
}

func signFor(ctx context.Context, admin *administrator, client svidv1.SVIDClient, entry *types.Entry) map[string]any {
	csr, _ := newCSR("", "")
	results := must(client.BatchNewX509SVID(ctx, &svidv1.BatchNewX509SVIDRequest{Params: []*svidv1.NewX509SVIDParams{
		{EntryId: entry.Id, Csr: csr},
		{EntryId: "unknown", Csr: csr},
		{EntryId: entry.Id, Csr: []byte("no CSR")},
	}})).Results
	var codes []int32
	for _, result := range results {
		codes = append(codes, result.Status.Code)
	}
	leaf := admin.verifyX509(results[0].Svid, "/go-workload")
	token := must(client.NewJWTSVID(ctx, &svidv1.NewJWTSVIDRequest{EntryId: entry.Id, Audience: []string{"api"}}))
	admin.verifyJWT(token.Svid, "/go-workload")
	_, err := client.NewJWTSVID(ctx, &svidv1.NewJWTSVIDRequest{EntryId: "unknown", Audience: []string{"api"}})
	return map[string]any{
		"codes":   codes,
		"seconds": int(leaf.NotAfter.Sub(leaf.NotBefore).Seconds()),
		"unknown": status.Code(err).String(),
	}
}
