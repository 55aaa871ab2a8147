package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"github.com/hashicorp/hcl"
	workloadattestorv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/agent/workloadattestor/v1"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var programName = regexp.MustCompile(`^[a-z0-9._-]+$`)

type config struct {
	// Names, and the absolute path of each name's executable.
	Programs map[string]string `hcl:"programs"`
}

type plugin struct {
	workloadattestorv1.UnimplementedWorkloadAttestorServer
	configv1.UnimplementedConfigServer

	mtx sync.RWMutex
	// The names of programs by the paths of their executables; nil until configured.
	names map[string]string
}

func (p *plugin) Configure(_ context.Context, req *configv1.ConfigureRequest) (*configv1.ConfigureResponse, error) {
	names, err := parse(req.HclConfiguration)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	p.mtx.Lock()
	p.names = names
	p.mtx.Unlock()
	return &configv1.ConfigureResponse{}, nil
}

func (p *plugin) Validate(_ context.Context, req *configv1.ValidateRequest) (*configv1.ValidateResponse, error) {
	if _, err := parse(req.HclConfiguration); err != nil {
		return &configv1.ValidateResponse{Notes: []string{err.Error()}}, nil
	}
	return &configv1.ValidateResponse{Valid: true}, nil
}

func parse(text string) (map[string]string, error) {
	var c config
	if err := hcl.Decode(&c, text); err != nil {
		return nil, fmt.Errorf("cannot decode the configuration: %w", err)
	}
	if c.Programs == nil {
		return nil, fmt.Errorf("programs: is required")
	}
	names := make(map[string]string, len(c.Programs))
	for name, path := range c.Programs {
		if !programName.MatchString(name) {
			return nil, fmt.Errorf("programs.%q: must be a name of small letters, digits, \".\", \"_\" and \"-\"", name)
		}
		if !filepath.IsAbs(path) {
			return nil, fmt.Errorf("programs.%s: must be the absolute path of an executable", name)
		}
		names[path] = name
	}
	return names, nil
}

func (p *plugin) Attest(_ context.Context, req *workloadattestorv1.AttestRequest) (*workloadattestorv1.AttestResponse, error) {
	p.mtx.RLock()
	names := p.names
	p.mtx.RUnlock()
	if names == nil {
		return nil, status.Error(codes.FailedPrecondition, "not configured")
	}
	// What the kernel knows of a process, so that nothing it says of itself counts.
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", req.Pid))
	if err != nil {
		return nil, status.Errorf(codes.FailedPrecondition, "the executable of process %d cannot be read", req.Pid)
	}
	response := new(workloadattestorv1.AttestResponse)
	if name, known := names[path]; known {
		response.SelectorValues = []string{"program:" + name}
	}
	return response, nil
}
