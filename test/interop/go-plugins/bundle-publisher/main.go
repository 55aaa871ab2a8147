// A bundle publisher that logs what it is to publish. A refresh hint of 13 seconds brings bad luck.
package main

import (
	"context"

	"assayer.example/go-plugins/internal/describe"
	"github.com/hashicorp/go-hclog"
	"github.com/spiffe/spire-plugin-sdk/pluginmain"
	bundlepublisherv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/bundlepublisher/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type plugin struct {
	bundlepublisherv1.UnimplementedBundlePublisherServer
	logger hclog.Logger
}

func (p *plugin) SetLogger(logger hclog.Logger) { p.logger = logger }

func (p *plugin) PublishBundle(_ context.Context, req *bundlepublisherv1.PublishBundleRequest) (*bundlepublisherv1.PublishBundleResponse, error) {
	p.logger.Info("published", "bundle", describe.Bundle(req.GetBundle()))
	if req.GetBundle().GetRefreshHint() == 13 {
		return nil, status.Error(codes.Unavailable, "nobody takes that bundle")
	}
	return &bundlepublisherv1.PublishBundleResponse{}, nil
}

func main() {
	pluginmain.Serve(bundlepublisherv1.BundlePublisherPluginServer(new(plugin)))
}
