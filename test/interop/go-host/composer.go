package main

import (
	"context"
	"fmt"
	"strings"

	composerv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/credentialcomposer/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/structpb"
)

// tryComposer calls all five methods; an answer is a line with what it has.
func tryComposer(ctx context.Context, conn *grpc.ClientConn) ([]string, error) {
	client := composerv1.NewCredentialComposerClient(conn)
	var seen []string
	x509 := func(what string, answer interface {
		GetAttributes() *composerv1.X509SVIDAttributes
	}, err error) {
		line := outcome(what, err)
		if err == nil {
			line += " " + describeSVID(answer.GetAttributes())
		}
		seen = append(seen, line)
	}
	subject := &composerv1.DistinguishedName{
		Country: []string{"US"}, OrganizationalUnit: []string{"one"}, CommonName: "ca",
		ExtraNames: []*composerv1.AttributeTypeAndValue{{Oid: "2.5.4.12", StringValue: "title"}},
	}
	svid := &composerv1.X509SVIDAttributes{Subject: subject, DnsSans: []string{"web"}}

	ca, err := client.ComposeServerX509CA(ctx, &composerv1.ComposeServerX509CARequest{
		Attributes: &composerv1.X509CAAttributes{Subject: subject, PolicyIdentifiers: []string{"2.5.29.32.0"}},
	})
	if err != nil {
		return nil, err
	}
	seen = append(seen, fmt.Sprintf("ca %s %s %s", describeName(ca.Attributes.Subject),
		strings.Join(ca.Attributes.PolicyIdentifiers, ","), describeExtensions(ca.Attributes.ExtraExtensions)))
	server, err := client.ComposeServerX509SVID(ctx, &composerv1.ComposeServerX509SVIDRequest{Attributes: svid})
	x509("server", server, err)
	agent, err := client.ComposeAgentX509SVID(ctx, &composerv1.ComposeAgentX509SVIDRequest{
		Attributes: svid, SpiffeId: "spiffe://example.org/spire/agent/x", PublicKey: []byte("key"),
	})
	x509("agent", agent, err)
	for _, path := range []string{"/web", "/deny"} {
		workload, err := client.ComposeWorkloadX509SVID(ctx, &composerv1.ComposeWorkloadX509SVIDRequest{
			Attributes: svid, SpiffeId: "spiffe://example.org" + path, PublicKey: []byte("key"),
		})
		x509("workload", workload, err)
	}
	empty, err := client.ComposeWorkloadX509SVID(ctx, &composerv1.ComposeWorkloadX509SVIDRequest{SpiffeId: "spiffe://example.org/web"})
	x509("without attributes", empty, err)

	claims, err := structpb.NewStruct(map[string]any{"exp": 1_900_000_000, "aud": []any{"a"}, "unwanted": true})
	if err != nil {
		return nil, err
	}
	token, err := client.ComposeWorkloadJWTSVID(ctx, &composerv1.ComposeWorkloadJWTSVIDRequest{
		Attributes: &composerv1.JWTSVIDAttributes{Claims: claims}, SpiffeId: "spiffe://example.org/web",
	})
	if err != nil {
		return nil, err
	}
	return append(seen, fmt.Sprintf("jwt %v", token.Attributes.Claims.AsMap())), nil
}

func describeSVID(attributes *composerv1.X509SVIDAttributes) string {
	if attributes == nil {
		return "kept"
	}
	return fmt.Sprintf("%s %s %s", describeName(attributes.Subject), strings.Join(attributes.DnsSans, ","),
		describeExtensions(attributes.ExtraExtensions))
}

func describeName(name *composerv1.DistinguishedName) string {
	parts := []string{
		"c=" + strings.Join(name.Country, ","), "ou=" + strings.Join(name.OrganizationalUnit, ","),
		"serial=" + name.SerialNumber, "cn=" + name.CommonName,
	}
	for _, extra := range name.ExtraNames {
		parts = append(parts, extra.Oid+"="+extra.StringValue)
	}
	return strings.Join(parts, " ")
}

func describeExtensions(extensions []*composerv1.X509Extension) string {
	var parts []string
	for _, extension := range extensions {
		parts = append(parts, fmt.Sprintf("%s:%x:%t", extension.Oid, extension.Value, extension.Critical))
	}
	return strings.Join(parts, ",")
}
