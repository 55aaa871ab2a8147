// Federation with go-spiffe: its client reads an endpoint, and its handler is one.
//
//	federation fetch <url> <trust domain> web <PEM file of roots>
//	federation fetch <url> <trust domain> spiffe <PEM file of the bundle> <endpoint's ID>
//	federation serve <trust domain> <bundle document> <PEM file of certificates> <PEM file of the key>
//
// The first two print the bundle, the third the address of an endpoint that ends with its standard input.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/federation"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) >= 5 && args[0] == "fetch" {
		return fetch(args[1], args[2], args[3:])
	}
	if len(args) == 5 && args[0] == "serve" {
		return serve(args[1], args[2], args[3], args[4])
	}
	return fmt.Errorf("unknown command %q", args)
}

func fetch(url, name string, how []string) error {
	trustDomain, err := spiffeid.TrustDomainFromString(name)
	if err != nil {
		return err
	}
	option, err := authentication(how)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	bundle, err := federation.FetchBundle(ctx, trustDomain, url, option)
	if err != nil {
		return err
	}
	document, err := bundle.Marshal()
	if err != nil {
		return err
	}
	fmt.Println(string(document))
	return nil
}

func authentication(how []string) (federation.FetchOption, error) {
	if how[0] == "web" {
		pem, err := os.ReadFile(how[1])
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, errors.New("no roots")
		}
		return federation.WithWebPKIRoots(roots), nil
	}
	id, err := spiffeid.FromString(how[2])
	if err != nil {
		return nil, err
	}
	bundle, err := x509bundle.Load(id.TrustDomain(), how[1])
	if err != nil {
		return nil, err
	}
	return federation.WithSPIFFEAuth(bundle, id), nil
}

func serve(name, document, certificates, key string) error {
	trustDomain, err := spiffeid.TrustDomainFromString(name)
	if err != nil {
		return err
	}
	bundle, err := spiffebundle.Load(trustDomain, document)
	if err != nil {
		return err
	}
	handler, err := federation.NewHandler(trustDomain, bundle)
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(certificates, key)
	if err != nil {
		return err
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return http.Serve(listener, handler)
}
