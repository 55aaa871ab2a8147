package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"fmt"

	agentkeymanagerv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/agent/keymanager/v1"
	keymanagerv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/keymanager/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// keyManager is what both sides' services have in common.
type keyManager interface {
	GenerateKey(context.Context, *keymanagerv1.GenerateKeyRequest, ...grpc.CallOption) (*keymanagerv1.GenerateKeyResponse, error)
	GetPublicKey(context.Context, *keymanagerv1.GetPublicKeyRequest, ...grpc.CallOption) (*keymanagerv1.GetPublicKeyResponse, error)
	GetPublicKeys(context.Context, *keymanagerv1.GetPublicKeysRequest, ...grpc.CallOption) (*keymanagerv1.GetPublicKeysResponse, error)
	SignData(context.Context, *keymanagerv1.SignDataRequest, ...grpc.CallOption) (*keymanagerv1.SignDataResponse, error)
}

// tryKeyManager makes a key of every type, signs with it and verifies. The lines say what was seen.
func tryKeyManager(ctx context.Context, conn *grpc.ClientConn, side string) ([]string, error) {
	client := keyManager(keymanagerv1.NewKeyManagerClient(conn))
	if side == "agent" {
		client = agentKeyManager{conn}
	}
	var seen []string
	for _, keyType := range []keymanagerv1.KeyType{
		keymanagerv1.KeyType_EC_P256, keymanagerv1.KeyType_EC_P384,
		keymanagerv1.KeyType_RSA_2048, keymanagerv1.KeyType_RSA_4096,
	} {
		id := "key-" + keyType.String()
		generated, err := client.GenerateKey(ctx, &keymanagerv1.GenerateKeyRequest{KeyId: id, KeyType: keyType})
		if status.Code(err) == codes.FailedPrecondition {
			seen = append(seen, keyType.String()+" FailedPrecondition") // hardware makes not every type
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("generate %s: %w", keyType, err)
		}
		found, err := client.GetPublicKey(ctx, &keymanagerv1.GetPublicKeyRequest{KeyId: id})
		if err != nil {
			return nil, fmt.Errorf("get %s: %w", keyType, err)
		}
		if found.PublicKey.Fingerprint != generated.PublicKey.Fingerprint || found.PublicKey.Type != keyType {
			return nil, fmt.Errorf("%s: got another key than was generated", keyType)
		}
		lines, err := trySignatures(ctx, client, found.PublicKey)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", keyType, err)
		}
		seen = append(seen, lines...)
	}
	listed, err := client.GetPublicKeys(ctx, &keymanagerv1.GetPublicKeysRequest{})
	if err != nil {
		return nil, err
	}
	seen = append(seen, fmt.Sprintf("keys %d", len(listed.PublicKeys)))
	_, err = client.GetPublicKey(ctx, &keymanagerv1.GetPublicKeyRequest{KeyId: "absent"})
	seen = append(seen, "absent "+status.Code(err).String())
	_, err = client.GenerateKey(ctx, &keymanagerv1.GenerateKeyRequest{KeyId: "untyped"})
	seen = append(seen, "untyped "+status.Code(err).String())
	_, err = client.GenerateKey(ctx, &keymanagerv1.GenerateKeyRequest{KeyType: keymanagerv1.KeyType_EC_P256})
	seen = append(seen, "nameless "+status.Code(err).String())
	seen = append(seen, trySigningBadly(ctx, client)...)
	again, err := client.GenerateKey(ctx, &keymanagerv1.GenerateKeyRequest{KeyId: "key-EC_P256", KeyType: keymanagerv1.KeyType_EC_P256})
	if err != nil {
		return nil, err
	}
	for _, key := range listed.PublicKeys {
		if key.Id == again.PublicKey.Id {
			seen = append(seen, fmt.Sprintf("overwritten %t", key.Fingerprint != again.PublicKey.Fingerprint))
		}
	}
	return seen, nil
}

func trySignatures(ctx context.Context, client keyManager, key *keymanagerv1.PublicKey) ([]string, error) {
	public, err := x509.ParsePKIXPublicKey(key.PkixData)
	if err != nil {
		return nil, err
	}
	var seen []string
	for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		digest := digestOf(hash, "data")
		answer, err := client.SignData(ctx, &keymanagerv1.SignDataRequest{
			KeyId: key.Id,
			Data:  digest,
			SignerOpts: &keymanagerv1.SignDataRequest_HashAlgorithm{
				HashAlgorithm: keymanagerv1.HashAlgorithm(hash),
			},
		})
		if err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
		good := false
		switch public := public.(type) {
		case *ecdsa.PublicKey:
			good = ecdsa.VerifyASN1(public, digest, answer.Signature)
		case *rsa.PublicKey:
			good = rsa.VerifyPKCS1v15(public, hash, digest, answer.Signature) == nil
		}
		seen = append(seen, fmt.Sprintf("%s %s %t", key.Type, hash, good && answer.KeyFingerprint == key.Fingerprint))
	}
	rsaKey, isRSA := public.(*rsa.PublicKey)
	if !isRSA {
		return seen, nil
	}
	for _, salt := range []int32{rsa.PSSSaltLengthEqualsHash, rsa.PSSSaltLengthAuto, 20} {
		digest := digestOf(crypto.SHA256, "data")
		answer, err := client.SignData(ctx, &keymanagerv1.SignDataRequest{
			KeyId: key.Id,
			Data:  digest,
			SignerOpts: &keymanagerv1.SignDataRequest_PssOptions{
				PssOptions: &keymanagerv1.SignDataRequest_PSSOptions{
					SaltLength:    salt,
					HashAlgorithm: keymanagerv1.HashAlgorithm_SHA256,
				},
			},
		})
		if err != nil {
			return nil, fmt.Errorf("sign PSS: %w", err)
		}
		good := rsa.VerifyPSS(rsaKey, crypto.SHA256, digest, answer.Signature, &rsa.PSSOptions{SaltLength: int(salt)}) == nil
		seen = append(seen, fmt.Sprintf("%s PSS %d %t", key.Type, salt, good))
	}
	return seen, nil
}

// trySigningBadly asks for signatures that nobody can make.
func trySigningBadly(ctx context.Context, client keyManager) []string {
	digest := digestOf(crypto.SHA256, "data")
	sha256 := &keymanagerv1.SignDataRequest_HashAlgorithm{HashAlgorithm: keymanagerv1.HashAlgorithm_SHA256}
	var seen []string
	for _, trial := range []struct {
		what    string
		request *keymanagerv1.SignDataRequest
	}{
		{"absent", &keymanagerv1.SignDataRequest{KeyId: "absent", Data: digest, SignerOpts: sha256}},
		{"nameless", &keymanagerv1.SignDataRequest{Data: digest, SignerOpts: sha256}},
		{"without options", &keymanagerv1.SignDataRequest{KeyId: "key-EC_P256", Data: digest}},
		{"without a hash", &keymanagerv1.SignDataRequest{
			KeyId: "key-EC_P256", Data: digest, SignerOpts: &keymanagerv1.SignDataRequest_HashAlgorithm{},
		}},
		{"of another length", &keymanagerv1.SignDataRequest{KeyId: "key-RSA_2048", Data: digest[1:], SignerOpts: sha256}},
		{"PSS by EC", &keymanagerv1.SignDataRequest{
			KeyId: "key-EC_P256", Data: digest, SignerOpts: &keymanagerv1.SignDataRequest_PssOptions{
				PssOptions: &keymanagerv1.SignDataRequest_PSSOptions{HashAlgorithm: keymanagerv1.HashAlgorithm_SHA256},
			},
		}},
	} {
		_, err := client.SignData(ctx, trial.request)
		seen = append(seen, "sign "+trial.what+" "+status.Code(err).String())
	}
	return seen
}

func digestOf(hash crypto.Hash, text string) []byte {
	switch hash {
	case crypto.SHA384:
		digest := sha512.Sum384([]byte(text))
		return digest[:]
	case crypto.SHA512:
		digest := sha512.Sum512([]byte(text))
		return digest[:]
	default:
		digest := sha256.Sum256([]byte(text))
		return digest[:]
	}
}

// agentKeyManager calls the agent's service, whose messages are the server's by another name.
type agentKeyManager struct {
	conn *grpc.ClientConn
}

func (m agentKeyManager) invoke(ctx context.Context, method string, request, response any) error {
	return m.conn.Invoke(ctx, "/"+agentkeymanagerv1.KeyManager_ServiceDesc.ServiceName+"/"+method, request, response)
}

func (m agentKeyManager) GenerateKey(ctx context.Context, request *keymanagerv1.GenerateKeyRequest, _ ...grpc.CallOption) (*keymanagerv1.GenerateKeyResponse, error) {
	response := &keymanagerv1.GenerateKeyResponse{}
	return response, m.invoke(ctx, "GenerateKey", request, response)
}

func (m agentKeyManager) GetPublicKey(ctx context.Context, request *keymanagerv1.GetPublicKeyRequest, _ ...grpc.CallOption) (*keymanagerv1.GetPublicKeyResponse, error) {
	response := &keymanagerv1.GetPublicKeyResponse{}
	return response, m.invoke(ctx, "GetPublicKey", request, response)
}

func (m agentKeyManager) GetPublicKeys(ctx context.Context, request *keymanagerv1.GetPublicKeysRequest, _ ...grpc.CallOption) (*keymanagerv1.GetPublicKeysResponse, error) {
	response := &keymanagerv1.GetPublicKeysResponse{}
	return response, m.invoke(ctx, "GetPublicKeys", request, response)
}

func (m agentKeyManager) SignData(ctx context.Context, request *keymanagerv1.SignDataRequest, _ ...grpc.CallOption) (*keymanagerv1.SignDataResponse, error) {
	response := &keymanagerv1.SignDataResponse{}
	return response, m.invoke(ctx, "SignData", request, response)
}
