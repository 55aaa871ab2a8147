// A workload attestor: the name that the kernel has for the process. With the
// argument "reference" it knows AttestReference alone.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spiffe/spire-plugin-sdk/pluginmain"
	workloadattestorv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/agent/workloadattestor/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

type byPid struct {
	workloadattestorv1.UnimplementedWorkloadAttestorServer
}

func (byPid) Attest(_ context.Context, req *workloadattestorv1.AttestRequest) (*workloadattestorv1.AttestResponse, error) {
	selectors, err := selectorsOf(req.Pid)
	if err != nil {
		return nil, err
	}
	return &workloadattestorv1.AttestResponse{SelectorValues: selectors}, nil
}

type byReference struct {
	workloadattestorv1.UnimplementedWorkloadAttestorServer
}

func (byReference) AttestReference(ctx context.Context, req *workloadattestorv1.AttestReferenceRequest) (*workloadattestorv1.AttestReferenceResponse, error) {
	if req.GetReference().GetTypeUrl() != "type.googleapis.com/spiffe.broker.WorkloadPIDReference" {
		return nil, status.Errorf(codes.InvalidArgument, "reference of type %q", req.GetReference().GetTypeUrl())
	}
	number, kind, n := protowire.ConsumeTag(req.Reference.Value)
	if n < 0 || number != 1 || kind != protowire.VarintType {
		return nil, status.Error(codes.InvalidArgument, "reference without a process id")
	}
	pid, n := protowire.ConsumeVarint(req.Reference.Value[n:])
	if n < 0 {
		return nil, status.Error(codes.InvalidArgument, "reference without a process id")
	}
	selectors, err := selectorsOf(int32(pid))
	if err != nil {
		return nil, err
	}
	selectors = append(selectors, "by:reference")
	md, _ := metadata.FromIncomingContext(ctx)
	for _, caller := range md.Get("spire-agent-broker-caller-id") {
		selectors = append(selectors, "caller:"+caller)
	}
	return &workloadattestorv1.AttestReferenceResponse{SelectorValues: selectors}, nil
}

func selectorsOf(pid int32) ([]string, error) {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return nil, status.Errorf(codes.NotFound, "no process %d", pid)
	}
	return []string{fmt.Sprintf("pid:%d", pid), "name:" + strings.TrimSpace(string(name))}, nil
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "reference" {
		pluginmain.Serve(workloadattestorv1.WorkloadAttestorPluginServer(byReference{}))
		return
	}
	pluginmain.Serve(workloadattestorv1.WorkloadAttestorPluginServer(byPid{}))
}
