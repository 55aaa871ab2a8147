// Package describe puts what a plugin was sent into one line, for a test to compare.
package describe

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/types"
)

// Bundle says all that is in a bundle.
func Bundle(b *types.Bundle) string {
	parts := []string{
		b.GetTrustDomain(),
		fmt.Sprintf("hint=%d", b.GetRefreshHint()),
		fmt.Sprintf("sequence=%d", b.GetSequenceNumber()),
	}
	for _, authority := range b.GetX509Authorities() {
		parts = append(parts, fmt.Sprintf("x509=%s/%t", Digest(authority.Asn1), authority.Tainted))
	}
	for _, key := range b.GetJwtAuthorities() {
		parts = append(parts, fmt.Sprintf("jwt=%s/%s/%d/%t", key.KeyId, Digest(key.PublicKey), key.ExpiresAt, key.Tainted))
	}
	return strings.Join(parts, " ")
}

// Digest is short: the first 8 octets of the SHA-256.
func Digest(data ...[]byte) string {
	sum := sha256.New()
	for _, one := range data {
		sum.Write(one)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}
