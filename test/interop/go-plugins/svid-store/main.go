// An SVID store that logs what it is to store and to delete. The metadata may ask it to fail.
package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"assayer.example/go-plugins/internal/describe"
	"github.com/hashicorp/go-hclog"
	"github.com/spiffe/spire-plugin-sdk/pluginmain"
	svidstorev1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/agent/svidstore/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type plugin struct {
	svidstorev1.UnimplementedSVIDStoreServer
	logger hclog.Logger
}

func (p *plugin) SetLogger(logger hclog.Logger) { p.logger = logger }

func (p *plugin) PutX509SVID(_ context.Context, req *svidstorev1.PutX509SVIDRequest) (*svidstorev1.PutX509SVIDResponse, error) {
	p.logger.Info("put", "svid", put(req))
	return &svidstorev1.PutX509SVIDResponse{}, refusal(req.Metadata)
}

func (p *plugin) DeleteX509SVID(_ context.Context, req *svidstorev1.DeleteX509SVIDRequest) (*svidstorev1.DeleteX509SVIDResponse, error) {
	p.logger.Info("delete", "metadata", strings.Join(req.Metadata, ","))
	return &svidstorev1.DeleteX509SVIDResponse{}, refusal(req.Metadata)
}

func put(req *svidstorev1.PutX509SVIDRequest) string {
	parts := []string{
		req.Svid.SpiffeID,
		fmt.Sprintf("chain=%d/%s", len(req.Svid.CertChain), describe.Digest(req.Svid.CertChain...)),
		"key=" + describe.Digest(req.Svid.PrivateKey),
		fmt.Sprintf("bundle=%d/%s", len(req.Svid.Bundle), describe.Digest(req.Svid.Bundle...)),
		fmt.Sprintf("expires=%d", req.Svid.ExpiresAt),
		"metadata=" + strings.Join(req.Metadata, ","),
	}
	var federated []string
	for id, bundle := range req.FederatedBundles {
		federated = append(federated, fmt.Sprintf("%s=%s", id, describe.Digest(bundle)))
	}
	slices.Sort(federated)
	return strings.Join(append(parts, federated...), " ")
}

func refusal(metadata []string) error {
	switch {
	case slices.Contains(metadata, "nonsense"):
		return status.Error(codes.InvalidArgument, "the metadata makes no sense")
	case slices.Contains(metadata, "busy"):
		return status.Error(codes.Unavailable, "the store is busy")
	default:
		return nil
	}
}

func main() {
	pluginmain.Serve(svidstorev1.SVIDStorePluginServer(new(plugin)))
}
