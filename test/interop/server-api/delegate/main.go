// Calls an agent's Delegated Identity API with the client of spire-api-sdk, and prints a line of JSON for whatever comes: what
// go-spiffe and crypto/x509 do not accept ends it.
package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	delegatedv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/agent/delegatedidentity/v1"
	"github.com/spiffe/spire-api-sdk/proto/spire/api/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

type request struct {
	selectors []*types.Selector
	pid       int32
	audience  []string
}

func main() {
	socket := flag.String("socket", "", "path of the agent's admin socket")
	what := flag.String("what", "svids", "svids, x509-bundles, jwt, jwt-bundles, or codes: the outcome of every call")
	pid := flag.Int("pid", 0, "process ID of the workload")
	selectors := flag.String("selectors", "", "selectors of the workload, with commas between")
	audience := flag.String("audience", "api", "audiences, with commas between")
	flag.Parse()
	asked := request{pid: int32(*pid), audience: fields(*audience)}
	for _, text := range fields(*selectors) {
		kind, value, _ := strings.Cut(text, ":")
		asked.selectors = append(asked.selectors, &types.Selector{Type: kind, Value: value})
	}
	conn, err := grpc.NewClient("unix:"+*socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	exitOn(err)
	defer conn.Close()
	client := delegatedv1.NewDelegatedIdentityClient(conn)
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	switch *what {
	case "svids":
		printLine(refusal(watchSVIDs(ctx, client, asked)))
	case "x509-bundles":
		printLine(refusal(watchX509Bundles(ctx, client)))
	case "jwt":
		printJWTs(ctx, client, asked)
	case "jwt-bundles":
		printLine(refusal(watchJWTBundles(ctx, client)))
	case "codes":
		printLine(codes(ctx, client, asked))
	}
}

func watchSVIDs(ctx context.Context, client delegatedv1.DelegatedIdentityClient, asked request) error {
	trust, err := x509Authorities(ctx, client)
	if err != nil {
		return err
	}
	stream, err := client.SubscribeToX509SVIDs(ctx, &delegatedv1.SubscribeToX509SVIDsRequest{Selectors: asked.selectors, Pid: asked.pid})
	if err != nil {
		return err
	}
	for {
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		identities := []map[string]any{}
		for _, given := range response.X509Svids {
			identities = append(identities, verified(given, trust))
		}
		printLine(map[string]any{"identities": identities, "federatesWith": response.FederatesWith})
	}
}

// verified parses an SVID with its key, verifies it against the bundle of its trust domain, and describes it.
func verified(given *delegatedv1.X509SVIDWithKey, trust *x509bundle.Set) map[string]any {
	svid, err := x509svid.ParseRaw(slices.Concat(given.X509Svid.CertChain...), given.X509SvidKey)
	exitOn(err)
	id, _, err := x509svid.Verify(svid.Certificates, trust)
	exitOn(err)
	if id.TrustDomain().Name() != given.X509Svid.Id.TrustDomain || id.Path() != given.X509Svid.Id.Path {
		exitOn(fmt.Errorf("%s is announced as %v", id, given.X509Svid.Id))
	}
	if svid.Certificates[0].NotAfter.Unix() != given.X509Svid.ExpiresAt {
		exitOn(fmt.Errorf("%s does not end when it is said to", id))
	}
	return map[string]any{"id": id.String(), "serial": svid.Certificates[0].SerialNumber.String(), "hint": given.X509Svid.Hint}
}

func x509Authorities(ctx context.Context, client delegatedv1.DelegatedIdentityClient) (*x509bundle.Set, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := client.SubscribeToX509Bundles(ctx, &delegatedv1.SubscribeToX509BundlesRequest{})
	if err != nil {
		return nil, err
	}
	response, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	set := x509bundle.NewSet()
	for name, authorities := range response.CaCertificates {
		set.Add(x509bundle.FromX509Authorities(spiffeid.RequireTrustDomainFromString(name), certificates(authorities)))
	}
	return set, nil
}

func certificates(der []byte) []*x509.Certificate {
	parsed, err := x509.ParseCertificates(der)
	exitOn(err)
	return parsed
}

func watchX509Bundles(ctx context.Context, client delegatedv1.DelegatedIdentityClient) error {
	stream, err := client.SubscribeToX509Bundles(ctx, &delegatedv1.SubscribeToX509BundlesRequest{})
	if err != nil {
		return err
	}
	for {
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		counts := map[string]int{}
		for name, authorities := range response.CaCertificates {
			counts[name] = len(certificates(authorities))
		}
		printLine(map[string]any{"x509": counts})
	}
}

func watchJWTBundles(ctx context.Context, client delegatedv1.DelegatedIdentityClient) error {
	stream, err := client.SubscribeToJWTBundles(ctx, &delegatedv1.SubscribeToJWTBundlesRequest{})
	if err != nil {
		return err
	}
	for {
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		counts := map[string]int{}
		for name, bundle := range parseJWTBundles(response) {
			counts[name] = len(bundle.JWTAuthorities())
		}
		printLine(map[string]any{"jwt": counts})
	}
}

func parseJWTBundles(response *delegatedv1.SubscribeToJWTBundlesResponse) map[string]*jwtbundle.Bundle {
	bundles := map[string]*jwtbundle.Bundle{}
	for name, document := range response.Bundles {
		bundle, err := jwtbundle.Parse(spiffeid.RequireTrustDomainFromString(name), document)
		exitOn(err)
		bundles[name] = bundle
	}
	return bundles
}

func printJWTs(ctx context.Context, client delegatedv1.DelegatedIdentityClient, asked request) {
	response, err := client.FetchJWTSVIDs(ctx, &delegatedv1.FetchJWTSVIDsRequest{Audience: asked.audience, Selectors: asked.selectors, Pid: asked.pid})
	if err != nil {
		printLine(refusal(err))
		return
	}
	stream, err := client.SubscribeToJWTBundles(ctx, &delegatedv1.SubscribeToJWTBundlesRequest{})
	exitOn(err)
	bundles, err := stream.Recv()
	exitOn(err)
	set := jwtbundle.NewSet()
	for _, bundle := range parseJWTBundles(bundles) {
		set.Add(bundle)
	}
	tokens := []map[string]any{}
	for _, given := range response.Svids {
		svid, err := jwtsvid.ParseAndValidate(given.Token, set, asked.audience[:1])
		exitOn(err)
		tokens = append(tokens, map[string]any{
			"id":       svid.ID.String(),
			"same":     svid.ID.Path() == given.Id.Path && svid.Expiry.Unix() == given.ExpiresAt,
			"audience": svid.Audience,
			"seconds":  given.ExpiresAt - given.IssuedAt,
			"hint":     given.Hint,
		})
	}
	printLine(map[string]any{"tokens": tokens})
}

// codes is what the first answer of every method came to.
func codes(ctx context.Context, client delegatedv1.DelegatedIdentityClient, asked request) map[string]string {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	code := func(err error) string { return status.Code(err).String() }
	return map[string]string{
		"SubscribeToX509SVIDs": code(first(client.SubscribeToX509SVIDs(ctx, &delegatedv1.SubscribeToX509SVIDsRequest{
			Selectors: asked.selectors, Pid: asked.pid,
		}))),
		"SubscribeToX509Bundles": code(first(client.SubscribeToX509Bundles(ctx, &delegatedv1.SubscribeToX509BundlesRequest{}))),
		"FetchJWTSVIDs": code(second(client.FetchJWTSVIDs(ctx, &delegatedv1.FetchJWTSVIDsRequest{
			Audience: asked.audience, Selectors: asked.selectors, Pid: asked.pid,
		}))),
		"SubscribeToJWTBundles": code(first(client.SubscribeToJWTBundles(ctx, &delegatedv1.SubscribeToJWTBundlesRequest{}))),
	}
}

func first[Response any](stream grpc.ServerStreamingClient[Response], err error) error {
	if err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}

func second[Response any](_ Response, err error) error {
	return err
}

func refusal(err error) map[string]string {
	return map[string]string{"code": status.Code(err).String(), "message": status.Convert(err).Message()}
}

func fields(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

func printLine(value any) {
	exitOn(json.NewEncoder(os.Stdout).Encode(value))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
