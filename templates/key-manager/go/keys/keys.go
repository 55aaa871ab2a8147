// Package keys holds keys in memory: a key store of yours takes its place.
package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Type of a key; the number is the one of KeyType, which both programs' messages share.
type Type int32

// The types that a host asks for.
const (
	ECP256 Type = 1 + iota
	ECP384
	RSA2048
	RSA4096
)

// Key is a key as its manager shows it.
type Key struct {
	ID          string
	Type        Type
	PKIX        []byte
	Fingerprint string

	signer crypto.Signer
}

// Keys are found by their ids.
type Keys struct {
	mtx  sync.RWMutex
	byID map[string]*Key
}

// Generate makes a key; one that had the id is gone.
func (k *Keys) Generate(id string, keyType Type) (*Key, error) {
	if id == "" {
		return nil, status.Error(codes.InvalidArgument, "key id is required")
	}
	signer, err := newSigner(keyType)
	if err != nil {
		return nil, err
	}
	pkix, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return nil, status.Errorf(codes.Internal, "cannot encode the public key: %v", err)
	}
	sum := sha256.Sum256(pkix)
	made := &Key{ID: id, Type: keyType, PKIX: pkix, Fingerprint: hex.EncodeToString(sum[:]), signer: signer}
	k.mtx.Lock()
	defer k.mtx.Unlock()
	if k.byID == nil {
		k.byID = make(map[string]*Key)
	}
	k.byID[id] = made
	return made, nil
}

func newSigner(keyType Type) (signer crypto.Signer, err error) {
	switch keyType {
	case ECP256:
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ECP384:
		signer, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case RSA2048:
		signer, err = rsa.GenerateKey(rand.Reader, 2048)
	case RSA4096:
		signer, err = rsa.GenerateKey(rand.Reader, 4096)
	default:
		return nil, status.Errorf(codes.InvalidArgument, "key type %d is not supported", keyType)
	}
	if err != nil {
		return nil, status.Errorf(codes.Internal, "cannot generate the key: %v", err)
	}
	return signer, nil
}

// Find gives the key that has an id.
func (k *Keys) Find(id string) (*Key, error) {
	if id == "" {
		return nil, status.Error(codes.InvalidArgument, "key id is required")
	}
	k.mtx.RLock()
	defer k.mtx.RUnlock()
	found, ok := k.byID[id]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "no such key %q", id)
	}
	return found, nil
}

// List gives all keys by their ids.
func (k *Keys) List() []*Key {
	k.mtx.RLock()
	defer k.mtx.RUnlock()
	list := make([]*Key, 0, len(k.byID))
	for _, key := range k.byID {
		list = append(list, key)
	}
	slices.SortFunc(list, func(a, b *Key) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// Sign signs a digest.
func (k *Key) Sign(digest []byte, options crypto.SignerOpts) ([]byte, error) {
	if !options.HashFunc().Available() || len(digest) != options.HashFunc().Size() {
		return nil, status.Errorf(codes.InvalidArgument, "a digest of %d bytes is none of hash %d", len(digest), options.HashFunc())
	}
	signature, err := k.signer.Sign(rand.Reader, digest, options)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "cannot sign: %v", err)
	}
	return signature, nil
}

// Options are a hash by its number, which is Go's, or PSS with a hash and a length of salt.
func Options(hash int32, isPSS bool, saltLength int32) (crypto.SignerOpts, error) {
	if hash == 0 {
		return nil, status.Error(codes.InvalidArgument, "hash algorithm is required")
	}
	if isPSS {
		return &rsa.PSSOptions{SaltLength: int(saltLength), Hash: crypto.Hash(hash)}, nil
	}
	return crypto.Hash(hash), nil
}
