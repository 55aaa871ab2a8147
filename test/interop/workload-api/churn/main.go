// A workload that never rests: it holds a stream of X.509-SVIDs, leaves it and comes back over another connection, and
// fetches JWT-SVIDs meanwhile. Each answer is checked by go-spiffe against the bundles that came with it, and told of in
// a line of JSON.
//
//	churn -socket <path> -seed <number> [-lane <what an attestor may read in its command line>]
package main

import (
	"context"
	"encoding/json"
	"flag"
	"math/rand"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	callDeadline = 10 * time.Second
	audience     = "chaos"
)

type held struct {
	ID        string `json:"id"`
	ExpiresAt int64  `json:"expiresAt"`
}

// A line: what was answered, or why nothing was.
type line struct {
	At      int64  `json:"at"`
	Kind    string `json:"kind"`
	Held    []held `json:"held,omitempty"`
	Fault   string `json:"fault,omitempty"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

var output = struct {
	sync.Mutex
	*json.Encoder
}{Encoder: json.NewEncoder(os.Stdout)}

func tell(entry line) {
	entry.At = time.Now().UnixMilli()
	output.Lock()
	defer output.Unlock()
	if err := output.Encode(entry); err != nil {
		os.Exit(1) // nobody listens any more
	}
}

func main() {
	socket := flag.String("socket", "", "path of the Workload API's socket")
	seed := flag.Int64("seed", 0, "of its moods")
	flag.String("lane", "", "read by an attestor")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	var work sync.WaitGroup
	for index, keep := range []func(context.Context, string, *rand.Rand){keepX509, keepJWT} {
		work.Add(1)
		go func() {
			defer work.Done()
			keep(ctx, *socket, rand.New(rand.NewSource(*seed*2+int64(index))))
		}()
	}
	work.Wait()
}

// keepX509 holds one stream after the other, each over a connection of its own.
func keepX509(ctx context.Context, socket string, random *rand.Rand) {
	for ctx.Err() == nil {
		err := holdStream(ctx, socket, between(random, 300*time.Millisecond, 8*time.Second))
		if err != nil && ctx.Err() == nil {
			tell(line{Kind: "x509-error", Code: status.Code(err).String(), Message: status.Convert(err).Message()})
		}
		rest(ctx, pause(random, err))
	}
}

// holdStream returns nil where it left the stream by itself.
func holdStream(ctx context.Context, socket string, length time.Duration) error {
	connection, client, err := dial(socket)
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	leaving := time.AfterFunc(length, cancel)
	defer leaving.Stop()
	stream, err := client.FetchX509SVID(asWorkload(ctx), &workload.X509SVIDRequest{})
	for err == nil {
		var answer *workload.X509SVIDResponse
		if answer, err = stream.Recv(); err == nil {
			found, fault := checkX509(answer)
			tell(line{Kind: "x509", Held: found, Fault: fault})
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// keepJWT fetches tokens, over a connection that it changes now and then.
func keepJWT(ctx context.Context, socket string, random *rand.Rand) {
	for ctx.Err() == nil {
		connection, client, err := dial(socket)
		for calls := random.Intn(10); err == nil && calls >= 0 && ctx.Err() == nil; calls-- {
			if err = fetchJWT(ctx, client); err == nil {
				rest(ctx, between(random, 200*time.Millisecond, 1500*time.Millisecond))
			}
		}
		if err != nil && ctx.Err() == nil {
			tell(line{Kind: "jwt-error", Code: status.Code(err).String(), Message: status.Convert(err).Message()})
		}
		if connection != nil {
			connection.Close()
		}
		rest(ctx, pause(random, err))
	}
}

// fetchJWT takes the bundles first: a token may be of an authority that is newer than they are, and is asked for again then.
func fetchJWT(ctx context.Context, client workload.SpiffeWorkloadAPIClient) error {
	ctx, cancel := context.WithTimeout(asWorkload(ctx), callDeadline)
	defer cancel()
	answer, err := client.FetchJWTSVID(ctx, &workload.JWTSVIDRequest{Audience: []string{audience}})
	if err != nil {
		return err
	}
	at := time.Now()
	stream, err := client.FetchJWTBundles(ctx, &workload.JWTBundlesRequest{})
	if err != nil {
		return err
	}
	bundles, err := stream.Recv()
	if err != nil {
		return err
	}
	found, fault := checkJWT(answer, bundles, at)
	tell(line{Kind: "jwt", Held: found, Fault: fault})
	return nil
}

func dial(socket string) (*grpc.ClientConn, workload.SpiffeWorkloadAPIClient, error) {
	connection, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, nil, status.Error(codes.Unavailable, err.Error())
	}
	return connection, workload.NewSpiffeWorkloadAPIClient(connection), nil
}

func asWorkload(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "workload.spiffe.io", "true")
}

func between(random *rand.Rand, shortest, longest time.Duration) time.Duration {
	return shortest + time.Duration(random.Int63n(int64(longest-shortest)))
}

// pause is longer after an error: an agent that starts has better things to do.
func pause(random *rand.Rand, err error) time.Duration {
	if err != nil {
		return between(random, 100*time.Millisecond, 400*time.Millisecond)
	}
	return between(random, 10*time.Millisecond, 80*time.Millisecond)
}

func rest(ctx context.Context, length time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(length):
	}
}
