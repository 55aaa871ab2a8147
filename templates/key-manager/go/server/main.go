// Command server is the key manager of the server.
package main

import (
	"context"

	"assayer.example/__NAME__/keys"
	"github.com/hashicorp/hcl"
	"github.com/spiffe/spire-plugin-sdk/pluginmain"
	keymanagerv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/keymanager/v1"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type plugin struct {
	keymanagerv1.UnimplementedKeyManagerServer
	configv1.UnimplementedConfigServer

	keys keys.Keys
}

func (*plugin) Configure(_ context.Context, req *configv1.ConfigureRequest) (*configv1.ConfigureResponse, error) {
	if err := parse(req.HclConfiguration); err != nil {
		return nil, err
	}
	return &configv1.ConfigureResponse{}, nil
}

func (*plugin) Validate(_ context.Context, req *configv1.ValidateRequest) (*configv1.ValidateResponse, error) {
	if err := parse(req.HclConfiguration); err != nil {
		return &configv1.ValidateResponse{Notes: []string{status.Convert(err).Message()}}, nil
	}
	return &configv1.ValidateResponse{Valid: true}, nil
}

func parse(text string) error {
	var given map[string]any
	if err := hcl.Decode(&given, text); err != nil {
		return status.Errorf(codes.InvalidArgument, "cannot decode the configuration: %v", err)
	}
	for key := range given {
		return status.Errorf(codes.InvalidArgument, "%s: is not a known key: none is", key)
	}
	return nil
}

func (p *plugin) GenerateKey(_ context.Context, req *keymanagerv1.GenerateKeyRequest) (*keymanagerv1.GenerateKeyResponse, error) {
	key, err := p.keys.Generate(req.KeyId, keys.Type(req.KeyType))
	if err != nil {
		return nil, err
	}
	return &keymanagerv1.GenerateKeyResponse{PublicKey: show(key)}, nil
}

func (p *plugin) GetPublicKey(_ context.Context, req *keymanagerv1.GetPublicKeyRequest) (*keymanagerv1.GetPublicKeyResponse, error) {
	key, err := p.keys.Find(req.KeyId)
	if err != nil {
		return nil, err
	}
	return &keymanagerv1.GetPublicKeyResponse{PublicKey: show(key)}, nil
}

func (p *plugin) GetPublicKeys(context.Context, *keymanagerv1.GetPublicKeysRequest) (*keymanagerv1.GetPublicKeysResponse, error) {
	response := new(keymanagerv1.GetPublicKeysResponse)
	for _, key := range p.keys.List() {
		response.PublicKeys = append(response.PublicKeys, show(key))
	}
	return response, nil
}

func (p *plugin) SignData(_ context.Context, req *keymanagerv1.SignDataRequest) (*keymanagerv1.SignDataResponse, error) {
	key, err := p.keys.Find(req.KeyId)
	if err != nil {
		return nil, err
	}
	pss := req.GetPssOptions()
	hash := req.GetHashAlgorithm()
	if pss != nil {
		hash = pss.HashAlgorithm
	}
	options, err := keys.Options(int32(hash), pss != nil, pss.GetSaltLength())
	if err != nil {
		return nil, err
	}
	signature, err := key.Sign(req.Data, options)
	if err != nil {
		return nil, err
	}
	return &keymanagerv1.SignDataResponse{Signature: signature, KeyFingerprint: key.Fingerprint}, nil
}

func show(key *keys.Key) *keymanagerv1.PublicKey {
	return &keymanagerv1.PublicKey{
		Id: key.ID, Type: keymanagerv1.KeyType(key.Type), PkixData: key.PKIX, Fingerprint: key.Fingerprint,
	}
}

func main() {
	p := new(plugin)
	pluginmain.Serve(keymanagerv1.KeyManagerPluginServer(p), configv1.ConfigServiceServer(p))
}
