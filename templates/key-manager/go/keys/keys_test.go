package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestKeySignsWhatItsPublicKeyVerifies(t *testing.T) {
	digest := sha256.Sum256([]byte("data"))
	for _, keyType := range []Type{ECP256, ECP384, RSA2048} {
		held := new(Keys)
		key, err := held.Generate("one", keyType)
		if err != nil {
			t.Fatal(err)
		}
		signature, err := key.Sign(digest[:], crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		public, err := x509.ParsePKIXPublicKey(key.PKIX)
		if err != nil {
			t.Fatal(err)
		}
		switch public := public.(type) {
		case *ecdsa.PublicKey:
			if !ecdsa.VerifyASN1(public, digest[:], signature) {
				t.Errorf("type %d: the signature is wrong", keyType)
			}
		case *rsa.PublicKey:
			if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature); err != nil {
				t.Errorf("type %d: %v", keyType, err)
			}
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	held := new(Keys)
	_, noID := held.Generate("", ECP256)
	_, noType := held.Generate("one", 9)
	_, absent := held.Find("one")
	_, noHash := Options(0, false, 0)
	for want, got := range map[codes.Code][]error{codes.InvalidArgument: {noID, noType, noHash}, codes.NotFound: {absent}} {
		for _, err := range got {
			if status.Code(err) != want {
				t.Errorf("got %v, want %v", err, want)
			}
		}
	}
}
