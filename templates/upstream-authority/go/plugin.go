package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/hcl"
	upstreamv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/upstreamauthority/v1"
	"github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/types"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const backdated = 10 * time.Second

type config struct {
	CertPath string `hcl:"cert_path"`
	KeyPath  string `hcl:"key_path"`

	root        *x509.Certificate
	key         crypto.Signer
	trustDomain string
}

type plugin struct {
	upstreamv1.UnimplementedUpstreamAuthorityServer
	configv1.UnimplementedConfigServer

	mtx    sync.RWMutex
	config *config
}

func (p *plugin) Configure(_ context.Context, req *configv1.ConfigureRequest) (*configv1.ConfigureResponse, error) {
	c, err := parse(req.HclConfiguration, req.GetCoreConfiguration().GetTrustDomain())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	p.mtx.Lock()
	p.config = c
	p.mtx.Unlock()
	return &configv1.ConfigureResponse{}, nil
}

func (p *plugin) Validate(_ context.Context, req *configv1.ValidateRequest) (*configv1.ValidateResponse, error) {
	if _, err := parse(req.HclConfiguration, req.GetCoreConfiguration().GetTrustDomain()); err != nil {
		return &configv1.ValidateResponse{Notes: []string{err.Error()}}, nil
	}
	return &configv1.ValidateResponse{Valid: true}, nil
}

func (p *plugin) configured() (*config, error) {
	p.mtx.RLock()
	defer p.mtx.RUnlock()
	if p.config == nil {
		return nil, status.Error(codes.FailedPrecondition, "not configured")
	}
	return p.config, nil
}

func parse(text, trustDomain string) (*config, error) {
	c := &config{trustDomain: trustDomain}
	if trustDomain == "" {
		return nil, errors.New("the host gave no trust domain")
	}
	if err := hcl.Decode(c, text); err != nil {
		return nil, fmt.Errorf("cannot decode the configuration: %w", err)
	}
	if !filepath.IsAbs(c.CertPath) {
		return nil, errors.New("cert_path: must be the absolute path of a file")
	}
	if !filepath.IsAbs(c.KeyPath) {
		return nil, errors.New("key_path: must be the absolute path of a file")
	}
	der, err := readPEM(c.CertPath, "CERTIFICATE")
	if err != nil {
		return nil, fmt.Errorf("cert_path: %w", err)
	}
	if c.root, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("cert_path: %w", err)
	}
	if !c.root.IsCA {
		return nil, errors.New("cert_path: the certificate is not that of a CA")
	}
	der, err = readPEM(c.KeyPath, "PRIVATE KEY")
	if err != nil {
		return nil, fmt.Errorf("key_path: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("key_path: the file has no private key in PKCS #8")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("key_path: the key cannot sign")
	}
	public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(c.root.PublicKey) {
		return nil, errors.New("key_path: it is not the key of the certificate in cert_path")
	}
	c.key = signer
	return c, nil
}

func readPEM(path, label string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == label {
			return block.Bytes, nil
		}
	}
	return nil, fmt.Errorf("the file has no %s", label)
}

func (p *plugin) MintX509CAAndSubscribe(req *upstreamv1.MintX509CARequest, stream upstreamv1.UpstreamAuthority_MintX509CAAndSubscribeServer) error {
	c, err := p.configured()
	if err != nil {
		return err
	}
	minted, err := c.mint(req.Csr, time.Duration(req.PreferredTtl)*time.Second)
	if err != nil {
		return status.Errorf(codes.InvalidArgument, "cannot sign: %v", err)
	}
	return stream.Send(&upstreamv1.MintX509CAResponse{
		X509CaChain:       []*types.X509Certificate{{Asn1: minted}},
		UpstreamX509Roots: []*types.X509Certificate{{Asn1: c.root.Raw}},
	})
}

func (p *plugin) SubscribeToLocalBundle(_ *upstreamv1.SubscribeToLocalBundleRequest, stream upstreamv1.UpstreamAuthority_SubscribeToLocalBundleServer) error {
	c, err := p.configured()
	if err != nil {
		return err
	}
	return stream.Send(&upstreamv1.SubscribeToLocalBundleResponse{
		UpstreamX509Roots: []*types.X509Certificate{{Asn1: c.root.Raw}},
	})
}

func (c *config) mint(csr []byte, ttl time.Duration) ([]byte, error) {
	request, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return nil, err
	}
	if err := request.CheckSignature(); err != nil {
		return nil, err
	}
	if ttl <= 0 {
		ttl = 24 * time.Hour
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	notAfter := time.Now().Add(ttl)
	if notAfter.After(c.root.NotAfter) {
		notAfter = c.root.NotAfter
	}
	return x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber:          serial.Add(serial, big.NewInt(1)),
		Subject:               pkix.Name{Country: []string{"US"}, Organization: []string{"SPIFFE"}},
		URIs:                  []*url.URL{{Scheme: "spiffe", Host: c.trustDomain}},
		NotBefore:             time.Now().Add(-backdated),
		NotAfter:              notAfter,
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, c.root, request.PublicKey, c.key)
}
