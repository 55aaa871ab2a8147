// Verifies what it reads from standard input as go-spiffe and Go's crypto/x509 do, and prints what they found: a line of JSON
// for a line of JSON.
package main

import (
	"bufio"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// Bytes are DER, in base64.
type question struct {
	TrustDomain string            `json:"trustDomain"`
	Roots       [][]byte          `json:"roots"`
	Keys        map[string][]byte `json:"keys"`
	Chain       [][]byte          `json:"chain"`
	Token       string            `json:"token"`
	Audience    string            `json:"audience"`
}

type answer struct {
	X509ID string `json:"x509Id,omitempty"`
	// Certificates from the leaf to the root, as crypto/x509 counts them.
	Path  int    `json:"path,omitempty"`
	JWTID string `json:"jwtId,omitempty"`
	Error string `json:"error,omitempty"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var asked question
		var told answer
		err := json.Unmarshal(lines.Bytes(), &asked)
		if err == nil {
			told, err = verify(asked)
		}
		if err != nil {
			told.Error = err.Error()
		}
		if err := json.NewEncoder(os.Stdout).Encode(told); err != nil {
			panic(err)
		}
	}
}

func verify(asked question) (answer, error) {
	var told answer
	trustDomain, err := spiffeid.TrustDomainFromString(asked.TrustDomain)
	if err != nil {
		return told, err
	}
	roots, err := parse(asked.Roots)
	if err != nil {
		return told, err
	}
	chain, err := parse(asked.Chain)
	if err != nil {
		return told, err
	}
	id, _, err := x509svid.Verify(chain, x509bundle.FromX509Authorities(trustDomain, roots))
	if err != nil {
		return told, fmt.Errorf("go-spiffe: %w", err)
	}
	told.X509ID = id.String()
	options := x509.VerifyOptions{
		Roots: pool(roots), Intermediates: pool(chain[1:]), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	paths, err := chain[0].Verify(options)
	if err != nil {
		return told, fmt.Errorf("crypto/x509: %w", err)
	}
	told.Path = len(paths[0])
	keys := map[string]crypto.PublicKey{}
	for keyID, der := range asked.Keys {
		if keys[keyID], err = x509.ParsePKIXPublicKey(der); err != nil {
			return told, err
		}
	}
	bundle := jwtbundle.FromJWTAuthorities(trustDomain, keys)
	token, err := jwtsvid.ParseAndValidate(asked.Token, bundle, []string{asked.Audience})
	if err != nil {
		return told, fmt.Errorf("go-spiffe: %w", err)
	}
	told.JWTID = token.ID.String()
	return told, nil
}

func parse(all [][]byte) ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	for _, der := range all {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		certificates = append(certificates, certificate)
	}
	return certificates, nil
}

func pool(certificates []*x509.Certificate) *x509.CertPool {
	made := x509.NewCertPool()
	for _, certificate := range certificates {
		made.AddCert(certificate)
	}
	return made
}
