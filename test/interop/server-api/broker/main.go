// Calls an agent's Broker API with the client of go-spiffe, as the SVID that it gets of the Workload API, and prints a line of JSON
// for whatever comes: what go-spiffe does not accept ends it.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/exp/proto/spiffe/broker"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

func main() {
	target := flag.String("target", "", "gRPC target of the Broker API, such as unix:/path")
	workloadAPI := flag.String("workload-api", "", "path of the Workload API's socket, for the broker's own SVID; none: it shows none")
	what := flag.String("what", "codes", "svids, jwt, or codes: the outcome of every call")
	pid := flag.Int("pid", 0, "process ID of the workload; 0: no reference")
	object := flag.String("object", "", "uid of a Kubernetes object, in place of a process")
	typeURL := flag.String("type-url", "", "in place of the reference's own")
	id := flag.String("id", "", "SPIFFE ID of the token")
	header := flag.Bool("header", true, "send the security header")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	conn, err := grpc.NewClient(*target, grpc.WithTransportCredentials(credentials.NewTLS(tlsConfig(ctx, *workloadAPI))))
	exitOn(err)
	defer conn.Close()
	if *header {
		ctx = metadata.AppendToOutgoingContext(ctx, "broker.spiffe.io", "true")
	}
	client := broker.NewAPIClient(conn)
	reference := referenceOf(int32(*pid), *object, *typeURL)
	switch *what {
	case "svids":
		printLine(refusal(watchSVIDs(ctx, client, reference)))
	case "jwt":
		printTokens(ctx, client, &broker.FetchJWTSVIDRequest{Reference: reference, Audience: []string{"api"}, SpiffeId: *id})
	case "codes":
		printLine(codes(ctx, client, reference))
	}
}

func tlsConfig(ctx context.Context, workloadAPI string) *tls.Config {
	if workloadAPI == "" {
		return &tls.Config{InsecureSkipVerify: true} // a stranger, who trusts nobody either
	}
	source, err := workloadapi.NewX509Source(ctx, workloadapi.WithClientOptions(workloadapi.WithAddr("unix://"+workloadAPI)))
	exitOn(err)
	own, err := source.GetX509SVID()
	exitOn(err)
	return tlsconfig.MTLSClientConfig(source, source, tlsconfig.AuthorizeMemberOf(own.ID.TrustDomain()))
}

func referenceOf(pid int32, object, typeURL string) *broker.WorkloadReference {
	var message proto.Message = &broker.WorkloadPIDReference{Pid: pid}
	if object != "" {
		message = &broker.KubernetesObjectReference{Type: &broker.KubernetesObjectType{Plural: "pods", Group: "core"}, Uid: object}
	} else if pid == 0 {
		return nil
	}
	packed, err := anypb.New(message)
	exitOn(err)
	if typeURL != "" {
		packed.TypeUrl = typeURL
	}
	return &broker.WorkloadReference{Reference: packed}
}

func watchSVIDs(ctx context.Context, client broker.APIClient, reference *broker.WorkloadReference) error {
	stream, err := client.SubscribeToX509SVID(ctx, &broker.SubscribeToX509SVIDRequest{Reference: reference})
	if err != nil {
		return err
	}
	for {
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		identities := []map[string]any{}
		for _, given := range response.Svids {
			svid, err := x509svid.ParseRaw(given.X509Svid, given.X509SvidKey)
			exitOn(err)
			bundle, err := x509bundle.ParseRaw(svid.ID.TrustDomain(), given.Bundle)
			exitOn(err)
			_, _, err = x509svid.Verify(svid.Certificates, bundle)
			exitOn(err)
			identities = append(identities, map[string]any{
				"id": svid.ID.String(), "said": given.SpiffeId, "serial": svid.Certificates[0].SerialNumber.String(), "hint": given.Hint,
			})
		}
		printLine(map[string]any{"identities": identities})
	}
}

func printTokens(ctx context.Context, client broker.APIClient, request *broker.FetchJWTSVIDRequest) {
	response, err := client.FetchJWTSVID(ctx, request)
	if err != nil {
		printLine(refusal(err))
		return
	}
	stream, err := client.SubscribeToJWTBundles(ctx, &broker.SubscribeToJWTBundlesRequest{Reference: request.Reference})
	exitOn(err)
	answer, err := stream.Recv()
	exitOn(err)
	set := jwtbundle.NewSet()
	for name, document := range answer.Bundles {
		bundle, err := jwtbundle.Parse(spiffeid.RequireTrustDomainFromString(name), document)
		exitOn(err)
		set.Add(bundle)
	}
	tokens := []string{}
	for _, given := range response.Svids {
		svid, err := jwtsvid.ParseAndValidate(given.Svid, set, request.Audience)
		exitOn(err)
		tokens = append(tokens, svid.ID.String())
	}
	printLine(map[string]any{"tokens": tokens})
}

// codes is what the first answer of every method came to.
func codes(ctx context.Context, client broker.APIClient, reference *broker.WorkloadReference) map[string]string {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	code := func(err error) string { return status.Code(err).String() }
	_, err := client.FetchJWTSVID(ctx, &broker.FetchJWTSVIDRequest{Reference: reference, Audience: []string{"api"}})
	return map[string]string{
		"SubscribeToX509SVID":    code(first(client.SubscribeToX509SVID(ctx, &broker.SubscribeToX509SVIDRequest{Reference: reference}))),
		"SubscribeToX509Bundles": code(first(client.SubscribeToX509Bundles(ctx, &broker.SubscribeToX509BundlesRequest{Reference: reference}))),
		"FetchJWTSVID":           code(err),
		"SubscribeToJWTBundles":  code(first(client.SubscribeToJWTBundles(ctx, &broker.SubscribeToJWTBundlesRequest{Reference: reference}))),
	}
}

// first takes one answer and leaves the stream.
func first[Response any](stream grpc.ServerStreamingClient[Response], err error) error {
	if err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}

func refusal(err error) map[string]string {
	return map[string]string{"code": status.Code(err).String(), "message": status.Convert(err).Message()}
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
