package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	bundlev1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/bundle/v1"
	svidv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/svid/v1"
	"github.com/spiffe/spire-api-sdk/proto/spire/api/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

type upper struct {
	svidv1.UnimplementedSVIDServer
	bundlev1.UnimplementedBundleServer
	root *x509.Certificate
	key  crypto.Signer

	mutex sync.Mutex
	keys  []*types.JWTKey
}

func (u *upper) NewDownstreamX509CA(_ context.Context, req *svidv1.NewDownstreamX509CARequest) (*svidv1.NewDownstreamX509CAResponse, error) {
	csr, err := x509.ParseCertificateRequest(req.Csr)
	if err != nil || csr.CheckSignature() != nil {
		return nil, status.Error(codes.InvalidArgument, "malformed CSR")
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               csr.Subject,
		URIs:                  []*url.URL{trustDomain.ID().URL()},
		NotBefore:             time.Now().Add(-time.Second),
		NotAfter:              time.Now().Add(time.Duration(req.PreferredTtl) * time.Second),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}, u.root, csr.PublicKey, u.key)
	if err != nil {
		return nil, err
	}
	return &svidv1.NewDownstreamX509CAResponse{CaCertChain: [][]byte{der}, X509Authorities: [][]byte{u.root.Raw}}, nil
}

func (u *upper) PublishJWTAuthority(_ context.Context, req *bundlev1.PublishJWTAuthorityRequest) (*bundlev1.PublishJWTAuthorityResponse, error) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	u.keys = append(u.keys, req.JwtAuthority)
	return &bundlev1.PublishJWTAuthorityResponse{JwtAuthorities: u.keys}, nil
}

func (u *upper) GetBundle(context.Context, *bundlev1.GetBundleRequest) (*types.Bundle, error) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	return &types.Bundle{
		TrustDomain:     trustDomain.Name(),
		X509Authorities: []*types.X509Certificate{{Asn1: u.root.Raw}},
		JwtAuthorities:  u.keys,
	}, nil
}

func beAbove(ctx context.Context, certificate, key, roots, caKey string) error {
	svid, err := x509svid.Load(certificate, key)
	if err != nil {
		return err
	}
	bundle, err := x509bundle.Load(trustDomain, roots)
	if err != nil {
		return err
	}
	signer, err := loadKey(caKey)
	if err != nil {
		return err
	}
	below := spiffeid.RequireFromPath(trustDomain, "/server-below")
	tls := tlsconfig.MTLSServerConfig(svid, bundle, tlsconfig.AuthorizeID(below))
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(tls)))
	above := &upper{root: bundle.X509Authorities()[0], key: signer}
	svidv1.RegisterSVIDServer(server, above)
	bundlev1.RegisterBundleServer(server, above)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	go func() {
		<-ctx.Done()
		server.Stop()
	}()
	return server.Serve(listener)
}

func loadKey(path string) (crypto.Signer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	return key.(crypto.Signer), nil
}
