// Either end of two nested servers, with SPIRE's API as spire-api-sdk has it, go-spiffe and crypto/x509.
//
//	nesting below <Workload API> <address>                  asks a server for a CA as a SPIRE server below it does
//	nesting above <certificate> <key> <roots> <CA key>      is a server above until it is ended; prints its address
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 3 && args[0] == "below":
		report, err := beBelow(ctx, args[1], args[2])
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(report)
	case len(args) == 5 && args[0] == "above":
		return beAbove(ctx, args[1], args[2], args[3], args[4])
	default:
		return fmt.Errorf("unknown command %q", args)
	}
}
