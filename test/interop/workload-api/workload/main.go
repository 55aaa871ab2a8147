// A workload that uses go-spiffe: each command prints lines of JSON.
//
//	workload fetch                      its X.509 and JWT identities and bundles
//	workload watch                      a line for every X.509 update, until stopped
//	workload jwt <audience>             a token, validated by the agent and by go-spiffe itself
//	workload serve <client's ID>        an mTLS server: prints its address, then whom it saw
//	workload dial <address> <server's ID>
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

const deadline = 60 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 1 && args[0] == "fetch":
		return fetch(ctx)
	case len(args) == 1 && args[0] == "watch":
		return workloadapi.WatchX509Context(ctx, watcher{})
	case len(args) == 2 && args[0] == "jwt":
		return fetchJWT(ctx, args[1])
	case len(args) == 2 && args[0] == "serve":
		return serve(ctx, args[1])
	case len(args) == 3 && args[0] == "dial":
		return dial(ctx, args[1], args[2])
	default:
		return fmt.Errorf("unknown command %q", args)
	}
}

func print(value any) {
	if err := json.NewEncoder(os.Stdout).Encode(value); err != nil {
		panic(err)
	}
}

type identity struct {
	ID        string `json:"id"`
	Serial    string `json:"serial"`
	Hint      string `json:"hint"`
	ExpiresAt int64  `json:"expiresAt"`
}

// identities are verified against the bundles that came with them.
func identities(x509Context *workloadapi.X509Context) ([]identity, error) {
	var found []identity
	for _, svid := range x509Context.SVIDs {
		if _, _, err := x509svid.Verify(svid.Certificates, x509Context.Bundles); err != nil {
			return nil, err
		}
		leaf := svid.Certificates[0]
		found = append(found, identity{svid.ID.String(), leaf.SerialNumber.String(), svid.Hint, leaf.NotAfter.Unix()})
	}
	return found, nil
}

func fetch(ctx context.Context) error {
	x509Context, err := workloadapi.FetchX509Context(ctx)
	if err != nil {
		return err
	}
	found, err := identities(x509Context)
	if err != nil {
		return err
	}
	x509Bundles, err := workloadapi.FetchX509Bundles(ctx)
	if err != nil {
		return err
	}
	jwtBundles, err := workloadapi.FetchJWTBundles(ctx)
	if err != nil {
		return err
	}
	authorities := map[string][2]int{}
	for _, bundle := range x509Bundles.Bundles() {
		counts := [2]int{len(bundle.X509Authorities()), 0}
		if jwtBundle, ok := jwtBundles.Get(bundle.TrustDomain()); ok {
			counts[1] = len(jwtBundle.JWTAuthorities())
		}
		authorities[bundle.TrustDomain().Name()] = counts
	}
	print(map[string]any{"identities": found, "authorities": authorities})
	return nil
}

type watcher struct{}

func (watcher) OnX509ContextUpdate(x509Context *workloadapi.X509Context) {
	found, err := identities(x509Context)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	print(map[string]any{"identities": found})
}

func (watcher) OnX509ContextWatchError(err error) {
	print(map[string]any{"error": err.Error()})
}

func fetchJWT(ctx context.Context, audience string) error {
	client, err := workloadapi.New(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	svid, err := client.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience, ExtraAudiences: []string{"extra"}})
	if err != nil {
		return err
	}
	byAgent, err := client.ValidateJWTSVID(ctx, svid.Marshal(), audience)
	if err != nil {
		return err
	}
	bundles, err := client.FetchJWTBundles(ctx)
	if err != nil {
		return err
	}
	bySelf, err := jwtsvid.ParseAndValidate(svid.Marshal(), jwtbundle.Source(bundles), []string{audience})
	if err != nil {
		return err
	}
	_, refusal := client.ValidateJWTSVID(ctx, svid.Marshal(), "somebody-else")
	print(map[string]any{
		"agent": byAgent.ID.String(), "self": bySelf.ID.String(), "audience": bySelf.Audience,
		"refusal": fmt.Sprint(refusal),
	})
	return nil
}

func serve(ctx context.Context, clientID string) error {
	id, err := spiffeid.FromString(clientID)
	if err != nil {
		return err
	}
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return err
	}
	defer source.Close()
	config := tlsconfig.MTLSServerConfig(source, source, tlsconfig.AuthorizeID(id))
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		return err
	}
	defer listener.Close()
	context.AfterFunc(ctx, func() { listener.Close() })
	print(map[string]any{"address": listener.Addr().String()})
	for {
		connection, err := listener.Accept()
		if err != nil {
			return nil
		}
		if err := greet(connection.(*tls.Conn)); err != nil {
			print(map[string]any{"error": err.Error()})
		}
	}
}

func greet(connection *tls.Conn) error {
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(deadline)); err != nil {
		return err
	}
	if err := connection.Handshake(); err != nil {
		return err
	}
	peer, err := x509svid.IDFromCert(connection.ConnectionState().PeerCertificates[0])
	if err != nil {
		return err
	}
	print(map[string]any{"peer": peer.String()})
	_, err = io.WriteString(connection, "hello "+peer.String())
	return err
}

func dial(ctx context.Context, address, serverID string) error {
	id, err := spiffeid.FromString(serverID)
	if err != nil {
		return err
	}
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return err
	}
	defer source.Close()
	dialer := tls.Dialer{Config: tlsconfig.MTLSClientConfig(source, source, tlsconfig.AuthorizeID(id))}
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer connection.Close()
	greeting, err := io.ReadAll(connection)
	if err != nil {
		return err
	}
	print(map[string]any{"greeting": string(greeting)})
	return nil
}
