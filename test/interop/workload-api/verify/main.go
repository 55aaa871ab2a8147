// Verifies SVIDs with go-spiffe, by a bundle that somebody else has, and prints whose they are.
//
//	verify x509 <trust domain> <bundle.pem> <chain.pem>
//	verify jwt <trust domain> <bundle.json> <audience> <file with the token>
package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"strings"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

func main() {
	id, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(id)
}

func run(args []string) (spiffeid.ID, error) {
	switch {
	case len(args) == 4 && args[0] == "x509":
		return verifyX509(args[1], args[2], args[3])
	case len(args) == 5 && args[0] == "jwt":
		return verifyJWT(args[1], args[2], args[3], args[4])
	default:
		return spiffeid.ID{}, fmt.Errorf("unknown command %q", args)
	}
}

func verifyX509(trustDomain, bundlePath, chainPath string) (spiffeid.ID, error) {
	td, err := spiffeid.TrustDomainFromString(trustDomain)
	if err != nil {
		return spiffeid.ID{}, err
	}
	bundle, err := x509bundle.Load(td, bundlePath)
	if err != nil {
		return spiffeid.ID{}, err
	}
	text, err := os.ReadFile(chainPath)
	if err != nil {
		return spiffeid.ID{}, err
	}
	var chain []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return spiffeid.ID{}, err
		}
		chain = append(chain, certificate)
	}
	id, _, err := x509svid.Verify(chain, bundle)
	return id, err
}

func verifyJWT(trustDomain, bundlePath, audience, tokenPath string) (spiffeid.ID, error) {
	td, err := spiffeid.TrustDomainFromString(trustDomain)
	if err != nil {
		return spiffeid.ID{}, err
	}
	bundle, err := spiffebundle.Load(td, bundlePath)
	if err != nil {
		return spiffeid.ID{}, err
	}
	token, err := os.ReadFile(tokenPath)
	if err != nil {
		return spiffeid.ID{}, err
	}
	svid, err := jwtsvid.ParseAndValidate(strings.TrimSpace(string(token)), bundle, []string{audience})
	if err != nil {
		return spiffeid.ID{}, err
	}
	return svid.ID, nil
}
