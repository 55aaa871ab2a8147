package main

import (
	"context"
	"fmt"

	svidstorev1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/agent/svidstore/v1"
	bundlepublisherv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/bundlepublisher/v1"
	notifierv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/notifier/v1"
	"github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// outcome is a line about a call whose answer is empty.
func outcome(what string, err error) string {
	if err == nil {
		return what + " OK"
	}
	return fmt.Sprintf("%s %s: %s", what, status.Code(err), status.Convert(err).Message())
}

// sampleBundle has every field set.
func sampleBundle(refreshHint int64) *types.Bundle {
	return &types.Bundle{
		TrustDomain:     "example.org",
		X509Authorities: []*types.X509Certificate{{Asn1: []byte("root one")}, {Asn1: []byte("root two"), Tainted: true}},
		JwtAuthorities:  []*types.JWTKey{{KeyId: "one", PublicKey: []byte("key"), ExpiresAt: 1_900_000_000}},
		RefreshHint:     refreshHint,
		SequenceNumber:  7,
	}
}

func tryNotifier(ctx context.Context, conn *grpc.ClientConn) ([]string, error) {
	client := notifierv1.NewNotifierClient(conn)
	notify := func(bundle *types.Bundle) error {
		_, err := client.Notify(ctx, &notifierv1.NotifyRequest{
			Event: &notifierv1.NotifyRequest_BundleUpdated{BundleUpdated: &notifierv1.BundleUpdated{Bundle: bundle}},
		})
		return err
	}
	advise := func(bundle *types.Bundle) error {
		_, err := client.NotifyAndAdvise(ctx, &notifierv1.NotifyAndAdviseRequest{
			Event: &notifierv1.NotifyAndAdviseRequest_BundleLoaded{BundleLoaded: &notifierv1.BundleLoaded{Bundle: bundle}},
		})
		return err
	}
	_, unknown := client.Notify(ctx, &notifierv1.NotifyRequest{})
	return []string{
		outcome("updated", notify(sampleBundle(60))),
		outcome("loaded", advise(sampleBundle(60))),
		outcome("updated", notify(sampleBundle(13))),
		outcome("loaded", advise(sampleBundle(13))),
		outcome("updated without a bundle", notify(nil)),
		outcome("an event that is not known", unknown),
	}, nil
}

func tryBundlePublisher(ctx context.Context, conn *grpc.ClientConn) ([]string, error) {
	client := bundlepublisherv1.NewBundlePublisherClient(conn)
	publish := func(bundle *types.Bundle) error {
		_, err := client.PublishBundle(ctx, &bundlepublisherv1.PublishBundleRequest{Bundle: bundle})
		return err
	}
	return []string{
		outcome("publish", publish(sampleBundle(60))),
		outcome("publish", publish(sampleBundle(13))),
		outcome("publish nothing", publish(nil)),
	}, nil
}

func trySVIDStore(ctx context.Context, conn *grpc.ClientConn) ([]string, error) {
	client := svidstorev1.NewSVIDStoreClient(conn)
	put := func(svid *svidstorev1.X509SVID, metadata ...string) error {
		_, err := client.PutX509SVID(ctx, &svidstorev1.PutX509SVIDRequest{
			Svid:             svid,
			Metadata:         metadata,
			FederatedBundles: map[string][]byte{"spiffe://one.test": []byte("root")},
		})
		return err
	}
	remove := func(metadata ...string) error {
		_, err := client.DeleteX509SVID(ctx, &svidstorev1.DeleteX509SVIDRequest{Metadata: metadata})
		return err
	}
	svid := &svidstorev1.X509SVID{
		SpiffeID:   "spiffe://example.org/web",
		CertChain:  [][]byte{[]byte("leaf"), []byte("intermediate")},
		PrivateKey: []byte("key"),
		Bundle:     [][]byte{[]byte("root")},
		ExpiresAt:  1_900_000_000,
	}
	return []string{
		outcome("put", put(svid, "name:web")),
		outcome("put", put(svid, "busy")),
		outcome("put nothing", put(nil, "name:web")),
		outcome("delete", remove("name:web")),
		outcome("delete", remove("nonsense")),
	}, nil
}
