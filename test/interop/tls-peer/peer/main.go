// A TLS peer of Go's own standard library that speaks as much gRPC as one empty call needs.
//
//	tls-peer call <address> <flags>   makes one call and prints what came of it
//	tls-peer serve <flags>            prints its port, then a line a connection with the client's URI names
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

type result struct {
	Error       string   `json:"error,omitempty"`
	GrpcStatus  string   `json:"grpcStatus,omitempty"`
	Version     string   `json:"version,omitempty"`
	ServerNames []string `json:"serverNames,omitempty"`
	Resumed     bool     `json:"resumed,omitempty"`
}

func main() {
	var err error
	switch os.Args[1] {
	case "call":
		err = call(os.Args[2], os.Args[3:])
	case "serve":
		err = serve(os.Args[2:])
	default:
		err = fmt.Errorf("no command %q", os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type options struct {
	cert, key, alpn, curve string
	maxVersion             uint
	twice                  bool
}

func parse(args []string) (*options, *tls.Config, error) {
	o := new(options)
	flags := flag.NewFlagSet("tls-peer", flag.ExitOnError)
	flags.StringVar(&o.cert, "cert", "", "PEM of the chain")
	flags.StringVar(&o.key, "key", "", "PEM of the key")
	flags.StringVar(&o.alpn, "alpn", "h2", "protocol, or nothing")
	flags.StringVar(&o.curve, "curve", "", "the only curve: p256 or mlkem")
	flags.UintVar(&o.maxVersion, "max", tls.VersionTLS13, "highest TLS version")
	flags.BoolVar(&o.twice, "twice", false, "connect twice and try to resume")
	if err := flags.Parse(args); err != nil {
		return nil, nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, MaxVersion: uint16(o.maxVersion)}
	if o.alpn != "" {
		config.NextProtos = []string{o.alpn}
	}
	switch o.curve {
	case "p256":
		config.CurvePreferences = []tls.CurveID{tls.CurveP256}
	case "mlkem":
		config.CurvePreferences = []tls.CurveID{tls.X25519MLKEM768}
	}
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return nil, nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return o, config, nil
}

func call(address string, args []string) error {
	o, config, err := parse(args)
	if err != nil {
		return err
	}
	config.InsecureSkipVerify = true // the test looks at serverNames
	config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	config.ServerName = "server.example.org"
	if o.cert != "" {
		// Whatever the server asks for, this is what it gets.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &config.Certificates[0], nil
		}
	}
	made := callOnce(address, config)
	if o.twice && made.Error == "" {
		made = callOnce(address, config)
	}
	return json.NewEncoder(os.Stdout).Encode(made)
}

func callOnce(address string, config *tls.Config) result {
	var made result
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		DialTLSContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			state := conn.(*tls.Conn).ConnectionState()
			made.Version = tls.VersionName(state.Version)
			made.Resumed = state.DidResume
			for _, uri := range state.PeerCertificates[0].URIs {
				made.ServerNames = append(made.ServerNames, uri.String())
			}
			return conn, nil
		},
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	request, err := http.NewRequest("POST", "https://localhost/grpc.health.v1.Health/Check", bytes.NewReader(make([]byte, 5)))
	if err != nil {
		made.Error = err.Error()
		return made
	}
	request.Header.Set("Content-Type", "application/grpc")
	request.Header.Set("TE", "trailers")
	response, err := client.Do(request)
	if err != nil {
		made.Error = err.Error()
		return made
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		made.Error = err.Error()
		return made
	}
	made.GrpcStatus = response.Trailer.Get("Grpc-Status")
	if made.GrpcStatus == "" {
		made.GrpcStatus = response.Header.Get("Grpc-Status")
	}
	return made
}

func serve(args []string) error {
	_, config, err := parse(args)
	if err != nil {
		return err
	}
	config.ClientAuth = tls.RequestClientCert
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	server := &http.Server{
		TLSConfig: config,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			names := []string{}
			for _, certificate := range r.TLS.PeerCertificates {
				for _, uri := range certificate.URIs {
					names = append(names, uri.String())
				}
			}
			line, _ := json.Marshal(map[string]any{"clientNames": names, "serverName": r.TLS.ServerName})
			fmt.Println(string(line))
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status")
			w.WriteHeader(http.StatusOK)
			_, _ = w.Write(make([]byte, 5))
			w.Header().Set("Grpc-Status", "0")
		}),
	}
	return server.ServeTLS(listener, "", "")
}
