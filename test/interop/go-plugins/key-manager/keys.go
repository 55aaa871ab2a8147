package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"sort"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Numbers of KeyType, which both sides' messages share.
const (
	ecP256  = 1
	ecP384  = 2
	rsa2048 = 3
	rsa4096 = 4
)

type key struct {
	id          string
	keyType     int32
	signer      crypto.Signer
	pkix        []byte
	fingerprint string
}

// keys lives in memory. Some ids make it misbehave, so that a host's checks can be seen.
type keys struct {
	mtx  sync.Mutex
	byID map[string]*key
}

func (k *keys) generate(id string, keyType int32) (*key, error) {
	if id == "" {
		return nil, status.Error(codes.InvalidArgument, "key id is required")
	}
	var signer crypto.Signer
	var err error
	switch keyType {
	case ecP256:
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ecP384:
		signer, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case rsa2048:
		signer, err = rsa.GenerateKey(rand.Reader, 2048)
	case rsa4096:
		signer, err = rsa.GenerateKey(rand.Reader, 4096)
	default:
		return nil, status.Errorf(codes.InvalidArgument, "key type %d is not known", keyType)
	}
	if err != nil {
		return nil, status.Errorf(codes.Internal, "cannot generate: %v", err)
	}
	pkix, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return nil, status.Errorf(codes.Internal, "cannot marshal: %v", err)
	}
	sum := sha256.Sum256(pkix)
	made := &key{id: id, keyType: keyType, signer: signer, pkix: pkix, fingerprint: hex.EncodeToString(sum[:])}
	k.mtx.Lock()
	k.byID[id] = made
	k.mtx.Unlock()
	switch id {
	case "answers-another-id":
		return &key{id: "another", keyType: keyType, pkix: pkix, fingerprint: made.fingerprint}, nil
	case "answers-no-key":
		return nil, nil
	case "answers-garbage":
		return &key{id: id, keyType: keyType, pkix: []byte("garbage"), fingerprint: made.fingerprint}, nil
	case "answers-empty":
		return &key{id: id, keyType: keyType, fingerprint: made.fingerprint}, nil
	}
	return made, nil
}

func (k *keys) get(id string) (*key, error) {
	k.mtx.Lock()
	defer k.mtx.Unlock()
	found, ok := k.byID[id]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "no key %q", id)
	}
	return found, nil
}

func (k *keys) all() []*key {
	k.mtx.Lock()
	defer k.mtx.Unlock()
	var list []*key
	for _, found := range k.byID {
		list = append(list, found)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].id < list[j].id })
	return list
}

// sign returns the signature of a digest and the key's fingerprint.
func (k *keys) sign(id string, digest []byte, opts crypto.SignerOpts) ([]byte, string, error) {
	found, err := k.get(id)
	if err != nil {
		return nil, "", err
	}
	switch id {
	case "signs-nothing":
		return nil, found.fingerprint, nil
	case "signs-as-another":
		return []byte{1}, "another", nil
	}
	signature, err := found.signer.Sign(rand.Reader, digest, opts)
	if err != nil {
		return nil, "", status.Errorf(codes.InvalidArgument, "cannot sign: %v", err)
	}
	return signature, found.fingerprint, nil
}
