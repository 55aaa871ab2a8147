// Two workloads that keep making new mTLS connections with go-spiffe, while their authorities change.
//
//	traffic serve <client's ID>              prints its address
//	traffic dial <address> <server's ID>     one connection after the other, until stopped
//
// A line of JSON on standard input asks for a line about what was so far.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"sort"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

const pause = 5 * time.Millisecond

var dialer = net.Dialer{Timeout: 30 * time.Second}

type state struct {
	sync.Mutex
	handshakes int
	failures   []string
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	id, err := spiffeid.FromString(args[len(args)-1])
	if err != nil {
		return err
	}
	source, err := workloadapi.NewX509Source(context.Background())
	if err != nil {
		return err
	}
	seen := &state{}
	go answer(source, seen, id.TrustDomain())
	if args[0] == "serve" {
		return serve(source, seen, id)
	}
	for {
		seen.note(dial(source, args[1], id))
		time.Sleep(pause)
	}
}

func (seen *state) note(err error) {
	seen.Lock()
	defer seen.Unlock()
	seen.handshakes++
	if err != nil {
		seen.failures = append(seen.failures, err.Error())
	}
}

func serve(source *workloadapi.X509Source, seen *state, id spiffeid.ID) error {
	config := tlsconfig.MTLSServerConfig(source, source, tlsconfig.AuthorizeID(id))
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		return err
	}
	print(map[string]any{"address": listener.Addr().String()})
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() { seen.note(handshake(connection.(*tls.Conn), "hello")) }()
	}
}

func dial(source *workloadapi.X509Source, address string, id spiffeid.ID) error {
	config := tlsconfig.MTLSClientConfig(source, source, tlsconfig.AuthorizeID(id))
	connection, err := tls.DialWithDialer(&dialer, "tcp", address, config)
	if err != nil {
		return err
	}
	return handshake(connection, "")
}

// With TLS 1.3 a client learns that it was refused when it reads.
func handshake(connection *tls.Conn, greeting string) error {
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(dialer.Timeout)); err != nil {
		return err
	}
	if err := connection.Handshake(); err != nil {
		return err
	}
	var err error
	if greeting == "" {
		_, err = io.ReadAll(connection)
	} else {
		_, err = io.WriteString(connection, greeting)
	}
	return err
}

func answer(source *workloadapi.X509Source, seen *state, trustDomain spiffeid.TrustDomain) {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		trusted := []string{}
		if bundle, err := source.GetX509BundleForTrustDomain(trustDomain); err == nil {
			for _, authority := range bundle.X509Authorities() {
				trusted = append(trusted, hex.EncodeToString(authority.SubjectKeyId))
			}
		}
		sort.Strings(trusted)
		svid, err := source.GetX509SVID()
		if err != nil {
			panic(err)
		}
		// What links the SVID to the bundle is signed by an authority of it.
		last := svid.Certificates[len(svid.Certificates)-1]
		seen.Lock()
		print(map[string]any{
			"handshakes": seen.handshakes, "failures": seen.failures,
			"signedBy": hex.EncodeToString(last.AuthorityKeyId), "trusted": trusted,
		})
		seen.Unlock()
	}
}

func print(value any) {
	if err := json.NewEncoder(os.Stdout).Encode(value); err != nil {
		panic(err)
	}
}
