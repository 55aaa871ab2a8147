// Drives every call of a server's API with the clients of spire-api-sdk: as an administrator over the admin socket,
// and as an agent over mTLS. Prints what it saw as JSON; what go-spiffe and crypto/x509 do not accept ends it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const trustDomain = "example.org"

func main() {
	socket := flag.String("admin", "", "path of the admin socket")
	agentSocket := flag.String("agent", "", "path of an agent's admin socket: that alone is driven then")
	address := flag.String("address", "", "host and port of the TCP endpoint")
	everyCaller := flag.Bool("matrix", false, "call every method as every kind of caller, and print a line of what came of it, twice")
	flag.Parse()
	if *everyCaller {
		runMatrix(*socket, *address)
		return
	}
	report, err := run(*socket, *address, *agentSocket)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runMatrix(socket, address string) {
	ctx, cancel := context.WithTimeout(context.Background(), 180*time.Second)
	defer cancel()
	conn := must(grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials())))
	defer conn.Close()
	matrix(ctx, newAdministrator(conn), conn, address)
}

func run(socket, address, agentSocket string) (report map[string]any, err error) {
	// A step that fails panics with what failed.
	defer func() {
		if failure := recover(); failure != nil {
			err = fmt.Errorf("%v", failure)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if agentSocket != "" {
		socket = agentSocket
	}
	conn := must(grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials())))
	defer conn.Close()
	if agentSocket != "" {
		return administerAgent(ctx, conn), nil
	}
	admin := newAdministrator(conn)
	report = map[string]any{}
	report["bundle"] = admin.bundle(ctx)
	report["mint"] = admin.mint(ctx)
	report["entries"] = admin.entries(ctx)
	report["agent"] = beAgent(ctx, admin, address)
	report["agents"] = admin.agents(ctx)
	report["health"] = admin.health(ctx)
	report["logger"] = admin.logger(ctx)
	report["debug"] = admin.debug(ctx)
	report["reflection"] = reflectOn(ctx, conn)
	return report, nil
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func check(condition bool, format string, args ...any) {
	if !condition {
		panic(fmt.Sprintf(format, args...))
	}
}
