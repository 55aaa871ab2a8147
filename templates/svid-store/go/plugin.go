package main

import (
	"context"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/hashicorp/hcl"
	svidstorev1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/agent/svidstore/v1"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// storedName is what a selector may name: a folder in ours, and none elsewhere.
var storedName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

type config struct {
	// Where SVIDs are kept, a folder an entry.
	Folder string `hcl:"folder"`
}

type plugin struct {
	svidstorev1.UnimplementedSVIDStoreServer
	configv1.UnimplementedConfigServer

	mtx    sync.RWMutex
	config *config
}

func (p *plugin) Configure(_ context.Context, req *configv1.ConfigureRequest) (*configv1.ConfigureResponse, error) {
	c, err := parse(req.HclConfiguration)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	p.mtx.Lock()
	p.config = c
	p.mtx.Unlock()
	return &configv1.ConfigureResponse{}, nil
}

func (p *plugin) Validate(_ context.Context, req *configv1.ValidateRequest) (*configv1.ValidateResponse, error) {
	if _, err := parse(req.HclConfiguration); err != nil {
		return &configv1.ValidateResponse{Notes: []string{err.Error()}}, nil
	}
	return &configv1.ValidateResponse{Valid: true}, nil
}

func (p *plugin) configured() (*config, error) {
	p.mtx.RLock()
	defer p.mtx.RUnlock()
	if p.config == nil {
		return nil, status.Error(codes.FailedPrecondition, "not configured")
	}
	return p.config, nil
}

func parse(text string) (*config, error) {
	c := new(config)
	if err := hcl.Decode(c, text); err != nil {
		return nil, fmt.Errorf("cannot decode the configuration: %w", err)
	}
	if !filepath.IsAbs(c.Folder) {
		return nil, fmt.Errorf("folder: must be the absolute path of a folder")
	}
	return c, nil
}

func (p *plugin) PutX509SVID(_ context.Context, req *svidstorev1.PutX509SVIDRequest) (*svidstorev1.PutX509SVIDResponse, error) {
	folder, err := p.folderOf(req.Metadata)
	if err != nil {
		return nil, err
	}
	if req.Svid == nil {
		return nil, status.Error(codes.InvalidArgument, "the SVID is missing")
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, status.Errorf(codes.Unavailable, "cannot make the folder: %v", err)
	}
	for _, file := range []struct {
		name string
		text []byte
		mode os.FileMode
	}{
		{"key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: req.Svid.PrivateKey}), 0o600},
		{"svid.pem", certificates(req.Svid.CertChain), 0o644},
		{"bundle.pem", certificates(req.Svid.Bundle), 0o644},
	} {
		if err := replace(filepath.Join(folder, file.name), file.text, file.mode); err != nil {
			return nil, status.Errorf(codes.Unavailable, "cannot write %s: %v", file.name, err)
		}
	}
	return &svidstorev1.PutX509SVIDResponse{}, nil
}

func (p *plugin) DeleteX509SVID(_ context.Context, req *svidstorev1.DeleteX509SVIDRequest) (*svidstorev1.DeleteX509SVIDResponse, error) {
	folder, err := p.folderOf(req.Metadata)
	if err != nil {
		return nil, err
	}
	if err := os.RemoveAll(folder); err != nil {
		return nil, status.Errorf(codes.Unavailable, "cannot remove the folder: %v", err)
	}
	return &svidstorev1.DeleteX509SVIDResponse{}, nil
}

// folderOf answers InvalidArgument for what makes no sense, which tells the agent that trying again is no use.
func (p *plugin) folderOf(metadata []string) (string, error) {
	c, err := p.configured()
	if err != nil {
		return "", err
	}
	var names []string
	for _, value := range metadata {
		if name, found := strings.CutPrefix(value, "name:"); found {
			names = append(names, name)
		}
	}
	if len(names) != 1 {
		return "", status.Error(codes.InvalidArgument, "the entry needs exactly one selector __NAME__:name:<name>")
	}
	if !storedName.MatchString(names[0]) {
		return "", status.Errorf(codes.InvalidArgument, "the name %q is not of small letters, digits, \"_\" and \"-\"", names[0])
	}
	return filepath.Join(c.Folder, names[0]), nil
}

func certificates(ders [][]byte) []byte {
	var text []byte
	for _, der := range ders {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return text
}

// replace lets a reader find the old file or the new one.
func replace(path string, text []byte, mode os.FileMode) error {
	unfinished := path + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := os.WriteFile(unfinished, text, mode); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
}
