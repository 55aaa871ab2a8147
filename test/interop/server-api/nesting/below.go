package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"net/url"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	bundlev1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/bundle/v1"
	svidv1 "github.com/spiffe/spire-api-sdk/proto/spire/api/server/svid/v1"
	"github.com/spiffe/spire-api-sdk/proto/spire/api/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

var trustDomain = spiffeid.RequireTrustDomainFromString("example.org")

type report struct {
	Chain   int      `json:"chain"`
	Seconds int      `json:"seconds"`
	IsCA    bool     `json:"isCA"`
	SVID    string   `json:"svid"`
	Keys    []string `json:"keys"`
	Roots   int      `json:"roots"`
}

func beBelow(ctx context.Context, socket, address string) (*report, error) {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	source, err := workloadapi.NewX509Source(ctx, workloadapi.WithClientOptions(workloadapi.WithAddr("unix://"+socket)))
	if err != nil {
		return nil, err
	}
	defer source.Close()
	server := spiffeid.RequireFromPath(trustDomain, "/spire/server")
	tls := tlsconfig.MTLSClientConfig(source, source, tlsconfig.AuthorizeID(server))
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(tls)))
	if err != nil {
		return nil, err
	}
	defer conn.Close()

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		URIs: []*url.URL{trustDomain.ID().URL()},
	}, key)
	if err != nil {
		return nil, err
	}
	answer, err := svidv1.NewSVIDClient(conn).NewDownstreamX509CA(ctx, &svidv1.NewDownstreamX509CARequest{Csr: csr, PreferredTtl: 900})
	if err != nil {
		return nil, err
	}
	chain, err := parseAll(answer.CaCertChain)
	if err != nil {
		return nil, err
	}
	roots, err := parseAll(answer.X509Authorities)
	if err != nil {
		return nil, err
	}
	id, err := signAndVerify(chain, roots, key)
	if err != nil {
		return nil, err
	}

	client := bundlev1.NewBundleClient(conn)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	published, err := client.PublishJWTAuthority(ctx, &bundlev1.PublishJWTAuthorityRequest{JwtAuthority: &types.JWTKey{
		KeyId: "from-go", PublicKey: public, ExpiresAt: time.Now().Add(time.Hour).Unix(),
	}})
	if err != nil {
		return nil, err
	}
	bundle, err := client.GetBundle(ctx, &bundlev1.GetBundleRequest{})
	if err != nil {
		return nil, err
	}
	found := &report{
		Chain: len(chain), IsCA: chain[0].IsCA, SVID: id, Roots: len(bundle.X509Authorities),
		Seconds: int(time.Until(chain[0].NotAfter).Seconds()+30) / 60 * 60,
	}
	for _, one := range published.JwtAuthorities {
		found.Keys = append(found.Keys, one.KeyId)
	}
	return found, nil
}

// signAndVerify signs an SVID with the CA that was answered: what agents below would show.
func signAndVerify(chain, roots []*x509.Certificate, key *ecdsa.PrivateKey) (string, error) {
	workload := spiffeid.RequireFromPath(trustDomain, "/workload")
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		NotBefore:    time.Now().Add(-time.Second),
		NotAfter:     time.Now().Add(time.Minute),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		URIs:         []*url.URL{workload.URL()},
	}, chain[0], key.Public(), key)
	if err != nil {
		return "", err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return "", err
	}
	id, _, err := x509svid.Verify(append([]*x509.Certificate{leaf}, chain...), x509bundle.FromX509Authorities(trustDomain, roots))
	return id.String(), err
}

func parseAll(ders [][]byte) ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	for _, der := range ders {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		certificates = append(certificates, certificate)
	}
	return certificates, nil
}
