// An SVID store that keeps what it is given in a file a name, and a line of its journal for every call. As in a store of
// secrets, the name alone says which: other metadata says how it is kept. While its folder has a file "busy", it fails.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/hashicorp/hcl"
	"github.com/spiffe/spire-plugin-sdk/pluginmain"
	svidstorev1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/agent/svidstore/v1"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type plugin struct {
	svidstorev1.UnimplementedSVIDStoreServer
	configv1.UnimplementedConfigServer

	mtx    sync.Mutex
	folder string
}

// kept is what the tests read; octets become base64.
type kept struct {
	SpiffeID  string            `json:"spiffeId"`
	Chain     [][]byte          `json:"chain"`
	Key       []byte            `json:"key"`
	Bundle    [][]byte          `json:"bundle"`
	ExpiresAt int64             `json:"expiresAt"`
	Metadata  []string          `json:"metadata"`
	Federated map[string][]byte `json:"federated"`
}

func (p *plugin) Configure(_ context.Context, req *configv1.ConfigureRequest) (*configv1.ConfigureResponse, error) {
	config := struct {
		Folder string `hcl:"folder"`
	}{}
	if err := hcl.Decode(&config, req.HclConfiguration); err != nil || config.Folder == "" {
		return nil, status.Error(codes.InvalidArgument, "the folder is missing")
	}
	p.mtx.Lock()
	defer p.mtx.Unlock()
	p.folder = config.Folder
	return &configv1.ConfigureResponse{}, nil
}

func (p *plugin) PutX509SVID(_ context.Context, req *svidstorev1.PutX509SVIDRequest) (*svidstorev1.PutX509SVIDResponse, error) {
	p.mtx.Lock()
	defer p.mtx.Unlock()
	path, err := p.begin("put", req.Metadata)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(kept{
		SpiffeID:  req.Svid.SpiffeID,
		Chain:     req.Svid.CertChain,
		Key:       req.Svid.PrivateKey,
		Bundle:    req.Svid.Bundle,
		ExpiresAt: req.Svid.ExpiresAt,
		Metadata:  req.Metadata,
		Federated: req.FederatedBundles,
	})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return nil, err
	}
	return &svidstorev1.PutX509SVIDResponse{}, os.Rename(path+".new", path)
}

func (p *plugin) DeleteX509SVID(_ context.Context, req *svidstorev1.DeleteX509SVIDRequest) (*svidstorev1.DeleteX509SVIDResponse, error) {
	p.mtx.Lock()
	defer p.mtx.Unlock()
	path, err := p.begin("delete", req.Metadata)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return &svidstorev1.DeleteX509SVIDResponse{}, nil
}

// begin answers the path of the file that the metadata names.
func (p *plugin) begin(call string, metadata []string) (string, error) {
	journal, err := os.OpenFile(filepath.Join(p.folder, "journal"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	defer journal.Close()
	if _, err := journal.WriteString(call + " " + strings.Join(metadata, ",") + "\n"); err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(p.folder, "busy")); err == nil {
		return "", status.Error(codes.Unavailable, "the store is busy")
	}
	for _, value := range metadata {
		if name, found := strings.CutPrefix(value, "name:"); found {
			return filepath.Join(p.folder, name+".json"), nil
		}
	}
	return "", status.Error(codes.InvalidArgument, "the metadata has no name")
}

func main() {
	p := new(plugin)
	pluginmain.Serve(svidstorev1.SVIDStorePluginServer(p), configv1.ConfigServiceServer(p))
}
