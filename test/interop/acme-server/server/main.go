// Pebble, Let's Encrypt's ACME server for tests, with a DNS server that knows every name as this machine. It prints the PEM of
// the root that signs, says "ready", and ends with its standard input.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"github.com/letsencrypt/challtestsrv"
	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

func main() {
	listen := flag.String("listen", "", "address of the ACME API")
	dns := flag.String("dns", "", "address of the DNS server")
	tlsPort := flag.Int("tlsPort", 0, "where challenges of tls-alpn-01 are answered")
	certificate := flag.String("certificate", "", "PEM file of the API")
	key := flag.String("key", "", "PEM file of the API")
	validity := flag.Uint64("validity", 0, "seconds that certificates are valid for")
	flag.Parse()

	names, err := challtestsrv.New(challtestsrv.Config{DNSAddrs: []string{*dns}, Log: log.New(io.Discard, "", 0)})
	if err != nil {
		log.Fatal(err)
	}
	names.SetDefaultDNSIPv4("127.0.0.1")
	names.SetDefaultDNSIPv6("")
	go names.Run()

	logger := log.New(os.Stderr, "", 0)
	store := db.NewMemoryStore()
	profiles := map[string]ca.Profile{"default": {Description: "for tests", ValidityPeriod: *validity}}
	authority := ca.New(logger, store, "", "ecdsa", 0, 1, profiles)
	validation := va.New(logger, 0, *tlsPort, true, *dns, store)
	api := wfe.New(logger, store, validation, authority, []string{"pebble.test"}, true, false, 1, 1)

	fmt.Print(string(authority.GetRootCert(0).PEM()))
	fmt.Println("ready")
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	log.Fatal(http.ListenAndServeTLS(*listen, *certificate, *key, api.Handler()))
}
