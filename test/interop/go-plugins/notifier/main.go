// A notifier that logs what it is told. A refresh hint of 13 seconds brings bad luck.
package main

import (
	"context"
	"os"

	"assayer.example/go-plugins/internal/describe"
	"github.com/hashicorp/go-hclog"
	"github.com/spiffe/spire-plugin-sdk/pluginmain"
	notifierv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/notifier/v1"
	"github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type plugin struct {
	notifierv1.UnimplementedNotifierServer
	logger hclog.Logger
}

func (p *plugin) SetLogger(logger hclog.Logger) { p.logger = logger }

func (p *plugin) Notify(_ context.Context, req *notifierv1.NotifyRequest) (*notifierv1.NotifyResponse, error) {
	return &notifierv1.NotifyResponse{}, p.take("updated", req.GetBundleUpdated().GetBundle())
}

func (p *plugin) NotifyAndAdvise(_ context.Context, req *notifierv1.NotifyAndAdviseRequest) (*notifierv1.NotifyAndAdviseResponse, error) {
	return &notifierv1.NotifyAndAdviseResponse{}, p.take("loaded", req.GetBundleLoaded().GetBundle())
}

func (p *plugin) take(event string, bundle *types.Bundle) error {
	p.logger.Info(event, "bundle", describe.Bundle(bundle))
	if bundle.GetRefreshHint() == 13 {
		return status.Error(codes.PermissionDenied, "not that bundle")
	}
	return nil
}

// silent has neither method.
type silent struct {
	notifierv1.UnimplementedNotifierServer
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "silent" {
		pluginmain.Serve(notifierv1.NotifierPluginServer(silent{}))
		return
	}
	pluginmain.Serve(notifierv1.NotifierPluginServer(new(plugin)))
}
