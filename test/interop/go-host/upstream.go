package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"

	upstreamv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/upstreamauthority/v1"
	"github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/types"
	"google.golang.org/grpc"
)

// receiveAll reads a stream to its end; the last line tells how it ended.
func receiveAll[T any](what string, stream grpc.ServerStreamingClient[T], openErr error, line func(*T) string) []string {
	if openErr != nil {
		return []string{outcome(what, openErr)}
	}
	var seen []string
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return append(seen, what+" end")
		}
		if err != nil {
			return append(seen, outcome(what, err))
		}
		seen = append(seen, what+" "+line(answer))
	}
}

func tryUpstream(ctx context.Context, conn *grpc.ClientConn, ttls []int32) ([]string, error) {
	client := upstreamv1.NewUpstreamAuthorityClient(conn)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, err
	}
	var seen []string
	for _, ttl := range ttls {
		stream, err := client.MintX509CAAndSubscribe(ctx, &upstreamv1.MintX509CARequest{Csr: csr, PreferredTtl: ttl})
		seen = append(seen, receiveAll(fmt.Sprintf("mint %d", ttl), stream, err, describeMinted)...)
	}
	pkix, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	for _, id := range []string{"one", "deny"} {
		stream, err := client.PublishJWTKeyAndSubscribe(ctx, &upstreamv1.PublishJWTKeyRequest{
			JwtKey: &types.JWTKey{KeyId: id, PublicKey: pkix, ExpiresAt: 1_900_000_000, Tainted: true},
		})
		seen = append(seen, receiveAll("publish "+id, stream, err, func(answer *upstreamv1.PublishJWTKeyResponse) string {
			return describeKeys(answer.UpstreamJwtKeys)
		})...)
	}
	nothing, err := client.PublishJWTKeyAndSubscribe(ctx, &upstreamv1.PublishJWTKeyRequest{})
	seen = append(seen, receiveAll("publish nothing", nothing, err, func(*upstreamv1.PublishJWTKeyResponse) string { return "" })...)
	local, err := client.SubscribeToLocalBundle(ctx, &upstreamv1.SubscribeToLocalBundleRequest{})
	return append(seen, receiveAll("local", local, err, func(answer *upstreamv1.SubscribeToLocalBundleResponse) string {
		return fmt.Sprintf("roots %d %s", len(answer.UpstreamX509Roots), describeKeys(answer.UpstreamJwtKeys))
	})...), nil
}

// tryCancel leaves a stream that has more to say.
func tryCancel(ctx context.Context, conn *grpc.ClientConn) ([]string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := upstreamv1.NewUpstreamAuthorityClient(conn).MintX509CAAndSubscribe(ctx, &upstreamv1.MintX509CARequest{PreferredTtl: 10})
	if err != nil {
		return nil, err
	}
	cancel()
	_, err = stream.Recv()
	return []string{outcome("cancelled", err)}, nil
}

// describeMinted verifies a chain against the roots that came with it.
func describeMinted(answer *upstreamv1.MintX509CAResponse) string {
	roots := x509.NewCertPool()
	tainted := 0
	for _, root := range answer.UpstreamX509Roots {
		certificate, err := x509.ParseCertificate(root.Asn1)
		if err != nil {
			return "roots that do not parse"
		}
		roots.AddCert(certificate)
		if root.Tainted {
			tainted++
		}
	}
	said := fmt.Sprintf("roots %d tainted %d", len(answer.UpstreamX509Roots), tainted)
	if len(answer.X509CaChain) == 0 {
		return said
	}
	ca, err := x509.ParseCertificate(answer.X509CaChain[0].Asn1)
	if err != nil {
		return "a chain that does not parse"
	}
	_, err = ca.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return fmt.Sprintf("%s ca %t verified %t", said, ca.IsCA, err == nil)
}

func describeKeys(keys []*types.JWTKey) string {
	said := fmt.Sprintf("keys %d", len(keys))
	for _, key := range keys {
		said += fmt.Sprintf(" %s/%d/%t", key.KeyId, key.ExpiresAt, key.Tainted)
	}
	return said
}
