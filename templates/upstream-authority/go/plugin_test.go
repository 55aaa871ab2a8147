package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spiffe/spire-plugin-sdk/pluginsdk"
	"github.com/spiffe/spire-plugin-sdk/plugintest"
	upstreamv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/upstreamauthority/v1"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func newKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// writeRoot gives a configuration that names a root and a key.
func writeRoot(t *testing.T, root, key *ecdsa.PrivateKey) string {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, root.Public(), root)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for name, block := range map[string]*pem.Block{
		"root.pem": {Type: "CERTIFICATE", Bytes: certificate}, "root.key": {Type: "PRIVATE KEY", Bytes: pkcs8},
	} {
		if err := os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("cert_path = %q\nkey_path = %q", filepath.Join(folder, "root.pem"), filepath.Join(folder, "root.key"))
}

func TestMint(t *testing.T) {
	ctx, key := context.Background(), newKey(t)
	p := new(plugin)
	client := new(upstreamv1.UpstreamAuthorityPluginClient)
	plugintest.ServeInBackground(t, plugintest.Config{
		PluginServer:   upstreamv1.UpstreamAuthorityPluginServer(p),
		PluginClient:   client,
		ServiceServers: []pluginsdk.ServiceServer{configv1.ConfigServiceServer(p)},
	})
	configure := func(text string) error {
		_, err := p.Configure(ctx, &configv1.ConfigureRequest{
			CoreConfiguration: &configv1.CoreConfiguration{TrustDomain: "example.org"}, HclConfiguration: text,
		})
		return err
	}
	if err := configure(writeRoot(t, key, newKey(t))); status.Code(err) != codes.InvalidArgument {
		t.Errorf("the key of another root: got %v", err)
	}
	if err := configure(writeRoot(t, key, key)); err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := client.MintX509CAAndSubscribe(ctx, &upstreamv1.MintX509CARequest{Csr: csr, PreferredTtl: 7200})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(answer.UpstreamX509Roots[0].Asn1)
	if err != nil {
		t.Fatal(err)
	}
	minted, err := x509.ParseCertificate(answer.X509CaChain[0].Asn1)
	if err != nil {
		t.Fatal(err)
	}
	if err := minted.CheckSignatureFrom(root); err != nil {
		t.Error(err)
	}
	if minted.URIs[0].String() != "spiffe://example.org" || minted.NotAfter.After(root.NotAfter) {
		t.Errorf("got %v until %v", minted.URIs, minted.NotAfter)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream goes on: %v", err)
	}
}
