package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/hashicorp/hcl"
	bundlepublisherv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/bundlepublisher/v1"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type config struct {
	// The file that holds the bundle.
	Path string `hcl:"path"`
}

type plugin struct {
	bundlepublisherv1.UnimplementedBundlePublisherServer
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
	if !filepath.IsAbs(c.Path) {
		return nil, fmt.Errorf("path: must be the absolute path of a file")
	}
	return c, nil
}

func (p *plugin) PublishBundle(_ context.Context, req *bundlepublisherv1.PublishBundleRequest) (*bundlepublisherv1.PublishBundleResponse, error) {
	c, err := p.configured()
	if err != nil {
		return nil, err
	}
	if req.Bundle == nil {
		return nil, status.Error(codes.InvalidArgument, "the bundle is missing")
	}
	var text []byte
	for _, authority := range req.Bundle.X509Authorities {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Asn1})...)
	}
	if err := replace(c.Path, text); err != nil {
		return nil, status.Errorf(codes.Unavailable, "cannot write the bundle: %v", err)
	}
	return &bundlepublisherv1.PublishBundleResponse{}, nil
}

// replace writes what is new; a reader finds the old file or the new one.
func replace(path string, text []byte) error {
	if known, err := os.ReadFile(path); err == nil && bytes.Equal(known, text) {
		return nil
	}
	unfinished := path + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := os.WriteFile(unfinished, text, 0o644); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
}
