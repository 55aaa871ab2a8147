package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/hashicorp/hcl"
	notifierv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/notifier/v1"
	"github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/types"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type config struct {
	// The file that grows.
	JournalPath string `hcl:"journal_path"`
}

type plugin struct {
	notifierv1.UnimplementedNotifierServer
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
	if !filepath.IsAbs(c.JournalPath) {
		return nil, fmt.Errorf("journal_path: must be the absolute path of a file")
	}
	return c, nil
}

func (p *plugin) Notify(_ context.Context, req *notifierv1.NotifyRequest) (*notifierv1.NotifyResponse, error) {
	if updated := req.GetBundleUpdated(); updated != nil {
		if err := p.write("updated", updated.Bundle); err != nil {
			return nil, err
		}
	}
	return &notifierv1.NotifyResponse{}, nil
}

func (p *plugin) NotifyAndAdvise(_ context.Context, req *notifierv1.NotifyAndAdviseRequest) (*notifierv1.NotifyAndAdviseResponse, error) {
	if loaded := req.GetBundleLoaded(); loaded != nil {
		if err := p.write("loaded", loaded.Bundle); err != nil {
			return nil, err
		}
	}
	return &notifierv1.NotifyAndAdviseResponse{}, nil
}

func (p *plugin) write(event string, bundle *types.Bundle) error {
	c, err := p.configured()
	if err != nil {
		return err
	}
	if bundle == nil {
		return status.Error(codes.InvalidArgument, "the bundle is missing")
	}
	journal, err := os.OpenFile(c.JournalPath, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return status.Errorf(codes.FailedPrecondition, "the journal cannot be written: %v", err)
	}
	defer journal.Close()
	if _, err := fmt.Fprintln(journal, describe(event, bundle)); err != nil {
		return status.Errorf(codes.FailedPrecondition, "the journal cannot be written: %v", err)
	}
	return nil
}

func describe(event string, bundle *types.Bundle) string {
	return fmt.Sprintf("bundle %s: %s sequence=%d x509=%d jwt=%d",
		event, bundle.TrustDomain, bundle.SequenceNumber, len(bundle.X509Authorities), len(bundle.JwtAuthorities))
}
