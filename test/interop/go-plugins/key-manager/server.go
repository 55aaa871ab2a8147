package main

import (
	"context"
	"crypto"
	"crypto/rsa"

	keymanagerv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/keymanager/v1"
)

type serverPlugin struct {
	keymanagerv1.UnimplementedKeyManagerServer
	keys *keys
}

func (p *serverPlugin) GenerateKey(_ context.Context, req *keymanagerv1.GenerateKeyRequest) (*keymanagerv1.GenerateKeyResponse, error) {
	made, err := p.keys.generate(req.KeyId, int32(req.KeyType))
	if err != nil {
		return nil, err
	}
	return &keymanagerv1.GenerateKeyResponse{PublicKey: serverPublicKey(made)}, nil
}

func (p *serverPlugin) GetPublicKey(_ context.Context, req *keymanagerv1.GetPublicKeyRequest) (*keymanagerv1.GetPublicKeyResponse, error) {
	found, err := p.keys.get(req.KeyId)
	if err != nil {
		return nil, err
	}
	return &keymanagerv1.GetPublicKeyResponse{PublicKey: serverPublicKey(found)}, nil
}

func (p *serverPlugin) GetPublicKeys(context.Context, *keymanagerv1.GetPublicKeysRequest) (*keymanagerv1.GetPublicKeysResponse, error) {
	resp := new(keymanagerv1.GetPublicKeysResponse)
	for _, found := range p.keys.all() {
		resp.PublicKeys = append(resp.PublicKeys, serverPublicKey(found))
	}
	return resp, nil
}

func (p *serverPlugin) SignData(_ context.Context, req *keymanagerv1.SignDataRequest) (*keymanagerv1.SignDataResponse, error) {
	var opts crypto.SignerOpts = crypto.Hash(req.GetHashAlgorithm())
	if pss := req.GetPssOptions(); pss != nil {
		opts = &rsa.PSSOptions{SaltLength: int(pss.SaltLength), Hash: crypto.Hash(pss.HashAlgorithm)}
	}
	signature, fingerprint, err := p.keys.sign(req.KeyId, req.Data, opts)
	if err != nil {
		return nil, err
	}
	return &keymanagerv1.SignDataResponse{Signature: signature, KeyFingerprint: fingerprint}, nil
}

func serverPublicKey(k *key) *keymanagerv1.PublicKey {
	if k == nil {
		return nil
	}
	return &keymanagerv1.PublicKey{
		Id: k.id, Type: keymanagerv1.KeyType(k.keyType), PkixData: k.pkix, Fingerprint: k.fingerprint,
	}
}
