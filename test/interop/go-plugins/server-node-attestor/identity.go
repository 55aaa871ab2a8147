package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"fmt"

	identityproviderv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/hostservice/server/identityprovider/v1"
)

// identitySelector says who the server is, by a certificate that its bundle vouches for and a key that belongs to it.
func (p *plugin) identitySelector(ctx context.Context) (string, error) {
	answer, err := p.identity.FetchX509Identity(ctx, &identityproviderv1.FetchX509IdentityRequest{})
	if err != nil {
		return "", err
	}
	chain := answer.GetIdentity().GetCertChain()
	if len(chain) == 0 {
		return "", fmt.Errorf("the identity has no certificate")
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return "", err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(answer.Identity.PrivateKey)
	if err != nil {
		return "", err
	}
	key, isECDSA := parsed.(*ecdsa.PrivateKey)
	if !isECDSA || !key.PublicKey.Equal(leaf.PublicKey) {
		return "", fmt.Errorf("the key is not that of the certificate")
	}
	roots, above := x509.NewCertPool(), x509.NewCertPool()
	for _, der := range chain[1:] {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return "", err
		}
		above.AddCert(certificate)
	}
	for _, authority := range answer.GetBundle().GetX509Authorities() {
		certificate, err := x509.ParseCertificate(authority.Asn1)
		if err != nil {
			return "", err
		}
		roots.AddCert(certificate)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: above}); err != nil {
		return "", err
	}
	return fmt.Sprintf("identity:%s of %s", leaf.URIs[0], answer.Bundle.TrustDomain), nil
}
