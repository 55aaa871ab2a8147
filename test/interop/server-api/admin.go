package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"net/url"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	agentv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/agent/v1"
	bundlev1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/bundle/v1"
	debugv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/debug/v1"
	entryv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/entry/v1"
	loggerv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/logger/v1"
	svidv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/svid/v1"
	"github.com/spiffe/spire-api-sdk/proto/spire/api/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type administrator struct {
	agentClient  agentv1.AgentClient
	bundleClient bundlev1.BundleClient
	entryClient  entryv1.EntryClient
	svidClient   svidv1.SVIDClient
	healthClient grpc_health_v1.HealthClient
	loggerClient loggerv1.LoggerClient
	debugClient  debugv1.DebugClient
	trust        *spiffebundle.Bundle
}

func newAdministrator(conn grpc.ClientConnInterface) *administrator {
	return &administrator{
		agentClient:  agentv1.NewAgentClient(conn),
		bundleClient: bundlev1.NewBundleClient(conn),
		entryClient:  entryv1.NewEntryClient(conn),
		svidClient:   svidv1.NewSVIDClient(conn),
		healthClient: grpc_health_v1.NewHealthClient(conn),
		loggerClient: loggerv1.NewLoggerClient(conn),
		debugClient:  debugv1.NewDebugClient(conn),
	}
}

func (a *administrator) bundle(ctx context.Context) map[string]any {
	bundle := must(a.bundleClient.GetBundle(ctx, &bundlev1.GetBundleRequest{}))
	a.trust = parseBundle(bundle)
	_, err := a.bundleClient.GetFederatedBundle(ctx, &bundlev1.GetFederatedBundleRequest{TrustDomain: "other.org"})
	return map[string]any{
		"trustDomain":     bundle.TrustDomain,
		"x509Authorities": len(a.trust.X509Authorities()),
		"jwtAuthorities":  len(a.trust.JWTAuthorities()),
		"count":           must(a.bundleClient.CountBundles(ctx, &bundlev1.CountBundlesRequest{})).Count,
		"federated":       status.Code(err).String(),
	}
}

func parseBundle(bundle *types.Bundle) *spiffebundle.Bundle {
	parsed := spiffebundle.New(must(spiffeid.TrustDomainFromString(bundle.TrustDomain)))
	for _, authority := range bundle.X509Authorities {
		parsed.AddX509Authority(must(x509.ParseCertificate(authority.Asn1)))
	}
	for _, authority := range bundle.JwtAuthorities {
		if err := parsed.AddJWTAuthority(authority.KeyId, must(x509.ParsePKIXPublicKey(authority.PublicKey))); err != nil {
			panic(err)
		}
	}
	return parsed
}

func (a *administrator) mint(ctx context.Context) map[string]any {
	csr, _ := newCSR("/minted", "minted.example")
	minted := must(a.svidClient.MintX509SVID(ctx, &svidv1.MintX509SVIDRequest{Csr: csr, Ttl: 60})).Svid
	leaf := a.verifyX509(minted, "/minted")
	check(leaf.VerifyHostname("minted.example") == nil, "the DNS name is not in the SVID")
	token := must(a.svidClient.MintJWTSVID(ctx, &svidv1.MintJWTSVIDRequest{
		Id: apiID("/minted"), Audience: []string{"api"}, Ttl: 60,
	})).Svid
	a.verifyJWT(token, "/minted")
	return map[string]any{"subject": leaf.Subject.String(), "seconds": int(leaf.NotAfter.Sub(leaf.NotBefore).Seconds())}
}

// verifyX509 checks an SVID by go-spiffe, and its chain by crypto/x509 on its own.
func (a *administrator) verifyX509(svid *types.X509SVID, path string) *x509.Certificate {
	var chain []*x509.Certificate
	for _, der := range svid.CertChain {
		chain = append(chain, must(x509.ParseCertificate(der)))
	}
	id, _, err := x509svid.Verify(chain, a.trust)
	check(err == nil, "x509svid.Verify: %v", err)
	check(id == memberID(path), "the SVID is of %s, not of %s", id, path)
	roots := x509.NewCertPool()
	for _, authority := range a.trust.X509Authorities() {
		roots.AddCert(authority)
	}
	usages := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, usage := range usages {
		_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}})
		check(err == nil, "x509.Verify: %v", err)
	}
	check(chain[0].NotAfter.Unix() == svid.ExpiresAt, "the answer's expiry is not the certificate's")
	check(svid.Id.TrustDomain == trustDomain && svid.Id.Path == path, "the answer names %v", svid.Id)
	return chain[0]
}

func (a *administrator) verifyJWT(svid *types.JWTSVID, path string) *jwtsvid.SVID {
	parsed, err := jwtsvid.ParseAndValidate(svid.Token, a.trust, []string{"api"})
	check(err == nil, "jwtsvid.ParseAndValidate: %v", err)
	check(parsed.ID == memberID(path), "the token is of %s, not of %s", parsed.ID, path)
	check(parsed.Expiry.Unix() == svid.ExpiresAt, "the answer's expiry is not the token's")
	return parsed
}

func (a *administrator) entries(ctx context.Context) map[string]any {
	created := a.createEntries(ctx, newEntry("/spire/agent/join_token/none", "/a"), newEntry("/spire/agent/join_token/none", "/b"))
	first := created[0]
	same := must(a.entryClient.BatchCreateEntry(ctx, &entryv1.BatchCreateEntryRequest{
		Entries: []*types.Entry{newEntry("/spire/agent/join_token/none", "/a")},
	})).Results[0]
	page := must(a.entryClient.ListEntries(ctx, &entryv1.ListEntriesRequest{PageSize: 1}))
	rest := must(a.entryClient.ListEntries(ctx, &entryv1.ListEntriesRequest{PageSize: 1, PageToken: page.NextPageToken}))
	masked := must(a.entryClient.GetEntry(ctx, &entryv1.GetEntryRequest{
		Id: first.Id, OutputMask: &types.EntryMask{SpiffeId: true},
	}))
	updated := must(a.entryClient.BatchUpdateEntry(ctx, &entryv1.BatchUpdateEntryRequest{
		Entries:   []*types.Entry{{Id: first.Id, Hint: "new"}},
		InputMask: &types.EntryMask{Hint: true},
	})).Results[0]
	count := must(a.entryClient.CountEntries(ctx, &entryv1.CountEntriesRequest{
		Filter: &entryv1.CountEntriesRequest_Filter{ByHint: wrapperspb.String("new")},
	}))
	deleted := must(a.entryClient.BatchDeleteEntry(ctx, &entryv1.BatchDeleteEntryRequest{
		Ids: []string{created[0].Id, created[1].Id, "unknown"},
	}))
	var deletions []int32
	for _, result := range deleted.Results {
		deletions = append(deletions, result.Status.Code)
	}
	return map[string]any{
		"same":           same.Status.Code,
		"pages":          []int{len(page.Entries), len(rest.Entries)},
		"lastPage":       rest.NextPageToken == "",
		"maskedSelector": len(masked.Selectors),
		"revision":       updated.Entry.RevisionNumber,
		"withHint":       count.Count,
		"deletions":      deletions,
	}
}

func (a *administrator) createEntries(ctx context.Context, entries ...*types.Entry) []*types.Entry {
	results := must(a.entryClient.BatchCreateEntry(ctx, &entryv1.BatchCreateEntryRequest{Entries: entries})).Results
	var created []*types.Entry
	for _, result := range results {
		check(result.Status.Code == 0, "entry: %s", result.Status.Message)
		created = append(created, result.Entry)
	}
	return created
}

func (a *administrator) agents(ctx context.Context) map[string]any {
	list := must(a.agentClient.ListAgents(ctx, &agentv1.ListAgentsRequest{})).Agents
	agent := must(a.agentClient.GetAgent(ctx, &agentv1.GetAgentRequest{Id: list[0].Id}))
	must(a.agentClient.BanAgent(ctx, &agentv1.BanAgentRequest{Id: agent.Id}))
	banned := must(a.agentClient.CountAgents(ctx, &agentv1.CountAgentsRequest{
		Filter: &agentv1.CountAgentsRequest_Filter{ByBanned: wrapperspb.Bool(true)},
	})).Count
	must(a.agentClient.DeleteAgent(ctx, &agentv1.DeleteAgentRequest{Id: agent.Id}))
	_, err := a.agentClient.GetAgent(ctx, &agentv1.GetAgentRequest{Id: agent.Id})
	return map[string]any{
		"type":    agent.AttestationType,
		"version": agent.AgentVersion,
		"listed":  len(list),
		"banned":  banned,
		"deleted": status.Code(err).String(),
	}
}

func (a *administrator) health(ctx context.Context) map[string]any {
	checked := must(a.healthClient.Check(ctx, &grpc_health_v1.HealthCheckRequest{}))
	watch := must(a.healthClient.Watch(ctx, &grpc_health_v1.HealthCheckRequest{}))
	listed := must(a.healthClient.List(ctx, &grpc_health_v1.HealthListRequest{}))
	return map[string]any{
		"check": checked.Status.String(),
		"watch": must(watch.Recv()).Status.String(),
		"list":  len(listed.Statuses),
	}
}

func (a *administrator) logger(ctx context.Context) map[string]any {
	levels := func(logger *types.Logger) string {
		return logger.CurrentLevel.String() + " " + logger.LaunchLevel.String()
	}
	first := must(a.loggerClient.GetLogger(ctx, &loggerv1.GetLoggerRequest{}))
	set := must(a.loggerClient.SetLogLevel(ctx, &loggerv1.SetLogLevelRequest{NewLevel: types.LogLevel_ERROR}))
	_, err := a.loggerClient.SetLogLevel(ctx, &loggerv1.SetLogLevelRequest{})
	kept := must(a.loggerClient.GetLogger(ctx, &loggerv1.GetLoggerRequest{}))
	reset := must(a.loggerClient.ResetLogLevel(ctx, &loggerv1.ResetLogLevelRequest{}))
	return map[string]any{
		"first":       levels(first),
		"set":         levels(set),
		"unspecified": status.Code(err).String(),
		"kept":        levels(kept),
		"reset":       levels(reset),
	}
}

func (a *administrator) debug(ctx context.Context) map[string]any {
	info := must(a.debugClient.GetInfo(ctx, &debugv1.GetInfoRequest{}))
	check(len(info.SvidChain) == 2, "the chain has %d certificates", len(info.SvidChain))
	leaf, root := info.SvidChain[0], info.SvidChain[1]
	authority := a.trust.X509Authorities()[0]
	check(root.Subject == authority.Subject.String(), "crypto/x509 names the authority %s", authority.Subject)
	check(root.ExpiresAt == authority.NotAfter.Unix(), "the authority expires at %d", authority.NotAfter.Unix())
	check(leaf.ExpiresAt > time.Now().Unix(), "the server's SVID has expired")
	entries := must(a.entryClient.CountEntries(ctx, &entryv1.CountEntriesRequest{})).Count
	check(info.EntriesCount == entries && entries > 1000, "%d entries of %d", info.EntriesCount, entries)
	return map[string]any{
		"id":      must(spiffeid.FromPath(spiffeid.RequireTrustDomainFromString(leaf.Id.TrustDomain), leaf.Id.Path)).String(),
		"subject": leaf.Subject,
		"agents":  info.AgentsCount,
		"bundles": info.FederatedBundlesCount,
		"soon":    info.Uptime < 600,
	}
}

func newEntry(parent, path string) *types.Entry {
	return &types.Entry{
		ParentId:    apiID(parent),
		SpiffeId:    apiID(path),
		Selectors:   []*types.Selector{{Type: "unix", Value: "uid:1000"}},
		X509SvidTtl: int32((10 * time.Minute).Seconds()),
	}
}

func newCSR(path, dnsName string) ([]byte, crypto.Signer) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.CertificateRequest{}
	if path != "" {
		template.URIs = []*url.URL{memberID(path).URL()}
	}
	if dnsName != "" {
		template.DNSNames = []string{dnsName}
	}
	return must(x509.CreateCertificateRequest(rand.Reader, template, key)), key
}

func apiID(path string) *types.SPIFFEID {
	return &types.SPIFFEID{TrustDomain: trustDomain, Path: path}
}

func memberID(path string) spiffeid.ID {
	return must(spiffeid.FromPath(spiffeid.RequireTrustDomainFromString(trustDomain), path))
}
