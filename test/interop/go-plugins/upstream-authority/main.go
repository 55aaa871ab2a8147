// An upstream authority with a root in memory. What is asked of it says how it misbehaves: the number of seconds for a
// CA, the key id for a JWT key. With the argument "mint" it knows nothing but minting.
package main

import (
	"context"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spiffe/spire-plugin-sdk/pluginmain"
	upstreamv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/upstreamauthority/v1"
	"github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Seconds that ask for something else than a CA.
const (
	closeAtOnce = 1 + iota
	noChain
	noRoots
	garbageChain
	garbageRoots
	badUpdates
	deny
	staysOpen
	failLater
	staysSilent
)

type minter struct {
	upstreamv1.UnimplementedUpstreamAuthorityServer
	logger hclog.Logger
	root   *root
}

func (m *minter) SetLogger(logger hclog.Logger) { m.logger = logger }

func (m *minter) MintX509CAAndSubscribe(req *upstreamv1.MintX509CARequest, stream upstreamv1.UpstreamAuthority_MintX509CAAndSubscribeServer) error {
	garbage := []*types.X509Certificate{{Asn1: []byte("garbage")}}
	roots := []*types.X509Certificate{{Asn1: m.root.der}}
	first := &upstreamv1.MintX509CAResponse{UpstreamX509Roots: roots}
	switch req.PreferredTtl {
	case closeAtOnce:
		return nil
	case deny:
		return status.Error(codes.PermissionDenied, "no CA for you")
	case staysSilent:
		return m.wait(stream.Context())
	case garbageChain:
		first.X509CaChain = garbage
	case noChain:
	default:
		chain, err := m.root.sign(req.Csr, time.Duration(req.PreferredTtl)*time.Second)
		if err != nil {
			return status.Errorf(codes.InvalidArgument, "cannot sign: %v", err)
		}
		first.X509CaChain = []*types.X509Certificate{{Asn1: chain}}
	}
	switch req.PreferredTtl {
	case noRoots:
		first.UpstreamX509Roots = nil
	case garbageRoots:
		first.UpstreamX509Roots = garbage
	}
	if err := stream.Send(first); err != nil {
		return err
	}
	switch req.PreferredTtl {
	case badUpdates:
		tainted := []*types.X509Certificate{{Asn1: m.root.der, Tainted: true}}
		for _, update := range []*upstreamv1.MintX509CAResponse{
			{X509CaChain: first.X509CaChain, UpstreamX509Roots: roots},
			{},
			{UpstreamX509Roots: garbage},
			{UpstreamX509Roots: tainted},
		} {
			if err := stream.Send(update); err != nil {
				return err
			}
		}
	case failLater:
		return status.Error(codes.Unavailable, "the upstream went away")
	case staysOpen:
		return m.wait(stream.Context())
	}
	return nil
}

func (m *minter) wait(ctx context.Context) error {
	m.logger.Info("waits")
	<-ctx.Done()
	m.logger.Info("cancelled")
	return ctx.Err()
}

type authority struct {
	minter
}

func (*authority) PublishJWTKeyAndSubscribe(req *upstreamv1.PublishJWTKeyRequest, stream upstreamv1.UpstreamAuthority_PublishJWTKeyAndSubscribeServer) error {
	key := req.JwtKey
	switch key.KeyId {
	case "deny":
		return status.Error(codes.PermissionDenied, "no key from you")
	case "close":
		return nil
	case "garbage":
		key.PublicKey = []byte("garbage")
	case "nameless":
		key.KeyId = ""
	}
	if err := stream.Send(&upstreamv1.PublishJWTKeyResponse{UpstreamJwtKeys: []*types.JWTKey{key}}); err != nil {
		return err
	}
	bad := &types.JWTKey{KeyId: "bad", PublicKey: []byte("garbage")}
	for _, keys := range [][]*types.JWTKey{{key, bad}, {}} {
		if err := stream.Send(&upstreamv1.PublishJWTKeyResponse{UpstreamJwtKeys: keys}); err != nil {
			return err
		}
	}
	return nil
}

func (a *authority) SubscribeToLocalBundle(_ *upstreamv1.SubscribeToLocalBundleRequest, stream upstreamv1.UpstreamAuthority_SubscribeToLocalBundleServer) error {
	roots := []*types.X509Certificate{{Asn1: a.root.der}}
	for _, update := range []*upstreamv1.SubscribeToLocalBundleResponse{
		{UpstreamX509Roots: roots},
		{},
		{UpstreamX509Roots: roots, UpstreamJwtKeys: []*types.JWTKey{{KeyId: "up", PublicKey: a.root.publicKey, ExpiresAt: 1_900_000_000}}},
	} {
		if err := stream.Send(update); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	held := minter{root: newRoot()}
	if len(os.Args) > 1 && os.Args[1] == "mint" {
		pluginmain.Serve(upstreamv1.UpstreamAuthorityPluginServer(&held))
		return
	}
	pluginmain.Serve(upstreamv1.UpstreamAuthorityPluginServer(&authority{held}))
}
